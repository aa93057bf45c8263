"""The squares of one kind in the cache folder: finding them by content, and adding new ones within the size limit."""

import contextlib
import os
import threading
from pathlib import Path
from weakref import WeakSet

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import features

from mobilenet.datasets.cache.eviction import make_room, remove_debris, remove_quietly, writing
from mobilenet.datasets.cache.segment_file import (
    ENDING,
    Segment,
    index_of,
    mapped_squares,
    open_segment,
    segment_bytes,
    write_segment,
)
from mobilenet.errors import StorageError
from mobilenet.images.resize import ResizeMethod

__all__ = ["NOWHERE", "Place", "Store", "segments_in_use"]

# Incremented whenever `images` gives different pixels for the same photo.
_POLICY = 1
_SEGMENT_BYTES, _MOST_SEGMENTS = 64 * 2**20, 256
"""A segment is in memory while it is filled, and an open file while it is used: neither too large nor too many."""

# One percent is reserved for the sizes of photos whose squares do not fit: 24 bytes each.
_SIZES_SHARE = 100

Place = tuple[int, int]
"""Index of the segment, and row in it."""

Size = tuple[int, int]
"""Height and width of a photo in pixels."""

NOWHERE: Place = (-1, -1)
"""The place of a square that is not cached."""

# Files mapped by this process are never evicted: otherwise validation photos would evict training photos.
_IN_USE: WeakSet[Segment] = WeakSet()
_LOCK = threading.Lock()
"""Guards `_IN_USE` and the state of a store that `find` reads: other threads may load photos too."""


