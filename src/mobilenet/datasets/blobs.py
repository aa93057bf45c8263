"""Files on this machine or anywhere that fsspec opens, read in pieces: where shards of photos lie."""

import hashlib
import io
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from mobilenet.errors import DataError

__all__ = ["Blob", "expand", "file_below", "is_url", "list_folder", "open_blob", "spelled", "whole_path"]

_URL = re.compile(r"^[a-z][a-z0-9+.-]*:(?::|/)", re.IGNORECASE)
_AHEAD_BYTES = 8 * 2**20
_NEAR_BYTES = 2**20
"""What begins so near to the end of what was read last is read on with, in one piece of the size above."""


class Blob(Protocol):
    """One file that does not change: its whole name, its size in bytes and a stamp of its state."""

    name: str
    size: int
    stamp: bytes
    changed_ns: int

    def read(self, start: int, size: int) -> bytes:
        """The bytes from `start` on, fewer at the end of the file; OSError. Many threads may read."""
        ...


def is_url(path: Path) -> bool:
    """Whether a path stands for something that fsspec opens, such as `https://…`, `s3://…` or `hf://datasets/…`."""
    return bool(_URL.match(str(path)))


def spelled(path: Path) -> str:
    """The name as it was given: a Path makes one slash of the two in a URL."""
    return re.sub(r"(^|::)([a-z][a-z0-9+.-]*):/+", r"\1\2://", str(path)) if is_url(path) else str(path)


def whole_path(path: Path) -> Path:
    """The path from the root of its file system on: a URL has it already."""
    return path if is_url(path) else path.absolute()


def expand(path: Path) -> list[str]:
    """The names that a name with braces stands for: `data-{000000..000009}.tar` are ten."""
    name = spelled(path)
    if "{" not in name or (not is_url(path) and path.exists()):
        return [name]
    import braceexpand

    try:
        return list(braceexpand.braceexpand(name))
    except braceexpand.UnbalancedBracesError as error:
        raise DataError(f"{name}: its braces do not match; write data-{{000000..000009}}.tar") from error


def list_folder(path: Path) -> list[str]:
    """The whole names of all files below a folder or URL, sorted; none where it is no folder."""
    if not is_url(path):
        return sorted(str(file) for file in path.rglob("*") if file.is_file()) if path.is_dir() else []
    with _opening(spelled(path)):
        system, inner = _file_system(spelled(path))
        return sorted(str(system.unstrip_protocol(name)) for name in system.find(inner))


def file_below(shard: str, name: str) -> bytes | None:
    """A small file that lies beside a shard; None where there is none."""
    beside = f"{shard.rpartition('/')[0]}/{name}" if "/" in shard else name
    try:
        blob = open_blob(beside)
        return blob.read(0, 2**20)
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
        state = (os.path.abspath(name), status.st_size, self.changed_ns, status.st_ino, status.st_dev)  # noqa: PTH100
        self.stamp = hashlib.blake2b(repr(state).encode(), digest_size=16).digest()

    def read(self, start: int, size: int) -> bytes:
        with Path(self.name).open("rb") as file:
            file.seek(start)
            return file.read(size)


class _Remote:
    """A file that fsspec opens. Photos that follow each other come in pieces of 8 MB, others one by one."""

    def __init__(self, name: str) -> None:
        self.name, self.changed_ns = name, 0
        with _opening(name):
            self._system, self._path = _file_system(name)
            about = self._system.info(self._path)
            self.size = int(about["size"])
            state = [about.get(key) for key in ("size", "ETag", "etag", "mtime", "LastModified", "created", "sha")]
            self.stamp = hashlib.blake2b(repr((name, state)).encode(), digest_size=16).digest()
        self._lock = threading.Lock()
        self._start, self._piece = 0, b""

    def read(self, start: int, size: int) -> bytes:
        with self._lock:
            end = self._start + len(self._piece)
            if self._start <= start and start + size <= end:
                return self._piece[start - self._start : start - self._start + size]
            if end <= start + size and start - end <= _NEAR_BYTES:
                self._start = start
                self._piece = self._fetch(start, max(size, _AHEAD_BYTES))
                return self._piece[:size]
        return self._fetch(start, size)

    def _fetch(self, start: int, size: int) -> bytes:
        stop = min(start + size, self.size)
        if stop <= start:
            return b""
        try:
            return bytes(self._system.cat_file(self._path, start, stop))
        except (ValueError, RuntimeError) as error:
            raise OSError(f"cannot read {self.name}: {error}") from error


class Stream(io.RawIOBase):
    """A blob as a file to read and seek in."""

    def __init__(self, blob: Blob) -> None:
        self._blob, self._at = blob, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._blob.size}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        data = self._blob.read(self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


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
        raise DataError(f"cannot open {name}: {error}; pip install 'mobilenet[hub]' and what it names") from error
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"cannot open {name}: {reason}; check the address and the network") from error
