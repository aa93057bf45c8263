"""What a network answers on photos, kept in the cache folder within its size limit; found by a key of its own."""

import contextlib
import os
import threading
from pathlib import Path
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from mobilenet.datasets.cache.eviction import make_room, remove_quietly, writing
from mobilenet.datasets.cache.row_file import ENDING, RowFile, open_rows, row_file_bytes, write_rows
from mobilenet.datasets.cache.store import segments_in_use

__all__ = ["RowCache"]

_FOLDER = "answers-1"

_IN_USE: WeakSet[RowFile] = WeakSet()
_LOCK = threading.Lock()


class RowCache:
    """Arrays of float32 rows by key in `directory`, which holds at most `max_bytes` of all kinds of files.

    Nothing that this process has mapped is evicted for new rows. A key is a hexadecimal digest of everything that
    determines the values.
    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self.directory, self.max_bytes = directory, max_bytes

    def find(self, key: str, shape: tuple[int, int]) -> RowFile | None:
        """The file behind a key if it holds values of this shape (rows, width); None if it is missing or
        damaged. It is in use for as long as the result is referenced."""
        path = self._path(key)
        found = open_rows(path, *shape)
        if found is None:
            remove_quietly(path)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        with _LOCK:
            _IN_USE.add(found)
        return found

    def has_room(self, shape: tuple[int, int]) -> bool:
        """Whether an array of this shape (rows, width) would fit if all that is not in use were evicted."""
        return sum(self._kept().values()) + row_file_bytes(*shape) <= self.max_bytes

    def keep(self, key: str, values: NDArray[np.float32]) -> bool:
        """Keep an array (rows, width) behind a key; False if it does not fit. StorageError."""
        with writing(self.directory):
            wanted = row_file_bytes(*values.shape)
            if make_room(self.directory, wanted, self.max_bytes, self._kept().keys()) is None:
                return False
            write_rows(self._path(key), values)
        return True

    def _path(self, key: str) -> Path:
        return self.directory / _FOLDER / key[:2] / f"{key}{ENDING}"

    def _kept(self) -> dict[Path, int]:
        with _LOCK:
            mapped = [found for found in _IN_USE if self.directory in found.path.parents]
        sizes = {found.path: row_file_bytes(*found.values.shape) for found in mapped}
        return {**segments_in_use(self.directory), **sizes}
