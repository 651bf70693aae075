"""Methods that copy the teacher's answers."""
