"""Files on this machine or anywhere that fsspec opens, read in pieces: where shards of photos lie."""

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
"""What begins so near to the end of what was read before is read on with, in one piece of the size above."""

_PIECES_KEPT = 16
_STATES = ("ETag", "etag", "mtime", "LastModified", "last_modified", "created", "blob_id", "sha256", "md5Hash")
"""What file systems say of a file that changes with its content."""


class Blob(Protocol):
    """One file that does not change: its whole name, its size in bytes, a stamp of its state, and when it last changed
    in ns since 1970 (0: not known)."""

    name: str
    size: int
    stamp: bytes
    changed_ns: int

    def read(self, start: int, size: int) -> bytes:
        """The bytes from `start` on, fewer at the end of the file; OSError. Many threads may read."""
        ...

    def open(self) -> BinaryIO:
        """The file from its beginning, to read and seek in; OSError."""
        ...


def list_files(url: Path) -> list[str]:
    """The whole names of all files below a URL, sorted; DataError where it cannot be reached."""
    name = spelled(url)
    with _opening(name):
        system, inner = _file_system(name)
        return sorted(str(system.unstrip_protocol(file)) for file in system.find(inner))


def file_below(shard: str, name: str, most_bytes: int) -> bytes | None:
    """A small file that lies beside a shard; None where there is none."""
    beside = f"{shard.rpartition('/')[0]}/{name}" if "/" in shard else name
    try:
        return open_blob(beside).read(0, most_bytes)
    except (DataError, OSError):
        return None


def open_blob(name: str) -> Blob:
    """A file by its whole name; DataError where there is none or it cannot be reached."""
    return _Remote(name) if is_url(Path(name)) else _Local(name)


class _Local:
    """A file on this machine, opened for each reading: a data set may have more shards than a process may have open."""

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
    """A file that fsspec opens. What follows what was read before comes in pieces of some MB, the rest one by one."""

    def __init__(self, name: str) -> None:
        self.name, self.changed_ns = name, 0
        with _opening(name):
            self._system, self._path = _file_system(name)
            about = self._system.info(self._path)
            self.size = int(about["size"])
        state = [str(about[key]) for key in _STATES if about.get(key)]
        # Where nothing tells whether it has changed, nothing is remembered of it.
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
    """The pieces that were read last, of all remote files together: memory is bounded however many files there are."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, name: str, start: int, size: int) -> bytes | None:
        """Those bytes, if a piece holds them all."""
        with self._lock:
            for (owner, first), piece in self._kept.items():
                if owner == name and first <= start and start + size <= first + len(piece):
                    self._kept.move_to_end((owner, first))
                    return piece[start - first : start - first + size]
        return None

    def follows(self, name: str, start: int) -> bool:
        """Whether a piece reaches as far as `start` or almost."""
        with self._lock:
            ends = [first + len(piece) for (owner, first), piece in self._kept.items() if owner == name and piece]
        return any(-_AHEAD_BYTES <= start - end <= _NEAR_BYTES for end in ends)

    def keep(self, name: str, start: int, piece: bytes) -> None:
        """Keep a piece, and drop those that were not used for longest."""
        with self._lock:
            self._kept[name, start] = piece
            while len(self._kept) > _PIECES_KEPT:
                self._kept.popitem(last=False)


_PIECES = _Pieces()


class Stream(io.RawIOBase):
    """A blob as a file to read and seek in."""

    def __init__(self, blob: Blob) -> None:
        self._blob, self._at = blob, 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go there."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._blob.size}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def tell(self) -> int:
        """Bytes from the beginning."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer, but for the end of the file."""
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
    """Turn what fsspec and the libraries below it raise into one line."""
    try:
        yield
    except ImportError as error:
        raise DataError(f"cannot open {name}: {error}; {pip_install('fsspec')} and what it names") from error
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"cannot open {name}: {reason}; check the address and the network") from error
