"""The bytes of annotation files, within limits: a damaged or malicious one cannot fill the memory."""

import os
import stat
from pathlib import Path

from mobilenet.errors import DataError, ImageError
from mobilenet.images.decode import Limits, read_photo

__all__ = ["read_bytes", "read_head", "read_lines"]


def read_bytes(path: Path, most: int) -> bytes:
    """The bytes of a regular file of at most `most` bytes; DataError."""
    try:
        return read_photo(path, Limits(bytes=most))
    except ImageError as error:
        raise DataError(f"{path}: {error}") from error


def read_head(path: Path, count: int) -> bytes:
    """The first bytes of a regular file, none of one that cannot be read."""
    try:
        # Non-blocking, in case it is a pipe.
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return b""
    try:
        return os.read(file, count) if stat.S_ISREG(os.fstat(file).st_mode) else b""
    except OSError:
        return b""
    finally:
        os.close(file)


def read_lines(path: Path, most: int) -> list[str]:
    """The lines of a text file of at most `most` bytes, without surrounding spaces, empty ones included; DataError."""
    text = read_bytes(path, most).decode("utf-8-sig", "replace")
    return [line.strip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
