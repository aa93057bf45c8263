"""Eviction: keeping the cache folder within its size limit and free of leftovers of dead processes.

A folder with a lock of its own, such as one of vectors, is evicted whole, unless a process holds the lock.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator, Set
from pathlib import Path

from mobilenet.datasets.cache import row_file, segment_file
from mobilenet.errors import ConfigError, StorageError
from mobilenet.files import locked, locked_shared, storage_errors

__all__ = ["LOCK", "default_directory", "default_max_bytes", "make_room", "remove_debris", "remove_quietly", "writing"]

_DEFAULT_MAX_BYTES = 8 * 10**9
LOCK = "lock"
_ENDINGS = (segment_file.ENDING, row_file.ENDING)


def default_directory() -> Path:
    """$MOBILENET_CACHE, or `mobilenet` in $XDG_CACHE_HOME, or ~/.cache/mobilenet.

    ConfigError if neither variable is set and the user has no home folder. As the XDG specification says, a relative
    $XDG_CACHE_HOME is ignored.
    """
    chosen = os.environ.get("MOBILENET_CACHE")
    if chosen:
        return Path(chosen)
    caches = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (caches if caches.is_absolute() else _home() / ".cache") / "mobilenet"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        raise ConfigError(
            f"user {os.getuid()} has no home folder for the cache; set MOBILENET_CACHE to a folder for it"
        ) from error


def default_max_bytes(directory: Path) -> int:
    """8 GB, or half of the space that the disk has for the cache if that is less."""
    existing = next((path for path in directory.absolute().parents if path.is_dir()), Path())
    held = sum(size for _, _, size in _held(directory))
    return min(_DEFAULT_MAX_BYTES, (shutil.disk_usage(existing).free + held) // 2)


def make_room(directory: Path, wanted: int, max_bytes: int, keep: Set[Path]) -> list[Path] | None:
    """Evict the least recently used files until `wanted` bytes fit: the files removed, or None if they cannot fit."""
    held = sorted(_held(directory))
    kept = {path for _, path, _ in held if path in keep or _is_locked(path)}
    total = sum(size for _, _, size in held)
    if sum(size for _, path, size in held if path in kept) + wanted > max_bytes:
        return None
    removed = []
    for _, path, size in held:
        if total + wanted <= max_bytes:
            break
        if path not in kept and _evict(path):
            removed.append(path)
            total -= size
    return removed


def remove_debris(directory: Path, version: str) -> None:
    """Remove the files of other versions, and temporary files that no running process is writing."""
    for folder in directory.glob("v*-pillow-*"):
        if folder.name != version:
            shutil.rmtree(folder, ignore_errors=True)
    parts = list(directory.rglob(".*.part"))
    if not parts:
        return
    with contextlib.suppress(OSError, StorageError), locked(directory / LOCK):
        for part in parts:
            remove_quietly(part)


@contextlib.contextmanager
def writing(directory: Path) -> Iterator[None]:
    """Hold a lock that tells other processes that temporary files are being written here; StorageError."""
    with storage_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
    with locked_shared(directory / LOCK):
        yield


def remove_quietly(path: Path) -> None:
    """Remove a file that may be missing, or in use by another process."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _is_locked(path: Path) -> bool:
    """Whether a folder is in use."""
    if not path.is_dir():
        return False
    try:
        with locked(path / LOCK):
            return False
    except (OSError, StorageError):
        return True


def _evict(path: Path) -> bool:
    """Remove a file, or everything in a folder but its lock; False for a folder that is in use by now."""
    if not path.is_dir():
        remove_quietly(path)
        return True
    with contextlib.suppress(OSError, StorageError), locked(path / LOCK):
        for file in path.iterdir():
            if file.name != LOCK:
                remove_quietly(file)
        return True
    return False


def _held(directory: Path) -> Iterator[tuple[int, Path, int]]:
    """The time of last use of each file of any kind, or folder with a lock, its path, and its bytes."""
    for lock in directory.glob(f"*/*/{LOCK}"):
        with contextlib.suppress(OSError):
            size = sum(file.stat().st_size for file in lock.parent.iterdir() if file != lock)
            if size:
                yield lock.stat().st_mtime_ns, lock.parent, size
    for ending in _ENDINGS:
        for path in directory.glob(f"*/*/*{ending}"):
            with contextlib.suppress(OSError):
                status = path.stat()
                yield status.st_mtime_ns, path, status.st_size
