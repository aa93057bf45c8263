"""Which candidates are trained, and which one becomes the file."""
