"""Networks of random numbers, folded and in either precision: what a network takes depends on its shape alone."""

import math
from collections.abc import Iterator

import numpy as np

from mobilenet.errors import ModelError
from mobilenet.model.card import ModelCard
from mobilenet.model.graph import (
    ConvNode,
    Graph,
    LinearNode,
    Node,
    PoolNode,
    Quantization,
    QuantizedConv,
    QuantizedGraph,
    QuantizedLinear,
    QuantizedNode,
    QuantizedPool,
)
from mobilenet.model.precision import Precision
from mobilenet.spec.rows import Conv, GlobalPool, Linear, Row

__all__ = ["untrained"]

_STEP = 1 / 32
"""Of every 8-bit tensor: none of them saturates, none is zero throughout."""


def untrained(card: ModelCard, precision: Precision, seed: int = 0) -> Graph | QuantizedGraph:
    """The inference graph of `card` with random filters of such a scale that numbers neither grow nor vanish.

    ModelError for a network with rows that have no place in an exported file.
    """
    random = np.random.default_rng(seed)
    rows = card.network().rows
    if precision == "float32":
        return Graph(card, tuple(_node(row, random) for row in rows))
    return QuantizedGraph(card, Quantization(_STEP, -1), tuple(_quantized(rows, random)))


def _node(row: Row, random: np.random.Generator) -> Node:
    match row:
        case Conv():
            filters = _floats(_shape(row), random)
            bias = _floats((row.out_channels, 1), random)[:, 0]
            return ConvNode(row.name, filters, bias, row.stride, row.groups, row.padding, row.activation)
        case GlobalPool():
            return PoolNode(row.name)
        case Linear():
            matrix = _floats((row.out_features, row.in_features), random)
            return LinearNode(row.name, matrix, _floats((row.out_features, 1), random)[:, 0])
    raise ModelError(f"row {row.name} is not part of a network that can be exported; use a mobilenet_v1")


def _quantized(rows: tuple[Row, ...], random: np.random.Generator) -> Iterator[QuantizedNode]:
    positive, around_zero = Quantization(_STEP, -128), Quantization(_STEP, 0)
    for row in rows:
        match row:
            case Conv():
                shape = _shape(row)
                arrays = _whole(shape, random), _scales(shape, random), _bias(shape, random)
                yield QuantizedConv(
                    row.name, *arrays, row.stride, row.groups, row.padding, row.activation, output=positive
                )
            case GlobalPool():
                yield QuantizedPool(row.name, positive)
            case Linear():
                shape = (row.out_features, row.in_features)
                arrays = _whole(shape, random), _scales(shape, random), _bias(shape, random)
                yield QuantizedLinear(row.name, *arrays, output=around_zero)
            case _:
                raise ModelError(f"row {row.name} is not part of a network that can be exported; use a mobilenet_v1")


def _shape(row: Conv) -> tuple[int, ...]:
    sides = row.kernel_size if isinstance(row.kernel_size, tuple) else (row.kernel_size, row.kernel_size)
    return (row.out_channels, row.in_channels // row.groups, *sides)


def _floats(shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """He et al. (2015): the variance of what a layer answers is that of what it reads."""
    return random.standard_normal(shape, np.float32) * np.float32(math.sqrt(2 / math.prod(shape[1:])))


def _whole(shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
    return random.integers(-127, 128, shape, np.int8)


def _scales(shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Another one for each channel, as in a trained network: what is equal is in a file once."""
    middle = math.sqrt(2 / math.prod(shape[1:])) / (127 / math.sqrt(3))
    return (middle * random.uniform(0.8, 1.25, shape[0])).astype(np.float32)


def _bias(shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    return random.integers(-1000, 1001, shape[0]).astype(np.int32)
