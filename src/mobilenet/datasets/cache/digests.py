"""Digests of the bytes of photos, which identify a photo.

Reading every byte of a large data set takes minutes, so digests are cached by the state of a file: its path, size,
times and inode. A file that changed within the last seconds is not cached: another change could follow within the same
tick of the clock.
"""

import os
import stat
import struct
import time
from pathlib import Path

import numpy as np
from numpy.lib.format import read_array
from numpy.typing import NDArray

from mobilenet.datasets.archive import Members
from mobilenet.datasets.digest import DIGEST_BYTES, digest
from mobilenet.datasets.photos import Photos
from mobilenet.errors import ImageError
from mobilenet.files import atomic_write
from mobilenet.images.decode import read_photo
from mobilenet.parallel import in_order

__all__ = ["DigestIndex", "digest_index", "digests"]

_MOST_ENTRIES = 2_000_000
_SETTLED_NS = 2_000_000_000
_STATE = struct.Struct("<qqqQQ")
_AT_ONCE = 512
"""Files that a thread reads per task: one task per file would cost more than reading a small file. Photos in shards are
read one by one, so that all threads read in the same region."""


def digest_index(directory: Path, photos: Photos) -> "DigestIndex":
    """The digests of photos that are cached in `directory`."""
    return DigestIndex(directory / "digests.npy", photos)


def digests(photos: Photos, index: "DigestIndex", workers: int | None = None) -> tuple[list[bytes], dict[int, bytes]]:
    """The digest of each photo's bytes, and the new ones, not in `index`, by photo; an unreadable file gets a unique
    digest."""
    known = index.find()
    found = [key or b"" for key in known]
    unknown = photos.in_reading_order([number for number, key in enumerate(known) if key is None])
    at_once = _AT_ONCE if photos.members is None else 1
    root = f"{photos.root.absolute()}/"

    def read(start: int) -> list[bytes]:
        numbers = unknown[start : start + at_once]
        sizes = index.sizes[numbers].tolist()
        return [_photo_digest(photos, root, number, size) for number, size in zip(numbers, sizes, strict=True)]

    for start, keys in in_order(read, range(0, len(unknown), at_once), workers or os.cpu_count() or 1):
        for number, key in zip(unknown[start : start + at_once], keys, strict=True):
            found[number] = key
    return found, {number: found[number] for number in unknown}


class DigestIndex:
    """The cached digests of `photos`; `path` is the cache file, which may be missing or damaged.

    `sizes` (N,) int64 are bytes, -1 for anything but a regular file.
    """

    def __init__(self, path: Path, photos: Photos) -> None:
        self._path = path
        self._table = _read_table(path)
        self._started_ns = time.time_ns()
        self._changed_ns = np.empty(len(photos), dtype=np.int64)
        self.sizes = np.empty(len(photos), dtype=np.int64)
        stamps = bytearray(len(photos) * DIGEST_BYTES)
        root = f"{photos.root.absolute()}/"
        for index, file in enumerate(photos.files):
            state = _stamp(root, file) if photos.members is None else _member_stamp(photos.members, file)
            stamp, self._changed_ns[index], self.sizes[index] = state
            stamps[index * DIGEST_BYTES : (index + 1) * DIGEST_BYTES] = stamp
        self._stamps = np.frombuffer(stamps, dtype=np.uint64).reshape(-1, 2)

    def find(self) -> list[bytes | None]:
        """The digest of each photo, None if it is not cached."""
        rows = np.searchsorted(self._table[:, 0], self._stamps[:, 0])
        rows = np.minimum(rows, len(self._table) - 1) if len(self._table) else rows
        if not len(self._table):
            return [None] * len(rows)
        known = (self._table[rows, :2] == self._stamps).all(axis=1)
        keys = np.ascontiguousarray(self._table[rows, 2:])
        return [key.tobytes() if here else None for key, here in zip(keys, known, strict=True)]

    def save(self, found: dict[int, bytes]) -> None:
        """Cache digests by index in `photos`; StorageError."""
        settled = [index for index in found if self._changed_ns[index] < self._started_ns - _SETTLED_NS]
        if not settled:
            return
        keys = np.frombuffer(b"".join(found[index] for index in settled), dtype=np.uint64).reshape(-1, 2)
        table = np.concatenate([np.hstack([self._stamps[settled], keys]), _read_table(self._path)])
        _, first = np.unique(table[:, 0], return_index=True)
        kept = np.sort(first)[:_MOST_ENTRIES]
        table = table[kept][np.argsort(table[kept, 0])]
        with atomic_write(self._path) as file:
            np.save(file, table, allow_pickle=False)


def _read_table(path: Path) -> NDArray[np.uint64]:
    """(N, 4) uint64, sorted by the first column: two numbers for the stamp of a file, two for its digest."""
    empty = np.empty((0, 4), dtype=np.uint64)
    try:
        # Not np.load, which would treat bytes that begin like a zip archive as one.
        with path.open("rb") as file:
            table = read_array(file, allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError, MemoryError):
        return empty
    return table if table.dtype == np.uint64 and table.ndim == 2 and table.shape[1] == 4 else empty


def _stamp(root: str, file: str) -> tuple[bytes, int, int]:
    """16 bytes for the state of a file, its last change in ns, its size; a missing file counts as changed just now."""
    path = _path(root, file)
    try:
        status = os.stat(path)  # noqa: PTH116 - a million files: no Path object for each
    except (OSError, ValueError):
        return bytes(DIGEST_BYTES), time.time_ns(), -1
    modified, changed, size = status.st_mtime_ns, status.st_ctime_ns, status.st_size
    state = _STATE.pack(size, modified, changed, status.st_ino, status.st_dev)
    return (
        digest(path.encode(errors="surrogateescape") + state),
        max(modified, changed),
        size if stat.S_ISREG(status.st_mode) else -1,
    )


def _member_stamp(members: Members, file: str) -> tuple[bytes, int, int]:
    stamp, changed_ns = members.stamp(file)
    return digest(stamp), changed_ns, -1


def _photo_digest(photos: Photos, root: str, number: int, size: int) -> bytes:
    file = photos.files[number]
    try:
        if photos.members is not None:
            return digest(photos.members.read(file))
        return digest(read_photo(_path(root, file), size=size if size >= 0 else None))
    except ImageError:
        return digest(b"unreadable\0" + file.encode(errors="surrogateescape"))


def _path(root: str, file: str) -> str:
    return file if file.startswith("/") else root + file
