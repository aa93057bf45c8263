"""What vectors are measured by: the identity of each photo, pairs of photos, or the vectors of another network."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobilenet.model.vocabulary import Vocabulary

__all__ = ["Identities", "Pairings", "Vectors"]


@dataclass(frozen=True, slots=True, eq=False)
class Identities:
    """`numbers` (N,) int64 are indices into `names`, those of the classes. A model file does not hold them: its vectors
    are for others too."""

    names: tuple[str, ...]
    numbers: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, indices: NDArray[np.int64]) -> "Identities":
        """The targets at `indices` (M,), in that order."""
        return Identities(self.names, self.numbers[indices])

    def strata(self) -> NDArray[np.int64]:
        """(N,) the classes themselves."""
        return self.numbers

    def lines(self, _vocabulary: Vocabulary) -> Iterator[str]:
        """The name of each photo's class."""
        return (self.names[number] for number in self.numbers.tolist())


@dataclass(frozen=True, slots=True, eq=False)
class Pairings:
    """Pairs of `photos` photos: `pairs` (P, 2) int64 are indices of photos, `same` (P,) whether both show the same."""

    photos: int
    pairs: NDArray[np.int64]
    same: NDArray[np.bool_]

    def __len__(self) -> int:
        return self.photos

    def take(self, indices: NDArray[np.int64]) -> "Pairings":
        """The pairs of which both photos are at `indices` (M,), renumbered in that order."""
        place = np.full(self.photos, -1, np.int64)
        place[indices] = np.arange(len(indices))
        moved = place[self.pairs]
        kept = (moved >= 0).all(1)
        return Pairings(len(indices), moved[kept], self.same[kept])

    def strata(self) -> None:
        """Photos in pairs have no classes."""

    def lines(self, _vocabulary: Vocabulary) -> Iterator[list[list[int]]]:
        """For each photo, the pairs in which it comes first: the other photo, and 1 for the same."""
        own: list[list[list[int]]] = [[] for _ in range(self.photos)]
        for (first, second), same in zip(self.pairs.tolist(), self.same.tolist(), strict=True):
            own[first].append([second, int(same)])
        return iter(own)


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """`vectors` (N, D) float32 of length 1, those that a teacher gives the photos."""

    vectors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.vectors)

    def take(self, indices: NDArray[np.int64]) -> "Vectors":
        """The vectors at `indices` (M,), in that order."""
        return Vectors(self.vectors[indices])

    def strata(self) -> None:
        """Vectors have no classes."""

    def lines(self, _vocabulary: Vocabulary) -> Iterator[None]:
        """They follow from the teacher, whose digest a run records."""
        return iter([None] * len(self.vectors))
