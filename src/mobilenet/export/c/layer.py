"""One layer of a C file: what it reads, what it computes with, the shape of its plane and its place in memory."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.model.graph import Quantization

__all__ = [
    "AVERAGE",
    "BLOCK",
    "CONCATENATION",
    "DEPTHWISE",
    "GROUP",
    "OFFSET",
    "PIXELS",
    "PRODUCT",
    "SEPARABLE",
    "Layer",
    "Memory",
    "Place",
    "Read",
    "Work",
    "blocks",
]

BLOCK = 16
"""Channels in a block; the cells of a plane are whole blocks."""

GROUP = 4
"""Values in a group, in 8 bits: those of one dot product."""

OFFSET = 128
"""A byte of a plane is its 8-bit value and this."""

PIXELS, PRODUCT, DEPTHWISE, SEPARABLE, AVERAGE, CONCATENATION = range(6)
"""Kinds of layers, in the order of `kernels/types.c`."""


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """What turns sums of products into values: `weights` (blocks, rows, groups, 16, 4) int8, or (blocks, rows, width,
    16, 1) float32, or of a depthwise layer (blocks, taps, 16); `bias` and `scale` (blocks × 16,), `scale` without
    numbers in float32. `low` and `high` bound a value less its `zero`."""

    weights: NDArray[Any]
    bias: NDArray[Any]
    scale: NDArray[np.float32]
    low: float
    high: float
    zero: int
    rows: int
    width: int
    groups: int


def blocks(channels: int) -> int:
    """How many blocks hold so many channels."""
    return -(-channels // BLOCK)


@dataclass(frozen=True, slots=True)
class Read:
    """Which layer is read, from how many pixels above and to the left of its plane, and how many channels it has."""

    layer: int
    above: int
    left: int
    channels: int


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One layer and its plane: `pad` are the pixels of padding above, below, to the left and to the right, `padding`
    their value as a byte. Output row y reads `window` rows from `stride` × y on. Cells are multiples of `unit`."""

    name: str
    kind: int
    reads: tuple[Read, ...]
    works: tuple[Work, ...]
    height: int
    width: int
    channels: int
    stride: int
    window: int
    padding: int
    steps: Quantization | None
    unit: int
    pad: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def cell(self) -> int:
        """Values of a pixel."""
        return self.channels if self.kind == PIXELS else -(-self.channels // self.unit) * self.unit

    def tile_cell(self, given: "Layer") -> int:
        """Values of a pixel between the halves of a separable layer that reads `given`."""
        return -(-given.channels // self.unit) * self.unit

    @property
    def padded(self) -> int:
        """Rows with their padding."""
        return self.pad[0] + self.height + self.pad[1]

    @property
    def row(self) -> int:
        """Values of a row with its padding."""
        return (self.pad[2] + self.width + self.pad[3]) * self.cell

    @property
    def separable(self) -> bool:
        """Whether it is two convolutions, with a tile in between."""
        return self.kind == SEPARABLE

    @property
    def by_rows(self) -> bool:
        """Whether it reads its input row by row, and can do so while that is made."""
        return self.kind in (PRODUCT, DEPTHWISE, SEPARABLE)


@dataclass(frozen=True, slots=True)
class Place:
    """A plane's first value, its rows in memory, and the rows that are made at once."""

    at: int
    kept: int
    step: int


@dataclass(frozen=True, slots=True)
class Memory:
    """A plan: the places of all layers, that of the tile between halves of a layer, and the size of all, in values."""

    places: tuple[Place, ...]
    tile: int
    values: int
