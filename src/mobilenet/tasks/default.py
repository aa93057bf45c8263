"""The task of files from before there were others."""

__all__ = ["DEFAULT"]

DEFAULT = "classification"
