"""The labels of photos: the place where each was taken."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobilenet.datasets.targets import Targets
from mobilenet.metrics.geodesic import distance_km
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.tasks.geolocation.cells import leaves_of
from mobilenet.tasks.geolocation.partition import PLACE_LEVEL, beside, places_of

__all__ = ["PlaceTargets", "place_targets"]

_SAME_KM = 1.0
"""Copies of one picture may be this far apart: programs round coordinates to hundredths of a degree."""


@dataclass(frozen=True, slots=True, eq=False)
class PlaceTargets:
    """`degrees` (N, 2) latitude and longitude; `numbers` (N,) int64 the index of the cell of each photo; `levels` (N,)
    int64 of the S2 cells within which a split takes photos to be of one place."""

    degrees: NDArray[np.float64]
    numbers: NDArray[np.int64]
    levels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.degrees)

    def take(self, indices: NDArray[np.int64]) -> "PlaceTargets":
        """The targets at `indices` (M,), in that order."""
        return PlaceTargets(self.degrees[indices], self.numbers[indices], self.levels[indices])

    def strata(self) -> NDArray[np.int64]:
        """The cells."""
        return self.numbers

    def lines(self, _vocabulary: Vocabulary) -> Iterator[list[float]]:
        """Latitude and longitude of each photo, to 0.1 m."""
        return iter(self.degrees.round(6).tolist())

    def contradict(self, photo: int, others: Targets, other: int, _crop: float) -> bool:
        """Whether two photos are farther apart than rounded coordinates of one place can be."""
        if not isinstance(others, PlaceTargets):
            raise TypeError(f"targets are {type(others).__name__}, not places")
        return bool(distance_km(self.degrees[photo], others.degrees[other]) > _SAME_KM)

    def places(self) -> NDArray[np.int64]:
        """(N,) numbers of the places."""
        return places_of(leaves_of(self.degrees), self.levels)

    def beside(self, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(N,) those of `chosen` that are next to one that is not, across the edge of their place."""
        return beside(leaves_of(self.degrees), self.levels, chosen)


def place_targets(
    degrees: NDArray[np.float64], numbers: NDArray[np.int64], levels: NDArray[np.int64] | None = None
) -> PlaceTargets:
    """(N, 2) degrees and (N,) cells; `levels` are those of a kilometre without any."""
    return PlaceTargets(degrees, numbers, np.full(len(degrees), PLACE_LEVEL) if levels is None else levels)
