"""Starting from existing weights."""
