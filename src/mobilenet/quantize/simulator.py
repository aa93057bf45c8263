"""Runs graphs in torch, node by node: the float32 one for calibration, the 8-bit one as a device will compute it.

Tensors of 8-bit numbers are float32 here. Their products and sums are whole numbers of at most 25 bits, so float32 is
wrong by one part in 16 million where it is wrong at all, far less than half a step of the output.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mobilenet.images import Preprocessing
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
from mobilenet.spec.rows import Activation
from mobilenet.spec.shapes import padded

__all__ = [
    "HIGHEST",
    "LOWEST",
    "activate",
    "batches",
    "bounds",
    "convolve",
    "logits",
    "normalised",
    "pixels_of",
    "quantized_logits",
    "quantized_start",
    "quantized_step",
    "step",
]

LOWEST, HIGHEST = -128, 127
"""Of int8."""

_BATCH = 32


def batches(images: NDArray[np.uint8]) -> Iterator[Tensor]:
    """(N, R, R, 3) uint8 -> (B, 3, R, R) float32 pixels 0 … 255 in channels_last, some at a time."""
    for start in range(0, len(images), _BATCH):
        yield pixels_of(images[start : start + _BATCH])


def pixels_of(images: NDArray[np.uint8]) -> Tensor:
    """(N, R, R, 3) uint8 -> (N, 3, R, R) float32 pixels 0 … 255."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()


def normalised(pixels: Tensor, preprocessing: Preprocessing) -> Tensor:
    """(N, 3, R, R) pixels -> network input, (pixel - mean) / std."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (preprocessing.mean, preprocessing.std))
    return (pixels - mean) / std


def logits(graph: Graph, pixels: Tensor) -> Tensor:
    """(N, 3, R, R) pixels -> (N, classes) float32 of the last node."""
    x = normalised(pixels, graph.card.preprocessing)
    for node in graph.nodes:
        x = step(node, x)
    return x


def step(node: Node, x: Tensor) -> Tensor:
    """The output of one node, its activation included."""
    match node:
        case ConvNode():
            filters, bias = torch.from_numpy(node.filters), torch.from_numpy(node.bias)
            return activate(convolve(node, x, filters, bias), node.activation)
        case PoolNode():
            return x.mean((2, 3))
        case LinearNode():
            return F.linear(x, torch.from_numpy(node.matrix), torch.from_numpy(node.bias))


def convolve(node: ConvNode | QuantizedConv, x: Tensor, filters: Tensor, bias: Tensor | None) -> Tensor:
    """The convolution of a node with these numbers, padded by zeros as the node says."""
    before, after = padded(x.shape[2], filters.shape[2], node.stride, node.padding)
    if before == after:
        return F.conv2d(x, filters, bias, node.stride, before, 1, node.groups)
    return F.conv2d(F.pad(x, (before, after, before, after)), filters, bias, node.stride, 0, 1, node.groups)


def activate(x: Tensor, activation: Activation) -> Tensor:
    """ReLU, ReLU6 or nothing, in a new tensor."""
    match activation:
        case "relu":
            return x.clamp_min(0)
        case "relu6":
            return x.clamp(0, 6)
        case "none":
            return x


def quantized_logits(graph: QuantizedGraph, pixels: Tensor) -> Tensor:
    """(N, 3, R, R) pixels -> (N, classes) float32: the last node's 8-bit numbers as real ones."""
    x, given = quantized_start(pixels), graph.input
    for node in graph.nodes:
        x = quantized_step(node, x, given)
        given = node.output
    return (x - given.zero_point) * given.scale


def quantized_start(pixels: Tensor) -> Tensor:
    """(N, 3, R, R) pixels -> what the first node reads: 8-bit numbers, pixel - 128."""
    return pixels + LOWEST


def quantized_step(node: QuantizedNode, x: Tensor, given: Quantization) -> Tensor:
    """8-bit numbers of the input, which mean what `given` says -> those of the node's output (TFLite 8-bit spec)."""
    centred = x - given.zero_point
    match node:
        case QuantizedConv():
            filters, bias = torch.from_numpy(node.filters).float(), torch.from_numpy(node.bias).float()
            sums = convolve(node, centred, filters, bias)
            steps = torch.from_numpy(node.scales)[:, None, None] * (given.scale / node.output.scale)
        case QuantizedPool():
            sums, steps = centred.mean((2, 3)), torch.tensor(given.scale / node.output.scale)
        case QuantizedLinear():
            sums = F.linear(centred, torch.from_numpy(node.matrix).float(), torch.from_numpy(node.bias).float())
            steps = torch.from_numpy(node.scales) * (given.scale / node.output.scale)
    low, high = bounds(node)
    return torch.round(sums * steps).add_(node.output.zero_point).clamp_(low, high)


def bounds(node: QuantizedNode) -> tuple[int, int]:
    """The smallest and the largest 8-bit number of a node's output: what its activation lets through."""
    if not isinstance(node, QuantizedConv) or node.activation == "none":
        return LOWEST, HIGHEST
    zero, scale = node.output.zero_point, node.output.scale
    return zero, HIGHEST if node.activation == "relu" else min(HIGHEST, round(6 / scale) + zero)
