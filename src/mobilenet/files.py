"""Atomic file writes."""

import contextlib
import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from mobilenet.errors import StorageError

__all__ = ["atomic_path", "atomic_write", "check_writable", "locked", "locked_shared", "storage_errors"]


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn an OSError from writing `path` into a one-line StorageError."""
    try:
        yield
    except OSError as error:
        remedy = (
            "free some space and run again" if error.errno == errno.ENOSPC else "choose another location with --out"
        )
        raise StorageError(f"cannot write {path}: {(error.strerror or str(error)).lower()}; {remedy}") from error


def check_writable(folder: Path) -> None:
    """StorageError if `folder` cannot be created or written to; creates nothing, for checks before long work."""
    with storage_errors(folder):
        there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        if not there.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(there, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`: fsynced and renamed to `path` on success, removed on failure. StorageError."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f".{path.name[:60]}.{secrets.token_urlsafe(6)}.part"
        # The kernel applies the umask: reading it means setting it, for every other thread too.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        with storage_errors(path):
            yield temporary
            _publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """A binary file written to `path` atomically; StorageError."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        yield file


@contextlib.contextmanager
def locked(path: Path) -> Iterator[int]:
    """A folder, or a file that is made if need be, open and held by this process alone while this lasts.

    The system forgets the lock when the process ends, however it ends. BlockingIOError where another process holds it,
    OSError where the disk locks no files, StorageError where it cannot be opened.
    """
    with _held(path, fcntl.LOCK_EX | fcntl.LOCK_NB) as handle:
        yield handle


@contextlib.contextmanager
def locked_shared(path: Path) -> Iterator[int]:
    """As `locked`, held by any number of processes that all share it; waits for one that holds it alone."""
    with _held(path, fcntl.LOCK_SH) as handle:
        yield handle


@contextlib.contextmanager
def _held(path: Path, how: int) -> Iterator[int]:
    opening = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
    with storage_errors(path):
        handle = os.open(path, opening | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(handle, how)
        yield handle
    finally:
        os.close(handle)


def _publish(temporary: Path, path: Path) -> None:
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
