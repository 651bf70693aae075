"""Methods in which a network teaches itself."""
