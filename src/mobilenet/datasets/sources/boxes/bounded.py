"""The bytes of annotation files, within limits: a damaged or malicious one cannot fill the memory."""

from pathlib import Path

from mobilenet.errors import DataError, ImageError
from mobilenet.images.decode import Limits, read_photo

__all__ = ["read_bytes", "read_lines"]


def read_bytes(path: Path, most: int) -> bytes:
    """The bytes of a regular file of at most `most` bytes; DataError."""
    try:
        return read_photo(path, Limits(bytes=most))
    except ImageError as error:
        raise DataError(f"{path}: {error}") from error


def read_lines(path: Path, most: int) -> list[str]:
    """The lines of a text file of at most `most` bytes, without surrounding spaces, empty ones included; DataError."""
    text = read_bytes(path, most).decode("utf-8-sig", "replace")
    return [line.strip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