class Store:
    """Squares of one `side`, `crop_fraction` and `method` in `directory`, which holds at most `max_bytes` of all kinds.

    `find` and `size_alone` are thread-safe; the rest must be called from one thread.
    """

    def __init__(
        self,
        directory: Path,
        side: int,
        crop_fraction: float | None,
        max_bytes: int,
        method: ResizeMethod = "area",
    ) -> None:
        self.directory = directory
        self.side = side
        self.max_bytes = max_bytes
        self.problem: str | None = None
        self._folder = directory / _version() / _name(side, crop_fraction, method)
        self._segments: list[Segment | None] = []
        self._intact: dict[int, bool] = {}
        self._places: dict[bytes, Place] = {}
        self._sizes: dict[bytes, Size] = {}
        self._new: list[tuple[bytes, Size]] = []
        self._sizes_alone: dict[bytes, Size] = {}
        self._buffer = self._empty(0)
        remove_debris(directory, _version())
        for path in sorted(self._folder.glob(f"*{ENDING}")):
            self._read(path)

    def segments(self) -> list[Segment | None]:
        """Segments by index; None for those that are damaged or could not be written."""
        return [segment if self._intact.get(number) else None for number, segment in enumerate(self._segments)]

    def find(self, key: bytes) -> tuple[Place, Size] | None:
        """The place of the square of the photo with this digest, and the photo's size; None if it is not cached."""
        with _LOCK:
            place = self._places.get(key)
            if place is None or not self._check(place[0]):
                return None
            return place, self._sizes[key]

    def size_alone(self, key: bytes) -> Size | None:
        """The recorded size of a decodable photo whose square does not fit into the cache."""
        return None if self.has_room() else self._sizes.get(key)

    def has_room(self) -> bool:
        """Whether one more square would fit if everything not in use were evicted."""
        return self.problem is None and (len(self._new) < len(self._buffer) or self._rows_left() > 0)

    def add(self, key: bytes, size: Size, pixels: NDArray[np.uint8]) -> Place:
        """Cache the square (side, side, 3) of a photo: its place, or NOWHERE if it does not fit."""
        found = self.find(key)
        if found is not None:
            return found[0]
        if not self.has_room():
            if key not in self._sizes:
                self._sizes_alone[key] = size
            return NOWHERE
        if not self._new:
            self._begin_segment()
        place = (len(self._segments) - 1, len(self._new))
        self._buffer[place[1]] = pixels
        with _LOCK:
            self._new.append((key, size))
            self._sizes[key] = size
            self._places[key] = place
        if len(self._new) == len(self._buffer):
            self._write_buffer()
        return place

    def finish(self) -> None:
        """Write what is still in memory; `problem` reports failures of the disk."""
        self._write_buffer()
        if not self._sizes_alone or self.problem is not None:
            return
        index = index_of(list(self._sizes_alone), list(self._sizes_alone.values()))
        with contextlib.suppress(StorageError), writing(self.directory):
            if self._make_room(segment_bytes(len(index), 0, self.side)):
                write_segment(self._folder, index, self._empty(0))

    def _empty(self, rows: int) -> NDArray[np.uint8]:
        return mapped_squares(rows, self.side)

    def _read(self, path: Path) -> None:
        segment = open_segment(path, self.side)
        if segment is None:
            remove_quietly(path)
            return
        keys = [key.tobytes() for key in segment.index["digest"]]
        sizes = zip(segment.index["height"].tolist(), segment.index["width"].tolist(), strict=True)
        if len(segment.pixels) == 0 and not segment.intact():
            remove_quietly(path)
            return
        self._sizes.update(zip(keys, sizes, strict=True))
        if len(segment.pixels):
            number = len(self._segments)
            self._segments.append(segment)
            self._places.update((key, (number, row)) for row, key in enumerate(keys))

    def _check(self, number: int) -> bool:
        """Whether a segment is intact, checked on first use, which marks it as in use."""
        if number not in self._intact:
            segment = self._segments[number]
            self._intact[number] = segment is not None and segment.intact()
            if segment is not None and self._intact[number]:
                _IN_USE.add(segment)
                with contextlib.suppress(OSError):
                    os.utime(segment.path)
            elif segment is not None:
                remove_quietly(segment.path)
        return self._intact[number]

    def _kept(self) -> dict[Path, int]:
        return _mapped(self.directory)

    def _rows_left(self) -> int:
        """Number of squares that one more segment may hold."""
        with _LOCK:
            left = self.max_bytes - self.max_bytes // _SIZES_SHARE - sum(self._kept().values())
        segment = max(_SEGMENT_BYTES, self.max_bytes // _MOST_SEGMENTS)
        rows = max(1, segment // (self.side * self.side * 3))
        while rows > 0 and segment_bytes(rows, rows, self.side) > left:
            rows = min(rows - 1, left // (self.side * self.side * 3))
        return max(rows, 0)

    def _begin_segment(self) -> None:
        self._buffer = self._empty(self._rows_left())
        self._segments.append(None)
        self._intact[len(self._segments) - 1] = True

    def _write_buffer(self) -> None:
        if not self._new:
            return
        number = len(self._segments) - 1
        index = index_of([key for key, _ in self._new], [size for _, size in self._new])
        pixels = self._buffer[: len(index)]
        segment = None
        try:
            with writing(self.directory):
                if self._make_room(segment_bytes(len(index), len(pixels), self.side)):
                    segment = open_segment(write_segment(self._folder, index, pixels), self.side)
        except StorageError as error:
            self.problem = str(error)
        with _LOCK:
            self._segments[number] = segment
            self._intact[number] = segment is not None
            if segment is not None:
                _IN_USE.add(segment)
        self._new = []
        self._buffer = self._empty(0)

    def _make_room(self, wanted: int) -> bool:
        with _LOCK:
            removed = make_room(self.directory, wanted, self.max_bytes, self._kept().keys())
            for number, segment in enumerate(self._segments):
                if removed and segment is not None and segment.path in removed:
                    self._intact[number] = False
        return removed is not None


def _name(side: int, crop_fraction: float | None, method: ResizeMethod) -> str:
    """The folder of one kind of squares; squares by area were there before other methods, and keep their name."""
    seen = "whole" if crop_fraction is None else repr(crop_fraction)
    return f"{side}-{seen}" if method == "area" else f"{side}-{seen}-{method}"


def segments_in_use(directory: Path) -> dict[Path, int]:
    """Bytes of the segments in this folder that this process has mapped; thread-safe."""
    with _LOCK:
        return _mapped(directory)


def _mapped(directory: Path) -> dict[Path, int]:
    mapped = [segment for segment in _IN_USE if directory in segment.path.parents]
    return {item.path: segment_bytes(len(item.index), len(item.pixels), item.pixels.shape[1]) for item in mapped}


def _version() -> str:
    """Pixels also depend on the decoder, so a different Pillow or libjpeg starts a new cache."""
    return f"v{_POLICY}-pillow-{PIL.__version__}-jpeg-{features.version('jpg')}"
