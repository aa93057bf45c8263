"""Runs graphs in torch, node by node: the float32 one for calibration, the 8-bit one as a device computes it.

Tensors of 8-bit values are float32 here. Their products and sums are integers of at most 25 bits, so the relative error
of float32 is at most one in 16 million, far less than half a step of the output.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mobilenet.images.preprocessing import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.model.graph import (
    AnyNode,
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
    walk,
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
    "flat",
    "normalised",
    "outputs_of",
    "pixels_of",
    "quantized_outputs",
    "quantized_start",
    "quantized_step",
    "raw_outputs",
    "step",
]

LOWEST, HIGHEST = -128, 127
"""The range of int8."""

_BATCH = 32


def batches(images: NDArray[np.uint8]) -> Iterator[Tensor]:
    """(N, R, R, 3) uint8 -> (B, 3, R, R) float32 pixels 0 … 255 in channels_last, in batches."""
    for start in range(0, len(images), _BATCH):
        yield pixels_of(images[start : start + _BATCH])


def pixels_of(images: NDArray[np.uint8]) -> Tensor:
    """(N, R, R, 3) uint8 -> (N, 3, R, R) float32 pixels 0 … 255."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()


def normalised(pixels: Tensor, preprocessing: Preprocessing) -> Tensor:
    """(N, 3, R, R) float32 pixels -> network input, (pixel - mean) / std."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (preprocessing.mean, preprocessing.std))
    return (pixels - mean) / std


def raw_outputs(graph: Graph, pixels: Tensor) -> dict[str, Tensor]:
    """(N, 3, R, R) float32 pixels -> each output of the card by name, (N, *shape) float32, before its ending."""
    return outputs_of(graph.card, walk(graph.nodes, normalised(pixels, graph.card.preprocessing), step))


def outputs_of(card: ModelCard, made: Iterable[tuple[AnyNode, Tensor]]) -> dict[str, Tensor]:
    """Nodes with their outputs, in order -> each output of the card by name, (N, *shape)."""
    rows = {row for output in card.outputs for row in output.rows}
    found = {node.name: flat(x) for node, x in made if node.name in rows}
    return {
        output.name: torch.cat([found[row] for row in output.rows], 1).unflatten(1, output.shape)
        for output in card.outputs
    }


def flat(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, H × W × C), row by row and pixel by pixel; a vector (N, F) is unchanged."""
    return x.permute(0, 2, 3, 1).flatten(1) if x.dim() == 4 else x


def step(node: Node, inputs: Sequence[Tensor]) -> Tensor:
    """The float32 output of one node after its activation: (N, C, H, W) for a plane, (N, F) for a vector."""
    match node:
        case ConvNode():
            filters, bias = torch.from_numpy(node.filters), torch.from_numpy(node.bias)
            return activate(convolve(node, inputs[0], filters, bias), node.activation)
        case PoolNode():
            return inputs[0].mean((2, 3))
        case LinearNode():
            sums = F.linear(flat(inputs[0]), torch.from_numpy(node.matrix), torch.from_numpy(node.bias))
            return activate(sums, node.activation)
        case ConcatNode():
            return torch.cat(list(inputs), 1)


def convolve(node: ConvNode | QuantizedConv, x: Tensor, filters: Tensor, bias: Tensor | None) -> Tensor:
    """(N, C, H, W) convolved with `filters` (out, C / groups, h, w), plus `bias` (out,), zero-padded as `node` says."""
    (top, bottom), (left, right) = (
        padded(side, kernel, node.stride, node.padding)
        for side, kernel in zip(x.shape[2:], filters.shape[2:], strict=True)
    )
    if (top, left) == (bottom, right):
        return F.conv2d(x, filters, bias, node.stride, (top, left), 1, node.groups)
    return F.conv2d(F.pad(x, (left, right, top, bottom)), filters, bias, node.stride, 0, 1, node.groups)


def activate(x: Tensor, activation: Activation) -> Tensor:
    """ReLU, ReLU6 or none of `x` (...,); `x` itself is not changed."""
    match activation:
        case "relu":
            return x.clamp_min(0)
        case "relu6":
            return x.clamp(0, 6)
        case "none":
            return x


def quantized_outputs(graph: QuantizedGraph, pixels: Tensor) -> dict[str, Tensor]:
    """(N, 3, R, R) float32 pixels -> each output as in `raw_outputs`, (N, *shape) float32, dequantised."""
    steps = graph.steps

    def compute(node: QuantizedNode, inputs: list[Tensor]) -> Tensor:
        return quantized_step(node, inputs, steps[node.inputs[0]])

    made = walk(graph.nodes, quantized_start(pixels), compute)
    shown = {row for output in graph.card.outputs for row in output.rows}
    return outputs_of(graph.card, ((node, _real(x, node.output)) for node, x in made if node.name in shown))


def _real(x: Tensor, quantization: Quantization) -> Tensor:
    return (x - quantization.zero_point) * quantization.scale


def quantized_start(pixels: Tensor) -> Tensor:
    """(N, 3, R, R) float32 pixels -> 8-bit values for the first node, pixel - 128, as float32."""
    return pixels + LOWEST


def quantized_step(node: QuantizedNode, inputs: Sequence[Tensor], given: Quantization) -> Tensor:
    """8-bit inputs, (N, C, H, W) or (N, F) float32, quantised as `given` -> 8-bit output (TFLite 8-bit spec)."""
    if isinstance(node, QuantizedConcat):
        return torch.cat(list(inputs), 1)
    centred = inputs[0] - given.zero_point
    match node:
        case QuantizedConv():
            filters, bias = torch.from_numpy(node.filters).float(), torch.from_numpy(node.bias).float()
            sums = convolve(node, centred, filters, bias)
            steps = torch.from_numpy(node.scales)[:, None, None] * (given.scale / node.output.scale)
        case QuantizedPool():
            sums, steps = centred.mean((2, 3)), torch.tensor(given.scale / node.output.scale)
        case QuantizedLinear():
            matrix, bias = torch.from_numpy(node.matrix).float(), torch.from_numpy(node.bias).float()
            sums = F.linear(flat(centred), matrix, bias)
            steps = torch.from_numpy(node.scales) * (given.scale / node.output.scale)
    low, high = bounds(node)
    return torch.round(sums * steps).add_(node.output.zero_point).clamp_(low, high)


def bounds(node: QuantizedNode) -> tuple[int, int]:
    """The smallest and largest 8-bit value of a node's output after its activation."""
    if not isinstance(node, QuantizedConv | QuantizedLinear) or node.activation == "none":
        return LOWEST, HIGHEST
    zero, scale = node.output.zero_point, node.output.scale
    return zero, HIGHEST if node.activation == "relu" else min(HIGHEST, round(6 / scale) + zero)
