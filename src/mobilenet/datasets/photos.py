"""A list of photos and their labels, light enough for a million photos."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from mobilenet.datasets.archive import Members
from mobilenet.datasets.targets import PartlyLabelled, Targets
from mobilenet.images.decode import read_photo

__all__ = ["LeftOut", "Photos", "with_files"]

_AFTER_SHARDS = 2**62
"""Files are read after the shards."""


@dataclass(frozen=True, eq=False, slots=True)
class Photos:
    """`files` are paths relative to `root` with forward slashes (or absolute ones); `targets` are their labels.

    Photos that are not files of their own are read by `members`; then `files` are names, and `root` is only displayed.
    """

    root: Path
    files: tuple[str, ...]
    targets: Targets
    members: Members | None = None

    def __len__(self) -> int:
        return len(self.files)

    def path(self, index: int) -> Path:
        """The file of photo `index`; with `members`, only its full name."""
        return self.root / self.files[index]

    def read(self, index: int) -> bytes:
        """The bytes of photo `index`, wherever they are; ImageError. Thread-safe."""
        if self.members is not None:
            return self.members.read(self.files[index])
        return read_photo(self.path(index))

    def in_reading_order(self, indices: Sequence[int]) -> list[int]:
        """The indices in the order in which reading the photos is fastest."""
        if self.members is None:
            return list(indices)
        places = {index: self.members.place(self.files[index]) for index in indices}
        return sorted(indices, key=lambda index: places[index])

    def take(self, indices: ArrayLike) -> "Photos":
        """The photos at `indices`, (M,) integers, in that order."""
        chosen = np.asarray(indices, dtype=np.int64)
        return replace(self, files=tuple(self.files[index] for index in chosen), targets=self.targets.take(chosen))


def with_files(photos: Photos, paths: Sequence[Path]) -> Photos:
    """The photos followed by those in files anywhere, which have no labels.

    Beside photos that are files, they are named relative to the root, so that the list stays the same when all of them
    move together.
    """
    targets = PartlyLabelled(
        photos.targets, np.append(np.arange(len(photos)), np.full(len(paths), -1)).astype(np.int64)
    )
    if photos.members is None:
        root = photos.root.absolute()
        names = tuple(os.path.relpath(path.absolute(), root).replace(os.sep, "/") for path in paths)
        return replace(photos, files=(*photos.files, *names), targets=targets)
    names = tuple(str(path.absolute()) for path in paths)
    members = _MembersAndFiles(photos.members, frozenset(names))
    return replace(photos, files=(*photos.files, *names), targets=targets, members=members)


@dataclass(frozen=True, slots=True)
class _MembersAndFiles:
    """Reads photos in shards and, by their absolute paths, `files`."""

    members: Members
    files: frozenset[str]

    def read(self, file: str) -> bytes:
        return read_photo(Path(file)) if file in self.files else self.members.read(file)

    def stamp(self, file: str) -> tuple[bytes, int]:
        if file not in self.files:
            return self.members.stamp(file)
        try:
            status = Path(file).stat()
        except OSError:
            return b"", time.time_ns()
        state = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)
        return f"{file}\0{state}".encode(errors="surrogateescape"), max(status.st_mtime_ns, status.st_ctime_ns)

    def place(self, file: str) -> tuple[int, int, int]:
        return (_AFTER_SHARDS, 0, 0) if file in self.files else self.members.place(file)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A photo that is not used: its file as in `Photos.files`, and the reason."""

    file: str
    reason: str
