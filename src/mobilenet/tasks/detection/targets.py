"""The boxes of photos: those that are labelled, and those that a network has found."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.model.vocabulary import Vocabulary

__all__ = ["BoxTargets", "Found"]


@dataclass(frozen=True, slots=True, eq=False)
class BoxTargets:
    """The M boxes of N photos, those of photo i at `starts[i]:starts[i + 1]`.

    `boxes` (M, 4) float32: top, left, bottom, right as shares of the upright photo, 0…1; `labels` (M,) int64 places in
    the vocabulary; `crowd` (M,) bool: the box is around several things that are too many to be told apart, which is
    neither learned nor counted; `sizes` (N, 2) int32: height and width of the upright photos in pixels; `starts`
    (N + 1,) int64.
    """

    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    sizes: NDArray[np.int32]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.sizes)

    def take(self, indices: NDArray[np.int64]) -> "BoxTargets":
        """The boxes of the photos at `indices` (K,), in that order."""
        counts = (self.starts[1:] - self.starts[:-1])[indices]
        starts = np.concatenate([[0], counts.cumsum()]).astype(np.int64)
        places = np.arange(starts[-1]) + np.repeat(self.starts[indices] - starts[:-1], counts)
        boxes, labels, crowd = self.boxes[places], self.labels[places], self.crowd[places]
        return BoxTargets(boxes, labels, crowd, self.sizes[indices], starts)

    def photo(self, index: int) -> slice:
        """The place of the boxes of one photo among all."""
        return slice(int(self.starts[index]), int(self.starts[index + 1]))

    def of_photos(self) -> NDArray[np.int64]:
        """(M,) the photo of each box."""
        return np.repeat(np.arange(len(self)), self.starts[1:] - self.starts[:-1])

    def strata(self) -> None:
        """A photo is not in one group."""
        return

    def present(self) -> NDArray[np.bool_]:
        """(N, names) whether the photo has a box of each name; names up to the last that occurs."""
        found = np.zeros((len(self), int(self.labels.max(initial=-1)) + 1), np.bool_)
        found[self.of_photos(), self.labels] = True
        return found

    def absent(self) -> NDArray[np.bool_]:
        """(N, names) whether the photo has no box of each name."""
        return ~self.present()

    def lines(self, vocabulary: Vocabulary) -> Iterator[list[list[Any]]]:
        """A list per photo, with `[name, top, left, bottom, right]` for each box, in shares of the photo; a crowd's
        name is in brackets."""
        for index in range(len(self)):
            at = self.photo(index)
            names = _names(self.labels[at], self.crowd[at], vocabulary.names)
            sides = np.round(self.boxes[at].astype(np.float64), 6).tolist()
            yield [[name, *box] for name, box in zip(names, sides, strict=True)]


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The K boxes found in one photo, best first.

    `boxes` (K, 4) float32: top, left, bottom, right as shares of the photo, 0…1; `labels` (K,) int64 places in the
    vocabulary; `scores` (K,) float32, 0…1.
    """

    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.scores)


def _names(labels: NDArray[np.int64], crowd: NDArray[np.bool_], names: Sequence[str]) -> list[str]:
    said = [names[label] for label in labels.tolist()]
    return [f"[{name}]" if many else name for name, many in zip(said, crowd.tolist(), strict=True)]
