"""The finished steps of a search, on disk, so that it can be resumed."""
