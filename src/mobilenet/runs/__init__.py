"""The run folder: its files, and how each is read and written. Only this package knows its layout."""

from mobilenet.runs.folder import RunFolder, open_run

__all__ = ["RunFolder", "open_run"]
