"""A digest inside a file, over the whole file: engines in C++ are never handed a file that was damaged or changed.

The file holds a mark and 64 hexadecimal digits behind it, once; they are the SHA-256 of the file with zeros in their
place. It guards against damage, not against forgery: whoever changes a file on purpose can seal it again.
"""

import hashlib
import re
from pathlib import Path

from mobilenet.errors import ModelError

__all__ = ["UNSEALED", "check_seal", "has_seal", "seal"]

_MARK = b"mobilenet-sha256:"
_SEAL = re.compile(re.escape(_MARK) + b"([0-9a-f]{64})")

UNSEALED = (_MARK + 64 * b"0").decode()
"""What a writer puts somewhere into its file, once, before `seal`."""


def seal(data: bytes) -> bytes:
    """The file with its digest in place of `UNSEALED`; ValueError where that is not there exactly once."""
    if data.count(_MARK) != 1 or UNSEALED.encode() not in data:
        raise ValueError("a file to be sealed holds UNSEALED once")
    return data.replace(UNSEALED.encode(), _MARK + hashlib.sha256(data).hexdigest().encode())


def has_seal(data: bytes) -> bool:
    """Whether a seal is there at all, right or wrong: whether this tool wrote the file."""
    return _SEAL.search(data) is not None


def check_seal(data: bytes, path: Path) -> None:
    """ModelError unless `data` is what `seal` made of it; `path` is for the message."""
    found = _SEAL.search(data)
    if found is None:
        raise ModelError(f"{path} was not written by this tool, or is damaged; write one with mobilenet export MODEL")
    start, end = found.span(1)
    digest = hashlib.sha256(data[:start])
    digest.update(64 * b"0")
    digest.update(memoryview(data)[end:])
    if digest.hexdigest().encode() != found[1]:
        raise ModelError(f"{path} was damaged or changed after it was written; write it again with mobilenet export")
