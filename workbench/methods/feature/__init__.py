"""Methods that copy what lies inside the teacher: attention maps, activations, their geometry."""
