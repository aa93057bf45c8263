"""Weights in the order in which the C kernels read them: blocks of 16 output channels, padded with zeros.

In 8 bits a value of a plane is a byte, q + 128, so that products are of an unsigned and a signed number, as the dot
products of processors want them; biases take up what that adds.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.export.c.layer import BLOCK, GROUP, OFFSET, Work, blocks
from mobilenet.model.graph import (
    ConvNode,
    LinearNode,
    PoolNode,
    Quantization,
    QuantizedConv,
    QuantizedLinear,
    QuantizedPool,
)

__all__ = ["pooled", "weighed"]

_LOWEST, _HIGHEST = -128, 127
_UNBOUNDED = 3.0e38

Weighted = ConvNode | LinearNode | QuantizedConv | QuantizedLinear


def weighed(node: Weighted, filters: NDArray[Any], cell: int, given: Quantization | None) -> Work:
    """The work of a node with `filters` (out, in / groups, height, width) on a plane whose cells have `cell` values,
    quantised as `given`, None in float32."""
    depthwise = isinstance(node, ConvNode | QuantizedConv) and node.depthwise
    weights, groups = _depthwise(filters) if depthwise else _product(filters, cell)
    rows, width = filters.shape[2:]
    if given is None:
        low, high = _float_bounds(node)
        return Work(weights, _padded(node.bias), np.zeros(0, np.float32), low, high, 0, rows, width, groups)
    if not isinstance(node, QuantizedConv | QuantizedLinear):
        raise TypeError(f"{node.name} is in float32 and reads 8 bits")
    # Whole numbers of padding cells are those of their zero point, so a bias is right at every place.
    sums = filters.astype(np.int64).sum((1, 2, 3))
    bias = (node.bias.astype(np.int64) - (given.zero_point + OFFSET) * sums).astype(np.int32)
    scale = np.float32(given.scale) * node.scales / np.float32(node.output.scale)
    low, high, zero = _int8_bounds(node)
    return Work(weights, _padded(bias), _padded(scale.astype(np.float32)), low, high, zero, rows, width, groups)


def pooled(node: PoolNode | QuantizedPool, places: int, given: Quantization | None) -> Work:
    """The average over a plane of so many places."""
    none = np.zeros(0, np.int8)
    if given is None or isinstance(node, PoolNode):
        return Work(none.astype(np.float32), none.astype(np.float32), none.astype(np.float32), 0, 0, 0, 0, 0, 0)
    bias = np.full(BLOCK, -places * (given.zero_point + OFFSET), np.int32)
    scale = np.full(BLOCK, np.float32(given.scale) / np.float32(node.output.scale) / np.float32(places), np.float32)
    zero = node.output.zero_point
    return Work(none, bias, scale, _LOWEST - zero, _HIGHEST - zero, zero + OFFSET, 0, 0, 0)


def _product(filters: NDArray[Any], cell: int) -> tuple[NDArray[Any], int]:
    """(out, in, h, w) -> (blocks, h, groups, 16, group), and the number of groups."""
    out, channels, height, width = filters.shape
    float32 = filters.dtype == np.float32
    size = 1 if float32 else GROUP
    groups = -(-(channels if width == 1 else width * cell) // size)
    rows = np.zeros((blocks(out) * BLOCK, height, width, cell), filters.dtype)
    rows[:out, :, :, :channels] = filters.transpose(0, 2, 3, 1)
    flat = rows.reshape(len(rows), height, width * cell)
    whole = np.zeros((len(rows), height, max(groups * size, flat.shape[2])), filters.dtype)
    whole[:, :, : flat.shape[2]] = flat
    parts = whole[:, :, : groups * size].reshape(-1, BLOCK, height, groups, size)
    return np.ascontiguousarray(parts.transpose(0, 2, 3, 1, 4)), groups


def _depthwise(filters: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """(out, 1, h, w) -> (blocks, h × w, 16)."""
    out, _, height, width = filters.shape
    whole = np.zeros((blocks(out) * BLOCK, height * width), filters.dtype)
    whole[:out] = filters.reshape(out, -1)
    return np.ascontiguousarray(whole.reshape(-1, BLOCK, height * width).transpose(0, 2, 1)), 0


def _padded(values: NDArray[Any]) -> NDArray[Any]:
    whole = np.zeros(blocks(len(values)) * BLOCK, values.dtype)
    whole[: len(values)] = values
    return whole


def _float_bounds(node: Weighted) -> tuple[float, float]:
    return {"none": (-_UNBOUNDED, _UNBOUNDED), "relu": (0.0, _UNBOUNDED), "relu6": (0.0, 6.0)}[node.activation]


def _int8_bounds(node: QuantizedConv | QuantizedLinear) -> tuple[float, float, int]:
    """The bounds of a value less its zero point, and the zero point of its byte."""
    zero, scale = node.output.zero_point, node.output.scale
    low = _LOWEST if node.activation == "none" else max(_LOWEST, zero)
    high = min(_HIGHEST, round(6 / scale) + zero) if node.activation == "relu6" else _HIGHEST
    return low - zero, high - zero, zero + OFFSET
