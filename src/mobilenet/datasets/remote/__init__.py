"""Remote files: URLs, and byte ranges of files."""
