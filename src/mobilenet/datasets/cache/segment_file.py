"""Files of decoded photos: one file holds some hundred squares of one size, keyed by the content of their photos.

    64 bytes     magic, side, rows, rows with pixels (all or none), checksum of the rest
    24 per row   digest of the photo's bytes, height and width of the photo
    padding      to a multiple of 4096
    pixels       rows x 3 x side x side, uint8: the order in which augmentation multiplies them

If the pixels do not fit into the cache, a segment records only which photos can be decoded, and their sizes.
"""

import mmap
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobilenet.datasets.digest import DIGEST_BYTES, digest
from mobilenet.files import atomic_path

__all__ = [
    "ENDING",
    "Segment",
    "empty_squares",
    "index_of",
    "mapped_squares",
    "open_segment",
    "segment_bytes",
    "write_segment",
]

ENDING = ".pixels"
_MAGIC = b"MNPIXEL2"
_HEADER = struct.Struct("<8sIQQI32x")
_PAGE = 4096
_ROW = np.dtype([("digest", f"V{DIGEST_BYTES}"), ("height", "<i4"), ("width", "<i4")])


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Segment:
    """`index` (n,) with fields digest, height, width; `pixels` (n or 0, side, side, 3) uint8, mapped from the file."""

    path: Path
    index: NDArray[np.void]
    pixels: NDArray[np.uint8]
    checksum: int
    mapping: mmap.mmap

    def intact(self) -> bool:
        """Whether the file still holds what was written; reads all of it."""
        intact = _checksum(self.index, self.pixels) == self.checksum
        self.let_go()
        return intact

    def let_go(self) -> None:
        """Release the mapped pages from this process; the system's page cache keeps them while it has room."""
        self.mapping.madvise(mmap.MADV_DONTNEED)


def empty_squares(count: int, side: int) -> NDArray[np.uint8]:
    """An uninitialised array (count, side, side, 3), with the memory layout of the file."""
    return np.empty((count, 3, side, side), dtype=np.uint8).transpose(0, 2, 3, 1)


def mapped_squares(count: int, side: int) -> NDArray[np.uint8]:
    """As `empty_squares`, (count, side, side, 3), in a memory map of its own that is returned to the system with the
    array, whatever the settings of the allocator."""
    if not count:
        return empty_squares(0, side)
    mapping = mmap.mmap(-1, count * side * side * 3)
    return np.frombuffer(mapping, np.uint8).reshape(count, 3, side, side).transpose(0, 2, 3, 1)


def index_of(digests: Sequence[bytes], sizes: Sequence[tuple[int, int]]) -> NDArray[np.void]:
    """The index (n,) of a segment from digests and (height, width)."""
    rows = [(key, height, width) for key, (height, width) in zip(digests, sizes, strict=True)]
    return np.array(rows, dtype=_ROW)


def segment_bytes(rows: int, pixel_rows: int, side: int) -> int:
    """The size of a segment file in bytes."""
    return _pixels_at(rows) + pixel_rows * side * side * 3


def write_segment(folder: Path, index: NDArray[np.void], pixels: NDArray[np.uint8]) -> Path:
    """Write a segment, `index` (n,) and `pixels` (n or 0, side, side, 3), atomically under a name derived from its
    content; StorageError."""
    path = folder / f"{digest(index.tobytes() + bytes([len(pixels) > 0])).hex()}{ENDING}"
    header = _HEADER.pack(_MAGIC, pixels.shape[1], len(index), len(pixels), _checksum(index, pixels))
    padding = _pixels_at(len(index)) - _HEADER.size - index.nbytes
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(header + index.tobytes() + bytes(padding))
        file.write(_planes(pixels).data)
    return path


def open_segment(path: Path, side: int) -> Segment | None:
    """Map a segment; None if the file is missing, is not a segment of this side, or has the wrong length."""
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER.size)
            size = file.seek(0, 2)
        if len(header) < _HEADER.size:
            return None
        magic, found_side, rows, pixel_rows, checksum = _HEADER.unpack(header)
        if magic != _MAGIC or found_side != side or pixel_rows not in (0, rows) or rows == 0:
            return None
        if size != segment_bytes(rows, pixel_rows, side):
            return None
        with path.open("rb") as file:
            mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        return None
    mapped = np.frombuffer(mapping, np.uint8)
    index = np.array(mapped[_HEADER.size : _HEADER.size + rows * _ROW.itemsize]).view(_ROW)
    pixels = mapped[_pixels_at(rows) :].reshape(pixel_rows, 3, side, side).transpose(0, 2, 3, 1)
    return Segment(path, index, pixels, checksum, mapping)


def _pixels_at(rows: int) -> int:
    return -(-(_HEADER.size + rows * _ROW.itemsize) // _PAGE) * _PAGE


def _checksum(index: NDArray[np.void], pixels: NDArray[np.uint8]) -> int:
    return zlib.crc32(_planes(pixels).data if pixels.size else b"", zlib.crc32(index.tobytes()))


def _planes(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The bytes of (n, side, side, 3) pixels in the order of the file; copied only if their layout differs."""
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)).reshape(-1)
