"""A list of labelled photos, light enough for a million of them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["LeftOut", "Photos"]


@dataclass(frozen=True, eq=False, slots=True)
class Photos:
    """`files` are paths below `root` with forward slashes (or absolute ones); `labels` (N,) int64 are class indices."""

    root: Path
    files: tuple[str, ...]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.files)

    def path(self, index: int) -> Path:
        """The file of photo `index`."""
        return self.root / self.files[index]

    def take(self, indices: ArrayLike) -> "Photos":
        """The photos at `indices` (integers), in that order."""
        chosen = np.asarray(indices, dtype=np.int64)
        return Photos(self.root, tuple(self.files[index] for index in chosen), self.labels[chosen])


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A photo that is not used: its file as in `Photos.files`, and why."""

    file: str
    reason: str
