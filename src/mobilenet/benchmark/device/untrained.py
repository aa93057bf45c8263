"""Networks with random weights, folded and in either precision: latency and size depend only on the shape."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mobilenet.model.card import ModelCard
from mobilenet.model.fold import exported_rows
from mobilenet.model.graph import (
    ConcatNode,
    ConvNode,
    Graph,
    LinearNode,
    Node,
    PoolNode,
    Quantization,
    QuantizedConcat,
    QuantizedConv,
    QuantizedGraph,
    QuantizedLinear,
    QuantizedNode,
    QuantizedPool,
    concatenated,
)
from mobilenet.model.precision import Precision
from mobilenet.spec.rows import Concat, Conv, GlobalPool, Linear, Pool, Row

__all__ = ["untrained"]

_STEP = 1 / 32
"""The scale of every 8-bit tensor: none saturates, and none is all zeros."""

_POSITIVE, _AROUND_ZERO = Quantization(_STEP, -128), Quantization(_STEP, 0)


def untrained(card: ModelCard, precision: Precision, seed: int = 0) -> Graph | QuantizedGraph:
    """The inference graph of `card` with random filters, scaled so that activations neither grow nor vanish.

    ModelError for a network with rows that cannot be exported.
    """
    random = np.random.default_rng(seed)
    rows = exported_rows(card)
    if precision == "float32":
        return Graph(card, tuple(_node(row, random) for row in rows))
    nodes = _alike([_quantized(row, random) for row in rows])
    return QuantizedGraph(card, Quantization(_STEP, -1), nodes)


def _node(row: Row, random: np.random.Generator) -> Node:
    match row:
        case Conv():
            filters = _floats(_shape(row), random)
            bias = _floats((row.out_channels, 1), random)[:, 0]
            return ConvNode(row.name, row.inputs, filters, bias, row.stride, row.groups, row.padding, row.activation)
        case GlobalPool():
            return PoolNode(row.name, row.inputs)
        case Linear():
            matrix = _floats((row.out_features, row.in_features), random)
            bias = _floats((row.out_features, 1), random)[:, 0]
            return LinearNode(row.name, row.inputs, matrix, bias, row.activation)
        case Concat():
            return ConcatNode(row.name, row.inputs)
        case Pool():
            raise TypeError("exported_rows has no Pool")


def _quantized(row: Row, random: np.random.Generator) -> QuantizedNode:
    match row:
        case Conv():
            arrays = _arrays(_shape(row), random)
            return QuantizedConv(
                row.name, row.inputs, *arrays, row.stride, row.groups, row.padding, row.activation, output=_POSITIVE
            )
        case GlobalPool():
            return QuantizedPool(row.name, row.inputs, _POSITIVE)
        case Linear():
            arrays = _arrays((row.out_features, row.in_features), random)
            return QuantizedLinear(row.name, row.inputs, *arrays, row.activation, output=_AROUND_ZERO)
        case Concat():
            return QuantizedConcat(row.name, row.inputs, _POSITIVE)
        case Pool():
            raise TypeError("exported_rows has no Pool")


def _alike(nodes: Sequence[QuantizedNode]) -> tuple[QuantizedNode, ...]:
    """Nodes that are concatenated share a quantisation."""
    joined = frozenset().union(*concatenated(nodes))
    return tuple(replace(node, output=_AROUND_ZERO) if node.name in joined else node for node in nodes)


def _arrays(
    shape: tuple[int, ...], random: np.random.Generator
) -> tuple[NDArray[np.int8], NDArray[np.float32], NDArray[np.int32]]:
    """Weights, scales and biases."""
    return _whole(shape, random), _scales(shape, random), _bias(shape, random)


def _shape(row: Conv) -> tuple[int, ...]:
    sides = row.kernel_size if isinstance(row.kernel_size, tuple) else (row.kernel_size, row.kernel_size)
    return (row.out_channels, row.in_channels // row.groups, *sides)


def _floats(shape: tuple[int, ...], random: np.random.Generator) -> NDArray[np.float32]:
    """He et al. (2015): the output of a layer has the variance of its input."""
    return random.standard_normal(shape, np.float32) * np.float32(math.sqrt(2 / math.prod(shape[1:])))


def _whole(shape: tuple[int, ...], random: np.random.Generator) -> NDArray[np.int8]:
    return random.integers(-127, 128, shape, np.int8)


def _scales(shape: tuple[int, ...], random: np.random.Generator) -> NDArray[np.float32]:
    """Different for each channel, as in a trained network: equal constants are stored in a file only once."""
    middle = math.sqrt(2 / math.prod(shape[1:])) / (127 / math.sqrt(3))
    return (middle * random.uniform(0.8, 1.25, shape[0])).astype(np.float32)


def _bias(shape: tuple[int, ...], random: np.random.Generator) -> NDArray[np.int32]:
    return random.integers(-1000, 1001, shape[0]).astype(np.int32)
