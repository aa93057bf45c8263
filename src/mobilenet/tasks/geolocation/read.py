"""The places of photos, and the cells made for them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobilenet.datasets.reader import Source
from mobilenet.datasets.remote.urls import spelled
from mobilenet.errors import DataError
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.tasks.geolocation.cells import leaves_of
from mobilenet.tasks.geolocation.partition import default_limits, numbers_in, partition, place_levels
from mobilenet.tasks.geolocation.table import nearest_cells, table_of, vocabulary_of
from mobilenet.tasks.geolocation.targets import PlaceTargets, place_targets

__all__ = ["degrees_in", "known_targets", "read_places"]


def degrees_in(source: Source) -> NDArray[np.float64]:
    """(N, 2) latitude and longitude of the photos of a source, in their order."""
    rows = [(one.latitude_deg, one.longitude_deg) for one in source.annotations.values()]
    return np.array(rows, np.float64).reshape(-1, 2)


def read_places(
    data: Path, source: Source, max_photos: int | None, min_photos: int | None
) -> tuple[Vocabulary, PlaceTargets]:
    """The cells for the training photos of a data set, and the place of each photo; one in no cell belongs to that with
    the nearest centre. The limits are those of `default_limits` unless given. DataError if there are not two cells."""
    degrees = degrees_in(source)
    leaves = leaves_of(degrees)
    most, fewest = default_limits(len(degrees))
    most, fewest = max_photos or most, min(fewest, max_photos or most) if min_photos is None else min_photos
    cells = partition(leaves, most, fewest)
    if len(cells) < 2:
        raise _one_cell(data, len(degrees), len(cells), len(np.unique(leaves)), most, fewest)
    numbers = numbers_in(cells, leaves)
    vocabulary = vocabulary_of(degrees, cells, numbers)
    levels = place_levels(cells, numbers)
    outside = numbers < 0
    numbers[outside] = nearest_cells(degrees[outside], table_of(vocabulary.names, vocabulary.fields))
    return vocabulary, place_targets(degrees, numbers, levels)


def known_targets(degrees: NDArray[np.float64], vocabulary: Vocabulary) -> PlaceTargets:
    """(N, 2) places of photos to measure a model with these cells on; each belongs to the cell with the nearest
    centre."""
    return place_targets(degrees, nearest_cells(degrees, table_of(vocabulary.names, vocabulary.fields)))


def _one_cell(data: Path, photos: int, cells: int, places: int, most: int, fewest: int) -> DataError:
    where = spelled(data)
    if places == 1:
        what = "the only photo is" if photos == 1 else f"all {photos:,} photos are"
        return DataError(f"{where}: {what} in one place, so there is nothing to learn; add photos of other places")
    if not cells:
        return DataError(
            f"{where}: no cell has {fewest:,} of {photos:,} photos or more; give a smaller --task-option min_photos=N"
        )
    return DataError(
        f"{where}: all {photos:,} photos are in one cell of {fewest:,} to {most:,} photos, so there is "
        "nothing to learn; give a smaller --task-option max_photos=N, or add photos of other places"
    )
