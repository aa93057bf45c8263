"""Local files, or any that fsspec opens, read in byte ranges: the storage of shards."""

import hashlib
import io
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from mobilenet.datasets.remote.urls import is_url, spelled
from mobilenet.errors import DataError
from mobilenet.extras import pip_install

__all__ = ["Blob", "Stream", "file_below", "list_files", "open_blob"]

_AHEAD_BYTES = 4 * 2**20
_NEAR_BYTES = 2**20
"""A read that begins within this distance of the end of the last one is treated as sequential, and read ahead."""

_PIECES_KEPT = 16
_STATES = ("ETag", "etag", "mtime", "LastModified", "last_modified", "created", "blob_id", "sha256", "md5Hash")
"""Entries of a file system's info that change with the content of a file."""


class Blob(Protocol):
    """One immutable file: its full name, its size in bytes, a stamp of its state, and its mtime in ns since 1970 (0:
    unknown)."""

    name: str
    size: int
    stamp: bytes
    changed_ns: int

    def read(self, start: int, size: int) -> bytes:
        """`size` bytes from `start`, fewer at the end of the file; OSError. Thread-safe."""
        ...

    def open(self) -> BinaryIO:
        """A seekable binary stream of the file; OSError."""
        ...


def list_files(url: Path) -> list[str]:
    """The whole names of all files below a URL, sorted; DataError where it cannot be reached."""
    name = spelled(url)
    with _opening(name):
        system, inner = _file_system(name)
        return sorted(str(system.unstrip_protocol(file)) for file in system.find(inner))


def file_below(shard: str, name: str, most_bytes: int) -> bytes | None:
    """A small file beside a shard; None if there is none."""
    beside = f"{shard.rpartition('/')[0]}/{name}" if "/" in shard else name
    try:
        return open_blob(beside).read(0, most_bytes)
    except (DataError, OSError):
        return None


def open_blob(name: str) -> Blob:
    """A file by its full name; DataError if it does not exist or cannot be reached."""
    return _Remote(name) if is_url(Path(name)) else _Local(name)


class _Local:
    """A local file, opened for each read: a data set may have more shards than a process may have open files."""

    def __init__(self, name: str) -> None:
        self.name = name
        try:
            status = Path(name).stat()
        except OSError as error:
            raise DataError(f"cannot read {name}: {(error.strerror or str(error)).lower()}") from error
        self.size = status.st_size
        self.changed_ns = max(status.st_mtime_ns, status.st_ctime_ns)
        self.stamp = _stamp(os.path.abspath(name), self.size, self.changed_ns, status.st_ino, status.st_dev)  # noqa: PTH100

    def read(self, start: int, size: int) -> bytes:
        with self.open() as file:
            file.seek(start)
            return file.read(size)

    def open(self) -> BinaryIO:
        return Path(self.name).open("rb")


class _Remote:
    """A file that fsspec opens. Sequential reads fetch pieces of several MB, other reads only what they need."""

    def __init__(self, name: str) -> None:
        self.name, self.changed_ns = name, 0
        with _opening(name):
            self._system, self._path = _file_system(name)
            about = self._system.info(self._path)
            self.size = int(about["size"])
        state = [str(about[key]) for key in _STATES if about.get(key)]
        # If nothing tells whether the file has changed, nothing about it is cached.
        self.stamp = _stamp(name, self.size, state or os.urandom(16))
        self._lock = threading.Lock()

    def read(self, start: int, size: int) -> bytes:
        with self._lock:
            known = _PIECES.find(self.name, start, size)
            if known is not None:
                return known
            ahead = start == 0 or _PIECES.follows(self.name, start)
            piece = self._fetch(start, max(size, _AHEAD_BYTES) if ahead else size)
            _PIECES.keep(self.name, start, piece)
            return piece[:size]

    def open(self) -> BinaryIO:
        return cast("BinaryIO", Stream(self))

    def _fetch(self, start: int, size: int) -> bytes:
        stop = min(start + size, self.size)
        if stop <= start:
            return b""
        try:
            return bytes(self._system.cat_file(self._path, start, stop))
        except (ValueError, RuntimeError) as error:
            raise OSError(f"cannot read {self.name}: {error}") from error


class _Pieces:
    """The pieces read last, of all remote files together: memory is bounded for any number of files."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, name: str, start: int, size: int) -> bytes | None:
        """The bytes, if one piece contains them all."""
        with self._lock:
            for (owner, first), piece in self._kept.items():
                if owner == name and first <= start and start + size <= first + len(piece):
                    self._kept.move_to_end((owner, first))
                    return piece[start - first : start - first + size]
        return None

    def follows(self, name: str, start: int) -> bool:
        """Whether a piece ends at or shortly before `start`."""
        with self._lock:
            ends = [first + len(piece) for (owner, first), piece in self._kept.items() if owner == name and piece]
        return any(-_AHEAD_BYTES <= start - end <= _NEAR_BYTES for end in ends)

    def keep(self, name: str, start: int, piece: bytes) -> None:
        """Keep a piece, and evict the least recently used ones."""
        with self._lock:
            self._kept[name, start] = piece
            while len(self._kept) > _PIECES_KEPT:
                self._kept.popitem(last=False)


_PIECES = _Pieces()


class Stream(io.RawIOBase):
    """A blob as a seekable stream."""

    def __init__(self, blob: Blob) -> None:
        self._blob, self._at = blob, 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._blob.size}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def tell(self) -> int:
        """The position in bytes."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer, or less at the end of the file; the number of bytes read."""
        data = self._blob.read(self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _stamp(*state: object) -> bytes:
    return hashlib.blake2b(repr(state).encode(), digest_size=16).digest()


def _file_system(name: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    system, path = url_to_fs(name)
    return system, str(path)


@contextmanager
def _opening(name: str) -> Iterator[None]:
    """Turn errors of fsspec and the libraries below it into a one-line DataError."""
    try:
        yield
    except ImportError as error:
        raise DataError(f"cannot open {name}: {error}; {pip_install('fsspec')} and the package it names") from error
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"cannot open {name}: {reason}; check the address and the network") from error
