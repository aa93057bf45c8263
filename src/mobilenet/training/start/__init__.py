"""Starting from other weights."""
