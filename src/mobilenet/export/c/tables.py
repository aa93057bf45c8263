"""The constants of a C file: weights as string literals, and the tables that its driver follows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.export.c.layer import DEPTHWISE, OFFSET, SEPARABLE, Layer, Memory, Place, Work, blocks
from mobilenet.export.c.text import array, pieces, table

__all__ = ["Tables"]

_Row = tuple[str | int | float, ...]

_NUMBER = 4
"""Bytes of a number, and of a pointer of the devices whose memory is counted."""


@dataclass(slots=True)
class _Pool:
    """Arrays one after another."""

    parts: list[NDArray[Any]] = field(default_factory=list)
    size: int = 0

    def add(self, values: NDArray[Any]) -> int:
        """Where the values begin."""
        at = self.size
        self.parts.append(values.ravel())
        self.size += values.size
        return at

    def values(self, dtype: type[np.generic]) -> NDArray[Any]:
        return np.concatenate([*self.parts, np.zeros(0, dtype)]).astype(dtype)


class Tables:
    """The constants of layers in their places; `shown` are the layers that each output joins, `mean` that of pixels,
    three numbers, and `small` is as in `layers_of`."""

    def __init__(
        self,
        layers: Sequence[Layer],
        memory: Memory,
        shown: Sequence[Sequence[int]],
        mean: Sequence[float],
        *,
        small: bool,
    ) -> None:
        self._float32 = layers[0].steps is None
        self._mean = np.array(mean, np.float32)
        self._weights, self._biases, self._scales = _Pool(), _Pool(), _Pool()
        self._works: list[_Row] = []
        self._layers: list[_Row] = []
        self._reads: list[_Row] = []
        self._shown = _outputs(shown, layers)
        for layer, place in zip(layers, memory.places, strict=True):
            self._add(layer, place, layers, small=small)

    @property
    def constant_bytes(self) -> int:
        """Bytes of all of them, where a pointer has 4."""
        rows = sum(map(len, [*self._works, *self._layers, *self._reads, *self._shown]))
        weights = self._weights.size * (_NUMBER if self._float32 else 1)
        return weights + _NUMBER * (self._biases.size + self._scales.size + rows)

    def text(self) -> str:
        """Their definitions in C."""
        sums, kind = (np.float32, "float") if self._float32 else (np.int32, "int32_t")
        return "\n".join(
            [
                array("float", "mean", self._mean) if self._float32 else "",
                _weights(self._weights.values(np.float32 if self._float32 else np.int8)),
                array(kind, "biases", self._biases.values(sums)),
                array("float", "scales", self._scales.values(np.float32)),
                table("work_t", "works", self._works),
                table("input_t", "inputs", self._reads),
                table("layer_t", "layers", self._layers),
                table("output_t", "shown", self._shown),
            ]
        )

    def _add(self, layer: Layer, place: Place, layers: Sequence[Layer], *, small: bool) -> None:
        self._layers.append(
            (layer.kind, len(layer.reads), len(self._reads), len(self._works), place.at, place.kept, layer.padded,
             layer.pad[0], layer.height, layer.row, layer.pad[2] * layer.cell, layer.width, layer.cell, place.step,
             layer.stride, layer.window, layer.padding)
        )  # fmt: skip
        for read in layer.reads:
            given = layers[read.layer]
            # A depthwise layer that looks for edges begins at the first pixel; see `layers_of`.
            left = 0 if layer.kind in (DEPTHWISE, SEPARABLE) and small else read.left
            self._reads.append(
                (read.layer, given.pad[0] - read.above, (given.pad[2] - left) * given.cell, read.channels)
            )
        for number, work in enumerate(layer.works):
            pools = self._weights.add(work.weights), self._biases.add(work.bias), self._scales.add(work.scale)
            self._works.append(_work(layer, layers, work, number, pools))


def _work(layer: Layer, layers: Sequence[Layer], work: Work, number: int, pools: tuple[int, int, int]) -> _Row:
    """The row of one of a layer's works; in a separable one, the first writes a tile that the second reads."""
    given = layers[layer.reads[0].layer]
    first, second = (layer.separable and number == place for place in (0, 1))
    tile = layer.tile_cell(given)
    pixels = given.width if work.rows == 0 else layer.width
    return (
        f"WEIGHTS + {pools[0]}", f"biases + {pools[1]}", f"scales + {pools[2]}", work.low, work.high, work.zero,
        blocks(given.channels if first else layer.channels), work.rows, work.width, work.groups,
        1 if second else layer.stride, tile if second else given.cell, pixels, tile if first else layer.cell,
        layer.reads[0].left, given.width, layers[layer.reads[0].layer].padding,
    )  # fmt: skip


def _outputs(shown: Sequence[Sequence[int]], layers: Sequence[Layer]) -> list[_Row]:
    rows: list[_Row] = []
    for numbers in shown:
        to = 0
        for number in numbers:
            layer = layers[number]
            zero, scale = (0, 1.0) if layer.steps is None else (layer.steps.zero_point + OFFSET, layer.steps.scale)
            rows.append((number, layer.channels, to, zero, float(np.float32(scale))))
            to += prod((layer.height, layer.width, layer.channels))
    return rows


def _weights(values: NDArray[Any]) -> str:
    """As literals, which compilers read at once; in C each fills a row of bytes, in C++ they are one literal, since
    there a row would need room for a zero."""
    size, literals = pieces(values.astype(values.dtype.newbyteorder("<")).tobytes())
    lines = " NEXT\n".join(literals)
    return f"""#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 15
#pragma GCC diagnostic ignored "-Wunterminated-string-initialization"
#endif
#ifdef __clang__
#pragma clang diagnostic ignored "-Woverlength-strings"
#endif
#ifdef __cplusplus
#define NEXT
#else
#define NEXT ,
#endif
static const union {{
#ifdef __cplusplus
    char bytes[{size * len(literals) + 1}];
#else
    char bytes[{len(literals)}][{size}];
#endif
    weight_t values[{values.size}];
}} weights = {{
#ifndef __cplusplus
{{
#endif
{lines}
#ifndef __cplusplus
}}
#endif
}};
#define WEIGHTS weights.values
"""
