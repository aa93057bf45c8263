"""One process per run folder."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from mobilenet.errors import ConfigError
from mobilenet.files import locked, storage_errors
from mobilenet.runs.folder import RunFolder

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
        with contextlib.ExitStack() as held:
            _acquire(lock, held)
            try:
                yield
            finally:
                # Removed while it is still held: whoever opened it meanwhile sees that it is no longer the folder's.
                lock.unlink(missing_ok=True)
    finally:
        with contextlib.suppress(OSError):
            for path in made:
                path.rmdir()


def _acquire(path: Path, held: contextlib.ExitStack) -> None:
    """Lock the file that is at `path` once it is locked, and write into it whose it is."""
    while True:
        with contextlib.ExitStack() as attempt:
            handle = _locked(path, attempt)
            if _is_at(handle, path):
                os.ftruncate(handle, 0)
                with storage_errors(path):
                    os.write(handle, str(os.getpid()).encode())
                held.push(attempt.pop_all())
                return


def _locked(path: Path, attempt: contextlib.ExitStack) -> int:
    try:
        return attempt.enter_context(locked(path))
    except BlockingIOError as error:
        raise ConfigError(
            f"process {_owner(path)} is training in {path.parent}; wait for it, or choose another --out"
        ) from error
    except OSError as error:
        raise ConfigError(
            f"cannot lock {path}: {(error.strerror or str(error)).lower()}; choose an --out on a file system with locks"
        ) from error


def _owner(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_bytes()[:20].decode("ascii", "replace").strip() or "another one"
    return "another one"


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
