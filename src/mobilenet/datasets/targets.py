"""What photos are labelled with, as far as a data set has to know it; each task has its own kind."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from mobilenet.model.vocabulary import Vocabulary

__all__ = ["Targets", "Unlabelled"]


class Targets(Protocol):
    """What each of N photos is labelled with: a class, attributes, boxes, a place."""

    def __len__(self) -> int: ...

    def take(self, indices: NDArray[np.int64]) -> Self:
        """The targets at `indices` (M,), in that order."""
        ...

    def strata(self) -> NDArray[np.int64] | None:
        """(N,) the group of each photo, a number of the vocabulary's names: what a split is balanced by, and
        `--class-balanced`; None where photos are not in groups."""
        ...

    def lines(self, vocabulary: Vocabulary) -> Iterator[Any]:
        """Of each photo what JSON can say: for the hash of the data, and the list of a run's photos."""
        ...


@dataclass(frozen=True, slots=True)
class Unlabelled:
    """Targets of `count` photos of which nothing is known."""

    count: int

    def __len__(self) -> int:
        return self.count

    def take(self, indices: NDArray[np.int64]) -> "Unlabelled":
        return Unlabelled(len(indices))

    def strata(self) -> None:
        return None

    def lines(self, _vocabulary: Vocabulary) -> Iterator[None]:
        return iter([None] * self.count)
