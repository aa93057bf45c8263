"""The building blocks of report pages: plots, tables, thumbnails, numbers."""
