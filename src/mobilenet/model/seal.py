"""A digest of a file inside the file itself: engines in C++ are never given a file that was damaged or changed.

The file contains, once, a mark followed by 64 hexadecimal digits: the SHA-256 of the file with zeros in their place.
It guards against damage, not against forgery: anyone who changes a file on purpose can seal it again.
"""

import hashlib
import re
from pathlib import Path

from mobilenet.errors import ModelError

__all__ = ["UNSEALED", "check_seal", "has_seal", "seal"]

_MARK = b"mobilenet-sha256:"
_SEAL = re.compile(re.escape(_MARK) + b"([0-9a-f]{64})")

UNSEALED = (_MARK + 64 * b"0").decode()
"""The placeholder that a writer puts into its file once, before `seal`."""


def seal(data: bytes) -> bytes:
    """The file with its digest in place of `UNSEALED`; ValueError unless that occurs exactly once."""
    if data.count(_MARK) != 1 or UNSEALED.encode() not in data:
        raise ValueError("a file to be sealed must contain UNSEALED once")
    return data.replace(UNSEALED.encode(), _MARK + hashlib.sha256(data).hexdigest().encode())


def has_seal(data: bytes) -> bool:
    """Whether there is a seal, valid or not, that is, whether this tool wrote the file."""
    return _SEAL.search(data) is not None


def check_seal(data: bytes, path: Path) -> None:
    """ModelError unless the seal in `data` is valid; `path` is for the message."""
    found = _SEAL.search(data)
    if found is None:
        raise ModelError(f"{path} was not written by this tool, or is damaged; write one with mobilenet export MODEL")
    start, end = found.span(1)
    digest = hashlib.sha256(data[:start])
    digest.update(64 * b"0")
    digest.update(memoryview(data)[end:])
    if digest.hexdigest().encode() != found[1]:
        raise ModelError(f"{path} was damaged or changed after it was written; write it again with mobilenet export")
