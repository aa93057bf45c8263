"""Vectors on disk, with the photos that they are of, so that each photo is only looked at once.

A store is a folder of segments, each a block of rows and the list of its photos:

store.json           which model and which folder of photos
000000.npy           (n, D) float32
000000.json          the n photos with the state of each file, and those that could not be read

A segment is complete once its list is there; nothing in it changes later. A photo that has gone or changed leaves a row
that nobody asks for, until the store is compacted.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobilenet.datasets.cache.eviction import LOCK
from mobilenet.errors import ConfigError, ModelError
from mobilenet.files import atomic_write, locked, storage_errors

__all__ = ["SEGMENT_ROWS", "Entry", "Row", "Stamp", "Store", "opened"]

SEGMENT_ROWS = 4096
"""Most rows of a segment: the number of a row, in all of a store, is that of its segment times this, plus its place."""

_FORMAT = 1
_STORE = "store.json"
_GONE = "gone"
"""In place of the reason: the photo is not there any more."""

Stamp = tuple[int, int]
"""Size of a file in bytes, and the time of its last change in ns."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of one photo: the number of its row, or the `reason` why it has none, and the state of its file."""

    stamp: Stamp
    row: int
    reason: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One photo to be kept: its vector (D,) float32, or the `reason` why it has none."""

    name: str
    stamp: Stamp
    vector: NDArray[np.float32] | None
    reason: str | None = None


@dataclass(slots=True)
class Store:
    """An open store: vectors of `dimensions` numbers; `entries` by the names of photos, `segments` the numbers of rows
    in each."""

    folder: Path
    dimensions: int
    entries: dict[str, Entry] = field(default_factory=dict)
    segments: dict[int, int] = field(default_factory=dict)

    def add(self, rows: Sequence[Row]) -> None:
        """Keep photos, at most `SEGMENT_ROWS`, as one more segment; StorageError."""
        number = max(self.segments, default=-1) + 1
        vectors = [row.vector for row in rows if row.vector is not None]
        block = np.stack(vectors) if vectors else np.empty((0, self.dimensions), np.float32)
        with atomic_write(self._file(number, "npy")) as file:
            np.save(file, block.astype(np.float32), allow_pickle=False)
        photos = [[row.name, *row.stamp, row.reason] for row in rows]
        with atomic_write(self._file(number, "json")) as file:
            file.write(json.dumps({"photos": photos}).encode("ascii"))
        self._note(number, photos)

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors (N, D) of the rows with these numbers (N,); ModelError for a segment that is damaged."""
        found = np.empty((len(rows), self.dimensions), np.float32)
        numbers = rows // SEGMENT_ROWS
        for number in np.unique(numbers).tolist():
            mine = numbers == number
            found[mine] = self.segment(number)[rows[mine] % SEGMENT_ROWS]
        return found

    def segment(self, number: int) -> NDArray[np.float32]:
        """The vectors (n, D) of a segment, mapped into memory; ModelError if it is damaged."""
        path = self._file(number, "npy")
        try:
            found: NDArray[np.float32] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise ModelError(f"cannot read {path}: {error}; delete {self.folder} to compute it again") from error
        if found.shape != (self.segments[number], self.dimensions) or found.dtype != np.float32:
            raise ModelError(f"{path} is damaged; delete {self.folder} to compute it again")
        return found

    def identity(self, number: int) -> list[int]:
        """What tells a segment from another one that had its number before."""
        status = self._file(number, "npy").stat()
        return [status.st_size, status.st_mtime_ns]

    def keep_only(self, names: Sequence[str]) -> None:
        """Forget all other photos; segments are written anew, in the order of `names`, where most rows are of those.
        StorageError."""
        wanted = set(names)
        gone = [Row(name, (0, 0), None, _GONE) for name in self.entries if name not in wanted]
        for start in range(0, len(gone), SEGMENT_ROWS):
            self.add(gone[start : start + SEGMENT_ROWS])
        live = sum(entry.reason is None for entry in self.entries.values())
        if sum(self.segments.values()) <= max(2 * live, SEGMENT_ROWS):
            return
        before, old = dict(self.entries), list(self.segments)
        ordered = [name for name in names if name in before]
        for start in range(0, len(ordered), SEGMENT_ROWS):
            self.add(self._rows(ordered[start : start + SEGMENT_ROWS], before))
        for number in old:
            with storage_errors(self.folder):
                # The list first: without it, a segment does not count.
                self._file(number, "json").unlink(missing_ok=True)
                self._file(number, "npy").unlink(missing_ok=True)
            del self.segments[number]

    def _rows(self, names: Sequence[str], entries: Mapping[str, Entry]) -> list[Row]:
        chosen = [entries[name] for name in names]
        found = self.vectors(np.array([entry.row for entry in chosen if entry.reason is None], np.int64))
        vectors = iter(found)
        return [
            Row(name, entry.stamp, next(vectors) if entry.reason is None else None, entry.reason)
            for name, entry in zip(names, chosen, strict=True)
        ]

    def load(self) -> None:
        """Read the lists of all segments; those that are damaged, or whose rows are missing, do not count."""
        for path in sorted(self.folder.glob("??????.json")):
            try:
                number, photos = int(path.stem), json.loads(path.read_text("ascii"))["photos"]
                sound = all(isinstance(photo[0], str) and len(photo) == 4 for photo in photos)
                if sound and self._file(number, "npy").is_file():
                    self._note(number, photos)
            except (OSError, ValueError, KeyError, TypeError, IndexError):
                path.unlink(missing_ok=True)

    def _note(self, number: int, photos: Sequence[Sequence[object]]) -> None:
        row = 0
        for name, size, changed, reason in photos:
            if reason == _GONE:
                self.entries.pop(str(name), None)
                continue
            place = number * SEGMENT_ROWS + row
            row += reason is None
            self.entries[str(name)] = Entry(
                (int(str(size)), int(str(changed))), place, None if reason is None else str(reason)
            )
        self.segments[number] = row

    def _file(self, number: int, ending: str) -> Path:
        return self.folder / f"{number:06d}.{ending}"


@contextmanager
def opened(folder: Path, dimensions: int, about: Mapping[str, str]) -> Iterator[Store]:
    """The store in a folder, which is made if need be, held by this process alone; `about` says what its vectors follow
    from. ConfigError if it is in use or for something else, StorageError if it cannot be written."""
    document = {"format": _FORMAT, "dimensions": dimensions, **about}
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with locked(folder / LOCK):
            with suppress(OSError):
                # The cache evicts what was not used for longest.
                os.utime(folder / LOCK)
            _check(folder, document)
            store = Store(folder, dimensions)
            store.load()
            yield store
    except BlockingIOError as error:
        raise ConfigError(f"another process is using the vectors in {folder}; wait until it has finished") from error


def _check(folder: Path, document: Mapping[str, object]) -> None:
    path = folder / _STORE
    if not path.is_file():
        if others := [name for name in os.listdir(folder) if name != LOCK]:  # noqa: PTH208 - names alone
            raise ConfigError(f"{folder} contains {others[0]}, but no vectors; choose another --index")
        with atomic_write(path) as file:
            file.write(json.dumps(document).encode("ascii"))
        return
    try:
        found = json.loads(path.read_text("ascii"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is damaged: {error}; delete {folder} or choose another --index") from error
    if found != document:
        raise ConfigError(f"{folder} contains vectors of another model or of other photos; choose another --index")
