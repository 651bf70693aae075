"""Methods that copy how samples relate to each other, not what is said about each."""
