"""One process per run folder."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from mobilenet.errors import ConfigError
from mobilenet.files import storage_errors
from mobilenet.runs import RunFolder

__all__ = ["lock_folder"]


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Keep other processes from training in `folder` while this lasts; ConfigError names the one that already does.

    The folder is created if necessary, and removed at the end, with any parents created, if it stayed empty.
    """
    lock = RunFolder(folder).lock
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        handle = _acquire(lock)
        try:
            yield
        finally:
            # Removed while still held: a process that has opened it meanwhile sees that it is no longer the folder's.
            lock.unlink(missing_ok=True)
            os.close(handle)
    finally:
        with contextlib.suppress(OSError):
            for path in made:
                path.rmdir()


def _acquire(path: Path) -> int:
    """The locked file; the system releases the lock when the process ends, however it ends."""
    while True:
        with storage_errors(path):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        _lock(handle, path)
        if _is_at(handle, path):
            os.ftruncate(handle, 0)
            with storage_errors(path):
                os.write(handle, str(os.getpid()).encode())
            return handle
        os.close(handle)


def _lock(handle: int, path: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.read(handle, 20).decode("ascii", "replace").strip() or "another one"
        os.close(handle)
        raise ConfigError(
            f"process {owner} is training in {path.parent}; wait for it, or choose another --out"
        ) from error
    except OSError as error:
        os.close(handle)
        raise ConfigError(
            f"cannot lock {path}: {(error.strerror or str(error)).lower()}; choose an --out on a file system with locks"
        ) from error


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
