"""What a search has done so far, on disk, so that it can be resumed."""
