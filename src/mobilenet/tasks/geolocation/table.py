"""The cells of a model as its vocabulary holds them: all that prediction needs, without any library for cells."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ModelError
from mobilenet.metrics.geodesic import LEVELS_KM, degrees_of, distance_km, distances_km, unit_vectors
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.tasks.geolocation.cells import Cells, token_of

__all__ = ["CENTRES", "Table", "nearest_cells", "table_of", "vocabulary_of"]

CENTRES, SPREADS, COUNTS, FREQUENT = "centres", "spreads_km", "photos", "most_frequent"
"""Fields of a vocabulary: of each cell its centre of mass, latitude and longitude; the root mean square distance of its
photos from it; and their number; and the one place that is the best answer to all photos."""

_FIELDS = (CENTRES, SPREADS, COUNTS, FREQUENT)

_LEAST_SPREAD_KM = 0.001
"""Photos of one spot have a distance all the same: a metre."""

_MOST_CANDIDATES = 1000
_AT_ONCE = 4096

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """C cells: `centres` (C, 2) latitude and longitude, `vectors` (C, 3) the same as unit vectors, `spreads_km` (C,) of
    the photos of each, and `counts` (C,) their numbers; `frequent` (2,) is the best constant answer."""

    centres: Floats
    vectors: Floats
    spreads_km: Floats
    counts: NDArray[np.int64]
    frequent: Floats


def vocabulary_of(degrees: Floats, cells: Cells, numbers: NDArray[np.int64]) -> Vocabulary:
    """(N, 2) places of the training photos, (C,) cells and (N,) the index of each photo's, -1 for none -> the cells by
    their tokens, and what is known of each."""
    vectors = unit_vectors(degrees)
    kept = numbers >= 0
    rows, own = vectors[kept], numbers[kept]
    counts = np.bincount(own, minlength=len(cells))
    sums = np.stack([np.bincount(own, rows[:, axis], len(cells)) for axis in range(3)], axis=1, dtype=np.float64)
    centres = degrees_of(sums).round(6)
    squares = np.bincount(own, np.square(distance_km(degrees[kept], centres[own])), len(cells))
    spreads = np.maximum(np.sqrt(squares / counts), _LEAST_SPREAD_KM).round(3)
    fields = {
        CENTRES: centres.tolist(),
        SPREADS: spreads.tolist(),
        COUNTS: counts.tolist(),
        FREQUENT: centres[_most_frequent(unit_vectors(centres), counts)].tolist(),
    }
    return Vocabulary(tuple(token_of(cell) for cell in cells.tolist()), fields)


def table_of(names: tuple[str, ...], fields: Mapping[str, Any]) -> Table:
    """The cells of a vocabulary; ModelError for fields that do not describe as many places as there are names."""
    return _read(_Written(len(names), tuple(fields.get(name) for name in _FIELDS)))


def nearest_cells(degrees: Floats, table: Table) -> NDArray[np.int64]:
    """(N, 2) -> (N,) the index of the cell whose centre is nearest."""
    vectors = unit_vectors(degrees).reshape(-1, 3)
    parts = [vectors[start : start + _AT_ONCE] @ table.vectors.T for start in range(0, len(vectors), _AT_ONCE)]
    return np.concatenate([np.zeros(0, np.int64), *(part.argmax(1) for part in parts)]).astype(np.int64)


class _Written:
    """The number of cells and the values of their fields; the same lists are the same table, without comparing them."""

    def __init__(self, cells: int, values: tuple[Any, ...]) -> None:
        self.cells, self.values = cells, values

    def __hash__(self) -> int:
        return hash((self.cells, *map(id, self.values)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Written) and hash(self) == hash(other)


@lru_cache(maxsize=4)
def _read(written: _Written) -> Table:
    try:
        centres, spreads, counts, frequent = (np.array(value, np.float64) for value in written.values)
    except (TypeError, ValueError) as error:
        raise ModelError(f"its cells cannot be read: {error}; train the model again") from error
    cells = written.cells
    shapes = (centres.shape, spreads.shape, counts.shape, frequent.shape)
    fits = cells > 0 and shapes == ((cells, 2), (cells,), (cells,), (2,))
    if not (fits and _are_places(centres) and _are_places(frequent) and _are_positive(spreads)):
        raise ModelError(
            f"its cells are not {cells:,} places, each with a spread and a number of photos; train it again"
        )
    return Table(centres, unit_vectors(centres), spreads, counts.astype(np.int64), frequent)


def _are_places(degrees: Floats) -> bool:
    return bool((np.abs(degrees) <= (90, 180)).all())


def _are_positive(values: Floats) -> bool:
    return bool((np.isfinite(values) & (values > 0)).all())


def _most_frequent(vectors: Floats, counts: NDArray[np.int64]) -> int:
    """(C, 3) centres and (C,) photos -> the index of the centre that is the best answer to all photos, by the mean
    share within the levels; of the most frequented cells where there are many."""
    candidates = np.argsort(-counts, kind="stable")[:_MOST_CANDIDATES]
    shares = [_mean_share(distances_km(vectors[one : one + 1], vectors)[0], counts) for one in candidates.tolist()]
    return int(candidates[int(np.argmax(shares))])


def _mean_share(kilometres: Floats, counts: NDArray[np.int64]) -> float:
    return float(np.mean([counts[kilometres <= level].sum() for level in LEVELS_KM]) / counts.sum())
