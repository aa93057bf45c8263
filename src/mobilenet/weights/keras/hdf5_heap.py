"""Checks the text heaps of an HDF5 file before the HDF5 library reads them, which hangs on damaged ones.

Text such as a Keras description is stored in heaps ("GCOL"): chunks of a declared size, filled with objects of declared
sizes. An object of size 0 would put the library in an endless loop that no signal can stop.
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
"""Offset, by version of the superblock, of the sizes in bytes of addresses and lengths."""


def check_heaps(path: Path) -> None:
    """ModelError if it is not an HDF5 file, or has an endless heap; OSError if `path` cannot be read."""
    with path.open("rb") as file:
        start = file.read(_HEADER)
        if start[: len(_SIGNATURE)] != _SIGNATURE:
            raise ModelError("it is not an HDF5 file; give a file written by Keras with model.save('m.h5')")
        place = _PLACES_OF_SIZES.get(start[8], 0) if len(start) == _HEADER else 0
        if start[place : place + 2] != b"\x08\x08":
            raise ModelError("it is an unsupported kind of HDF5, or is damaged; addresses and sizes must be 8 bytes")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            _check(content)


def _check(content: mmap.mmap) -> None:
    # Heaps do not overlap, so all their objects together have no more headers than fit in the file.
    steps = len(content) // _HEADER
    heap = content.find(_HEAP)
    while heap >= 0:
        if content[heap + 4 : heap + 5] == bytes([_HEAP_VERSION]):
            steps -= _objects(content, heap, steps)
        heap = content.find(_HEAP, heap + len(_HEAP))


def _objects(content: mmap.mmap, heap: int, most: int) -> int:
    """The number of objects in the heap at this offset."""
    size = int.from_bytes(content[heap + 8 : heap + _HEADER], "little")
    end, place, count = heap + size, heap + _HEADER, 0
    if end > len(content):
        raise ModelError(f"it is damaged: {size:,} bytes of text at {heap} extend beyond the end of the file")
    while place + _HEADER <= end:
        number, _, _, length = struct.unpack_from("<HHIQ", content, place)
        # Object 0 is the free space; its size includes its own header.
        step = length if number == 0 else _HEADER + length + -length % 8
        count += 1
        place += step
        if step < _HEADER or place > end or count > most:
            raise ModelError(f"it is damaged: the objects at {heap} do not fill their heap")
    return count
