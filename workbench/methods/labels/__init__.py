"""Methods that learn from labels alone."""
