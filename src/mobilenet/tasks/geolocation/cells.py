"""S2 cells: the Earth as six faces of a cube, each divided into quarters 30 times, numbered along a curve.

A cell is a uint64: three bits of its face, two for each division, a one, and zeros. So the leaves inside it are one
range of numbers, and cells of any size can be told from sorted leaves. See http://s2geometry.io/devguide/s2cell_hierarchy.
Running a model needs none of this.
"""

from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LEAF_LEVEL",
    "Cells",
    "ancestors",
    "bounds",
    "faces",
    "leaves_of",
    "levels_of",
    "neighbours",
    "outlines",
    "quarters",
    "token_of",
]

LEAF_LEVEL = 30
"""Of the smallest cells, whose sides are about a centimetre."""

Cells = NDArray[np.uint64]

_ONE = np.uint64(1)


def leaves_of(degrees: NDArray[np.floating]) -> Cells:
    """(N, 2) latitude and longitude -> (N,) the leaves that contain them."""
    from s2geometry import S2CellId, S2LatLng

    rows = np.asarray(degrees, np.float64).tolist()
    found = (S2CellId(S2LatLng.FromDegrees(latitude, longitude)).id() for latitude, longitude in rows)
    return np.fromiter(found, np.uint64, len(rows))


def faces() -> Cells:
    """(6,) the cells of level 0, which are all of the Earth."""
    return (np.arange(6, dtype=np.uint64) << np.uint64(61)) | (_ONE << np.uint64(60))


def quarters(cells: Cells) -> Cells:
    """(N,) cells that are no leaves -> (4·N,) the four parts of each."""
    bit = _lowest_bit(cells)
    steps = np.arange(1, 8, 2, dtype=np.uint64)
    return ((cells - bit)[:, None] + (bit >> np.uint64(2))[:, None] * steps).reshape(-1)


def bounds(cells: Cells) -> tuple[Cells, Cells]:
    """(N,) -> the first (N,) and the last (N,) leaf of each."""
    inside = _lowest_bit(cells) - _ONE
    return cells - inside, cells + inside


def levels_of(cells: Cells) -> NDArray[np.int64]:
    """(N,) -> (N,) how often the faces were divided: 0 to 30."""
    # A power of two is exact as a float64.
    return LEAF_LEVEL - (np.log2(_lowest_bit(cells).astype(np.float64)) / 2).astype(np.int64)


def ancestors(leaves: Cells, levels: NDArray[np.integer]) -> Cells:
    """(N,) leaves and (N,) levels -> (N,) the cells of those levels around them."""
    bit = _ONE << (2 * (LEAF_LEVEL - levels)).astype(np.uint64)
    return np.asarray((leaves & ~(bit - _ONE) & ~bit) | bit)


def neighbours(cell: int) -> list[int]:
    """The cells of the same level that share a side or a corner with this one."""
    from s2geometry import S2CellId

    found = S2CellId(cell)
    return [other.id() for other in found.GetAllNeighbors(found.level())]


def token_of(cell: int) -> str:
    """The name by which other tools know a cell: its number in hexadecimal without the zeros at its end."""
    return f"{cell:016x}".rstrip("0")


def outlines(tokens: Sequence[str]) -> dict[str, tuple[tuple[float, float], ...]]:
    """Tokens -> the degrees of the four corners of each, counter-clockwise; nothing without the library for cells,
    which only training needs."""
    if find_spec("s2geometry") is None:
        return {}
    from s2geometry import S2Cell, S2CellId

    found = {}
    for token in tokens:
        cell = S2Cell(S2CellId.FromToken(token))
        vertices = [cell.GetS2LatLngVertex(number) for number in range(4)]
        found[token] = tuple((vertex.lat().degrees(), vertex.lng().degrees()) for vertex in vertices)
    return found


def _lowest_bit(cells: Cells) -> Cells:
    return np.asarray(cells & (~cells + _ONE))
