"""A list of photos and their labels, light enough for a million photos."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from mobilenet.datasets.archive import Members
from mobilenet.datasets.targets import Targets
from mobilenet.images.decode import read_photo

__all__ = ["LeftOut", "Photos"]


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


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A photo that is not used: its file as in `Photos.files`, and the reason."""

    file: str
    reason: str
