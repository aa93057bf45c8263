"""The labels of photos, as far as a data set has to know them; each task has its own kind."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mobilenet.images.overlay import Mark
from mobilenet.model.vocabulary import Vocabulary

__all__ = [
    "Comparable",
    "Located",
    "ManyLabels",
    "PartlyLabelled",
    "Placed",
    "Targets",
    "Unlabelled",
    "known_labels",
    "labelled_part",
]


class Targets(Protocol):
    """The labels of N photos: a class, attributes, boxes or a place each."""

    def __len__(self) -> int: ...

    def take(self, indices: NDArray[np.int64]) -> Self:
        """The targets at `indices` (M,), in that order."""
        ...

    def strata(self) -> NDArray[np.int64] | None:
        """(N,) the group of each photo, an index into the vocabulary's names if it has any, by which a split and
        `--class-balanced` are balanced, -1 for a photo without a label; None if photos have no groups."""
        ...

    def lines(self, vocabulary: Vocabulary) -> Iterator[Any]:
        """A JSON value per photo, for the hash of the data and for the list of a run's photos."""
        ...


@runtime_checkable
class ManyLabels(Protocol):
    """Targets of N photos that may each have several labels, and of which some may not be known."""

    def present(self) -> NDArray[np.bool_]:
        """(N, names) whether a photo is known to have each name of the vocabulary."""
        ...

    def absent(self) -> NDArray[np.bool_]:
        """(N, names) whether a photo is known not to have it."""
        ...


@runtime_checkable
class Comparable(Protocol):
    """Targets of N photos that are never quite equal, and contradict each other beyond a tolerance."""

    def contradict(self, photo: int, others: "Targets", other: int, crop: float) -> bool:
        """Whether the targets of a photo and those at `other` in `others` cannot both be of one picture, of which a
        photo may have lost up to `crop` (0…1) of its sides, and may be of another size."""
        ...


@runtime_checkable
class Located(Comparable, Protocol):
    """Targets of N photos that are about parts of them."""

    def marks(self, photo: int, vocabulary: Vocabulary) -> tuple[Mark, ...]:
        """What can be drawn on the photo at that index."""
        ...


@runtime_checkable
class Placed(Protocol):
    """Targets of N photos some of which were taken at one place, and hardly show more than one photo would."""

    def places(self) -> NDArray[np.int64]:
        """(N,) the place of each: a split keeps photos of one place together."""
        ...

    def beside(self, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(N,) those of `chosen` that are next to a photo that is not, though of another place: no split should tell
        them apart."""
        ...


@dataclass(frozen=True, slots=True)
class Unlabelled:
    """Targets of `count` photos without labels; `take` gets indices (M,)."""

    count: int

    def __len__(self) -> int:
        return self.count

    def take(self, indices: NDArray[np.int64]) -> "Unlabelled":
        return Unlabelled(len(indices))

    def strata(self) -> None:
        return None

    def lines(self, _vocabulary: Vocabulary) -> Iterator[None]:
        return iter([None] * self.count)


@dataclass(frozen=True, slots=True, eq=False)
class PartlyLabelled:
    """Targets of N photos some of which have no label: `rows` (N,) int64 are indices into `labelled`, -1 for none."""

    labelled: Targets
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: NDArray[np.int64]) -> "PartlyLabelled":
        """The targets at `indices` (M,), in that order."""
        return PartlyLabelled(self.labelled, self.rows[indices])

    def strata(self) -> NDArray[np.int64] | None:
        """(N,) the groups of the labelled photos, -1 for the others; None if labels have no groups."""
        groups = self.labelled.strata()
        return None if groups is None else np.append(groups, -1)[self.rows]

    def lines(self, vocabulary: Vocabulary) -> Iterator[Any]:
        """As of the labels, None for a photo without one."""
        lines = [*self.labelled.lines(vocabulary), None]
        return (lines[row] for row in self.rows.tolist())


def labelled_part(targets: Targets) -> tuple[Targets, NDArray[np.int64]]:
    """The targets of the photos that have labels, and for each photo (N,) its index in those, -1 without a label."""
    if isinstance(targets, PartlyLabelled):
        return targets.labelled, targets.rows
    if isinstance(targets, Unlabelled):
        return targets, np.full(len(targets), -1, np.int64)
    return targets, np.arange(len(targets), dtype=np.int64)


def known_labels(targets: Targets) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
    """(N, names) and (N, names) whether a photo is known to have each label, and known not to have it, neither for one
    without labels; None where a photo has no more than one label."""
    found, rows = labelled_part(targets)
    if not isinstance(found, ManyLabels):
        return None
    labelled = (rows >= 0)[:, None]
    return found.present()[rows] & labelled, found.absent()[rows] & labelled
