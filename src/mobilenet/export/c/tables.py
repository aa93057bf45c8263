"""The constants of a C file: weights as string literals, and the tables that its driver follows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.export.c.layer import DEPTHWISE, OFFSET, SEPARABLE, Layer, Work, blocks
from mobilenet.export.c.plan import Plan
from mobilenet.export.c.text import array, pieces, table

__all__ = ["Tables", "tables"]

_Row = tuple[str | int | float, ...]

_POINTERS, _NUMBER = 3, 4
"""In a row of `works`; bytes of a number, and of a pointer of the devices whose memory is counted."""


@dataclass(frozen=True, slots=True)
class Tables:
    """The text of the constants, and how many bytes they take where a pointer has 4."""

    text: str
    constant_bytes: int


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


def tables(
    layers: Sequence[Layer], plan: Plan, shown: Sequence[Sequence[int]], mean: Sequence[float], *, small: bool
) -> Tables:
    """Of layers in these places; `shown` are the layers that each output joins, `mean` that of pixels."""
    float32 = layers[0].steps is None
    sums, kind = (np.float32, "float") if float32 else (np.int32, "int32_t")
    weights, biases, scales = _Pool(), _Pool(), _Pool()
    works: list[_Row] = []
    rows: list[_Row] = []
    reads: list[_Row] = []
    for layer, place in zip(layers, plan.places, strict=True):
        rows.append(
            (layer.kind, len(layer.reads), len(reads), len(works), place.at, place.kept, layer.padded, layer.pad[0],
             layer.height, layer.row, layer.pad[2] * layer.cell, layer.width, layer.cell, place.step, layer.stride,
             layer.window, layer.padding)
        )  # fmt: skip
        for read in layer.reads:
            given = layers[read.layer]
            # A depthwise layer that looks for edges begins at the first pixel; see `layers_of`.
            left = 0 if layer.kind in (DEPTHWISE, SEPARABLE) and small else read.left
            column = (given.pad[2] - left) * given.cell
            reads.append((read.layer, given.pad[0] - read.above, column, read.channels))
        for number, work in enumerate(layer.works):
            pools = weights.add(work.weights), biases.add(work.bias), scales.add(work.scale)
            works.append(_work(layer, layers, work, number, pools))
    outputs = _outputs(shown, layers)
    values = weights.values(np.float32 if float32 else np.int8)
    text = [
        array("float", "mean", np.array(mean, np.float32)) if float32 else "",
        _weights(values),
        array(kind, "biases", biases.values(sums)),
        array("float", "scales", scales.values(np.float32)),
        table("work_t", "works", works),
        table("input_t", "inputs", reads),
        table("layer_t", "layers", rows),
        table("output_t", "shown", outputs),
    ]
    numbers = biases.size + scales.size + sum(map(len, [*works, *rows, *reads, *outputs]))
    return Tables("\n".join(text), values.nbytes + _NUMBER * numbers)


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
