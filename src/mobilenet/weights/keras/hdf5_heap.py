"""Looks through an HDF5 file's text before the HDF5 library does, which never comes back from a damaged one.

Texts such as a Keras description lie in heaps ("GCOL"): chunks of a declared size, filled with objects of declared
sizes. At an object of size 0 the library would step on the spot for ever, and no signal would stop it.
"""

import mmap
import struct
from pathlib import Path

from mobilenet.errors import ModelError

__all__ = ["check_heaps"]

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HEAP, _HEAP_VERSION = b"GCOL", 1
_HEADER = 16
"""Bytes before the first object of a heap, and before the content of each object."""

_PLACES_OF_SIZES = {0: 13, 1: 13, 2: 9, 3: 9}
"""Where the first block of a file, by its version, says how many bytes an address and a size take."""


def check_heaps(path: Path) -> None:
    """ModelError for what is no HDF5 file, or has a heap without an end; OSError where `path` cannot be read."""
    with path.open("rb") as file:
        start = file.read(_HEADER)
        if start[: len(_SIGNATURE)] != _SIGNATURE:
            raise ModelError(
                "it does not start like an HDF5 file; give a file that Keras wrote with model.save('m.h5')"
            )
        place = _PLACES_OF_SIZES.get(start[8], 0) if len(start) == _HEADER else 0
        if start[place : place + 2] != b"\x08\x08":
            raise ModelError("it is of an unknown kind of HDF5, or is damaged; addresses and sizes of 8 bytes are read")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            _check(content)


def _check(content: mmap.mmap) -> None:
    # Heaps do not overlap, so all their objects together have no more headers than the file has room for.
    steps = len(content) // _HEADER
    heap = content.find(_HEAP)
    while heap >= 0:
        if content[heap + 4 : heap + 5] == bytes([_HEAP_VERSION]):
            steps -= _objects(content, heap, steps)
        heap = content.find(_HEAP, heap + len(_HEAP))


def _objects(content: mmap.mmap, heap: int, most: int) -> int:
    """The number of objects in the heap at this place."""
    size = int.from_bytes(content[heap + 8 : heap + _HEADER], "little")
    end, place, count = heap + size, heap + _HEADER, 0
    if end > len(content):
        raise ModelError(f"it is damaged: {size:,} bytes of text at {heap} go beyond its end")
    while place + _HEADER <= end:
        number, _, _, length = struct.unpack_from("<HHIQ", content, place)
        # Number 0 is what is free; its size counts its own header.
        step = length if number == 0 else _HEADER + length + -length % 8
        count += 1
        place += step
        if step < _HEADER or place > end or count > most:
            raise ModelError(f"it is damaged: the pieces of text at {heap} do not fill their place")
    return count
