"""Where each plane is in working memory, how many of its rows are kept, and how many are made at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from mobilenet.export.c.layer import BLOCK, Layer, blocks

__all__ = ["Place", "Plan", "speed_plan"]

_TILE = 16 * 1024
"""Values that a few rows of a layer's input may have, so that they stay in a processor's first cache."""


_ALIGNMENT = 64


@dataclass(frozen=True, slots=True)
class Place:
    """A plane's first value, its rows in memory, and the rows that are made at once."""

    at: int
    kept: int
    step: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The places of all layers, that of the tile between the two halves of a layer, and the size of all, in values."""

    places: tuple[Place, ...]
    tile: int
    values: int


def speed_plan(layers: Sequence[Layer], shown: frozenset[int]) -> Plan:
    """Whole planes, each made a few rows at a time; `shown` are the layers that outputs are read from."""
    last = _last_readers(layers, shown)
    live: list[tuple[int, int, int]] = []
    places = []
    for number, layer in enumerate(layers):
        live = [entry for entry in live if entry[2] >= number]
        at = _first_gap(live, _aligned(layer.padded * layer.row))
        live.append((at, at + _aligned(layer.padded * layer.row), last[number]))
        places.append(Place(at, layer.padded, _step(layer, layers)))
    tile = max(place.at + _aligned(layer.padded * layer.row) for place, layer in zip(places, layers, strict=True))
    tiles = [tile_values(layer, layers, place.step) for layer, place in zip(layers, places, strict=True)]
    # Kernels may read a cell behind a plane, and ignore it.
    slack = _aligned(max(layer.cell for layer in layers))
    return Plan(tuple(places), tile, tile + _aligned(max(tiles)) + slack)


def tile_values(layer: Layer, layers: Sequence[Layer], step: int) -> int:
    """Values between the halves of a separable layer for `step` rows, 0 for any other."""
    return step * layer.width * blocks(layers[layer.reads[0].layer].channels) * BLOCK if layer.separable else 0


def _step(layer: Layer, layers: Sequence[Layer]) -> int:
    if not layer.by_rows:
        return 1
    row = layers[layer.reads[0].layer].row
    return max(1, min(layer.height, _TILE // max(row * layer.stride, 1)))


def _last_readers(layers: Sequence[Layer], shown: frozenset[int]) -> list[int]:
    """For each layer the last one that needs its plane; what is shown is needed to the end."""
    last = list(range(len(layers)))
    for number, layer in enumerate(layers):
        for read in layer.reads:
            last[read.layer] = number
    return [len(layers) if number in shown else place for number, place in enumerate(last)]


def _first_gap(live: Sequence[tuple[int, int, int]], size: int) -> int:
    """The lowest place of `size` values that no living plane takes."""
    at = 0
    for start, end, _ in sorted(live):
        if start - at >= size:
            break
        at = max(at, end)
    return at


def _aligned(values: int) -> int:
    return -(-values // _ALIGNMENT) * _ALIGNMENT
