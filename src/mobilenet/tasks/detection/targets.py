"""The boxes of photos: those that are labelled, and those that a network has found."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.datasets.targets import Targets
from mobilenet.images.overlay import Mark, palette_colour
from mobilenet.metrics.detection import iou
from mobilenet.model.vocabulary import Vocabulary

__all__ = ["BoxTargets", "Found"]

_SAME = 0.5
"""Overlap from which two boxes are of one thing: people draw the same thing differently by less."""


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

    def marks(self, photo: int, vocabulary: Vocabulary) -> tuple[Mark, ...]:
        """The boxes of one photo, with their names."""
        at = self.photo(photo)
        names = _names(self.labels[at], self.crowd[at], vocabulary.names)
        colours = map(palette_colour, self.labels[at].tolist())
        boxes = map(tuple, self.boxes[at].tolist())
        return tuple(Mark(box, name, colour) for box, name, colour in zip(boxes, names, colours, strict=True))

    def contradict(self, photo: int, others: Targets, other: int, crop: float) -> bool:
        """Whether the names differ, or the places: each box needs one of the same name with an overlap (IoU) of a half
        or more. Where one of the two has a crowd, names alone are compared. TypeError unless `others` are boxes."""
        if not isinstance(others, BoxTargets):
            raise TypeError(f"targets are {type(others).__name__}, not boxes")
        at, there = self.photo(photo), others.photo(other)
        labels, names = self.labels[at], others.labels[there]
        if self.crowd[at].any() or others.crowd[there].any():
            return set(labels.tolist()) != set(names.tolist())
        if not np.array_equal(np.sort(labels), np.sort(names)):
            return True
        boxes, theirs = self.boxes[at], others.boxes[there]
        if not len(boxes) or _alike(boxes, labels, theirs, names):
            return False
        moved = _laid_over(boxes, theirs, crop) if crop else None
        return moved is None or not _alike(moved, labels, theirs, names)

    def lines(self, vocabulary: Vocabulary) -> Iterator[list[list[Any]]]:
        """A list per photo, with `[name, top, left, bottom, right]` for each box, in shares of the photo; a crowd's
        name is in brackets."""
        for index in range(len(self)):
            at = self.photo(index)
            names = _names(self.labels[at], self.crowd[at], vocabulary.names)
            sides = np.round(self.boxes[at].astype(np.float64), 6).tolist()
            yield [[name, *box] for name, box in zip(names, sides, strict=True)]


def _alike(
    boxes: NDArray[np.float32], labels: NDArray[np.int64], theirs: NDArray[np.float32], names: NDArray[np.int64]
) -> bool:
    """Whether each of as many boxes (M, 4) has a counterpart among the others with the same label."""
    overlaps = iou(boxes, theirs) * (labels[:, None] == names)
    return bool((overlaps.max(0) >= _SAME).all() and (overlaps.max(1) >= _SAME).all())


def _laid_over(boxes: NDArray[np.float32], theirs: NDArray[np.float32], crop: float) -> NDArray[np.float32] | None:
    """`boxes` (M, 4) scaled and moved so that all together they extend as far as the others; None if a crop by that
    share does not explain it."""
    (low, high), (their_low, their_high) = _extent(boxes), _extent(theirs)
    scale = (their_high - their_low) / np.maximum(high - low, 1e-6)
    shift = their_low - scale * low
    if (np.maximum(scale, 1 / np.maximum(scale, 1e-6)) > 1 / (1 - crop)).any() or (np.abs(shift) > crop).any():
        return None
    moved: NDArray[np.float32] = boxes * np.tile(scale, 2) + np.tile(shift, 2)
    return moved


def _extent(boxes: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The least top and left, and the largest bottom and right: (2,) each."""
    return boxes[:, :2].min(0), boxes[:, 2:].max(0)


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
