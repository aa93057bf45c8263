"""The tasks of files that name none: those from before there were several, and those of other tools."""

__all__ = ["BOXES", "DEFAULT"]

DEFAULT = "classification"

BOXES = "detection"
"""Of a file of another tool that predicts boxes."""
