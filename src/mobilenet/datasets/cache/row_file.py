"""Files of what a network answers on photos: one row of float32 values per photo.

32 bytes     magic, rows, values per row, checksum of the rest
values       rows x values per row, float32, little-endian
"""

import mmap
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobilenet.files import atomic_path

__all__ = ["ENDING", "RowFile", "open_rows", "row_file_bytes", "write_rows"]

ENDING = ".rows"
_MAGIC = b"MNROWS01"
_HEADER = struct.Struct("<8sQQI4x")
_VALUE = np.dtype("<f4")


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class RowFile:
    """`values` (rows, values per row) float32, mapped from the file."""

    path: Path
    values: NDArray[np.float32]


def row_file_bytes(rows: int, width: int) -> int:
    """The size in bytes of a file of `rows` rows with `width` values each."""
    return _HEADER.size + rows * width * _VALUE.itemsize


def write_rows(path: Path, values: NDArray[np.float32]) -> None:
    """Write an array (rows, width) atomically; StorageError."""
    data = np.ascontiguousarray(values, _VALUE).reshape(-1).view(np.uint8).data
    header = _HEADER.pack(_MAGIC, *values.shape, zlib.crc32(data))
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(header)
        file.write(data)


def open_rows(path: Path, rows: int, width: int) -> RowFile | None:
    """Map a file and read all of it once; None if it is missing, damaged or of another shape than (rows, width)."""
    try:
        with path.open("rb") as file:
            mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        return None
    data = np.frombuffer(mapping, np.uint8)
    if len(data) != row_file_bytes(rows, width):
        return None
    magic, *shape, checksum = _HEADER.unpack(data[: _HEADER.size].tobytes())
    if magic != _MAGIC or shape != [rows, width] or zlib.crc32(data[_HEADER.size :].data) != checksum:
        return None
    return RowFile(path, data[_HEADER.size :].view(_VALUE).reshape(rows, width))
