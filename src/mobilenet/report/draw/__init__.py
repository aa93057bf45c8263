"""What the pages of a report are made of: plots, tables, thumbnails, numbers."""
