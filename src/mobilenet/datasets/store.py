"""The folder of segments: finding squares by content, adding new ones within a bound, cleaning up."""

import contextlib
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import features

from mobilenet.datasets.segments import ENDING, Segment, index_of, open_segment, segment_bytes, write_segment
from mobilenet.errors import StorageError

try:
    import fcntl
except ImportError:  # Windows: debris is then removed only with the whole version
    fcntl = None  # type: ignore[assignment]

__all__ = ["Place", "Store"]

# Raised by one whenever `images` gives other pixels for the same photo.
_POLICY = 1
_SEGMENT_BYTES = 128 * 2**20

Place = tuple[int, int]
"""Number of the segment and row in it; segment -1 is no pixels."""


class Store:
    """Squares of one kind (`side`, `crop_fraction`) in `directory`, which holds at most `max_bytes` of all kinds.

    `find` may be called from many threads, the rest from one.
    """

    def __init__(self, directory: Path, side: int, crop_fraction: float | None, max_bytes: int) -> None:
        self.directory = directory
        self.side = side
        self.problem: str | None = None
        self._folder = directory / _version() / f"{side}-{'whole' if crop_fraction is None else repr(crop_fraction)}"
        self._lock = threading.Lock()
        self._max_bytes = max_bytes
        self._segments: list[Segment | None] = []
        self._checked: dict[int, bool] = {}
        self._places: dict[bytes, Place] = {}
        self._known_sizes: dict[bytes, tuple[int, int]] = {}
        self._pending: list[tuple[bytes, tuple[int, int]]] = []
        self._sizes_only: list[tuple[bytes, tuple[int, int]]] = []
        self._buffer: NDArray[np.uint8] = np.empty((0, side, side, 3), dtype=np.uint8)
        self._read_folder()

    @property
    def segments(self) -> list[Segment | None]:
        """By number; None for those that turned out damaged or could not be written."""
        return self._segments

    def find(self, key: bytes) -> tuple[Place, tuple[int, int]] | None:
        """Where the square of the photo with this digest is, and the photo's (height, width)."""
        with self._lock:
            place = self._places.get(key)
            if place is None or not self._intact(place[0]):
                return None
            segment = self._segments[place[0]]
            if segment is None:  # still in the buffer
                return place, self._pending[place[1]][1]
            row = segment.index[place[1]]
            return place, (int(row["height"]), int(row["width"]))

    def known_size(self, key: bytes) -> tuple[int, int] | None:
        """(height, width) of a photo that is known to decode, if there is no room for its pixels anyway."""
        return self._known_sizes.get(key) if not self.has_room() else None

    def has_room(self) -> bool:
        """Whether one more square fits within the bound, if all that is not in use were removed."""
        rows = len(self._pending) + 1
        return self.problem is None and self._bytes_in_use() + segment_bytes(rows, rows, self.side) <= self._max_bytes

    def add(self, key: bytes, size: tuple[int, int], pixels: NDArray[np.uint8]) -> Place:
        """Keep the square of a photo; the place has segment -1 where there is no room."""
        found = self.find(key)
        if found is not None:
            return found[0]
        if not self.has_room():
            self._sizes_only.append((key, size))
            return (-1, 0)
        if not self._pending:
            self._buffer = np.empty((self._rows_a_segment(), self.side, self.side, 3), dtype=np.uint8)
            self._segments.append(None)
            self._checked[len(self._segments) - 1] = True
        place = (len(self._segments) - 1, len(self._pending))
        self._buffer[place[1]] = pixels
        with self._lock:
            self._pending.append((key, size))
            self._places[key] = place
        if len(self._pending) == len(self._buffer):
            self._write_buffer()
        return place

    def finish(self) -> None:
        """Write what is still in memory; afterwards every place given out is in `segments`, or has no pixels."""
        self._write_buffer()
        new = [(key, size) for key, size in self._sizes_only if key not in self._known_sizes]
        if new and self.problem is None:
            index = index_of([key for key, _ in new], [size for _, size in new])
            with contextlib.suppress(StorageError), self._writing():
                write_segment(self._folder, index, np.empty((0, self.side, self.side, 3), dtype=np.uint8))

    def _rows_a_segment(self) -> int:
        return max(1, _SEGMENT_BYTES // (self.side * self.side * 3))

    def _intact(self, number: int) -> bool:
        if number not in self._checked:
            segment = self._segments[number]
            self._checked[number] = segment is not None and segment.intact()
            if segment is not None and self._checked[number]:
                with contextlib.suppress(OSError):
                    os.utime(segment.path)
            elif segment is not None:
                self._segments[number] = None
                segment.path.unlink(missing_ok=True)
        return self._checked[number]

    def _bytes_in_use(self) -> int:
        used = (self._segments[number] for number, intact in self._checked.items() if intact)
        return sum(segment_bytes(len(item.index), len(item.pixels), self.side) for item in used if item is not None)

    def _read_folder(self) -> None:
        self._remove_debris()
        for path in sorted(self._folder.glob(f"*{ENDING}")):
            segment = open_segment(path, self.side)
            if segment is None:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
            elif len(segment.pixels) == 0:
                for row in segment.index:
                    self._known_sizes[row["digest"].tobytes()] = (int(row["height"]), int(row["width"]))
            else:
                number = len(self._segments)
                self._segments.append(segment)
                for at, key in enumerate(segment.index["digest"]):
                    self._places[key.tobytes()] = (number, at)

    def _write_buffer(self) -> None:
        if not self._pending:
            return
        index = index_of([key for key, _ in self._pending], [size for _, size in self._pending])
        pixels = self._buffer[: len(index)]
        try:
            with self._writing():
                self._make_room(segment_bytes(len(index), len(pixels), self.side))
                path = write_segment(self._folder, index, pixels)
            self._segments[-1] = open_segment(path, self.side)
        except StorageError as error:
            self.problem = str(error)
        if self._segments[-1] is None:
            self._checked[len(self._segments) - 1] = False
        self._pending = []

    def _make_room(self, wanted: int) -> None:
        """Remove the segments of any kind that were not used for longest, except those in use here."""
        mine = {segment.path for number, segment in enumerate(self._segments) if segment and self._checked.get(number)}
        found = []
        for path in self.directory.glob(f"*/*/*{ENDING}"):
            with contextlib.suppress(OSError):
                status = path.stat()
                found.append((status.st_mtime_ns, path, status.st_size))
        total = sum(size for _, _, size in found)
        for _, path, size in sorted(found):
            if total + wanted <= self._max_bytes:
                return
            if path not in mine:
                self._forget(path)
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
                total -= size

    def _forget(self, path: Path) -> None:
        with self._lock:
            for number, segment in enumerate(self._segments):
                if segment is not None and segment.path == path:
                    self._segments[number] = None
                    self._checked[number] = False

    def _remove_debris(self) -> None:
        """Other versions, and temporary files that no living process is writing."""
        for folder in self.directory.glob("v*-pillow-*"):
            if folder.name != _version():
                shutil.rmtree(folder, ignore_errors=True)
        parts = list(self.directory.rglob(".*.part"))
        if not parts or fcntl is None:
            return
        with contextlib.suppress(OSError), (self.directory / "lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for part in parts:
                part.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Say to other processes that our temporary files are alive."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            lock = (self.directory / "lock").open("ab")
        except OSError as error:
            raise StorageError(f"cannot write {self.directory}: {(error.strerror or str(error)).lower()}") from error
        with lock:
            if fcntl is not None:
                fcntl.flock(lock, fcntl.LOCK_SH)
            yield


def _version() -> str:
    """Pixels depend on the decoder too, so another Pillow or libjpeg starts anew."""
    return f"v{_POLICY}-pillow-{PIL.__version__}-jpeg-{features.version('jpg')}"
