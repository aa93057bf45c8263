"""The labels of photos, as far as a data set has to know them; each task has its own kind."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from mobilenet.model.vocabulary import Vocabulary

__all__ = ["Targets", "Unlabelled"]


class Targets(Protocol):
    """The labels of N photos: a class, attributes, boxes or a place each."""

    def __len__(self) -> int: ...

    def take(self, indices: NDArray[np.int64]) -> Self:
        """The targets at `indices` (M,), in that order."""
        ...

    def strata(self) -> NDArray[np.int64] | None:
        """(N,) the group of each photo, an index into the vocabulary's names, by which a split and `--class-balanced`
        are balanced; None if photos have no groups."""
        ...

    def lines(self, vocabulary: Vocabulary) -> Iterator[Any]:
        """A JSON value per photo, for the hash of the data and for the list of a run's photos."""
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
