"""The inference graph: what runs on a device, as nodes with their arrays; every writer of exported files reads it.

A trained network is its table plus arrays named by row, so nothing is traced: batch norm is folded into the filters
before it, and nodes follow one another like the rows. `Graph` is in float32, `QuantizedGraph` in 8 bits
(`mobilenet.quantize` makes one of the other).

Both take uint8 pixels `(N, R, R, 3)` and answer with `probabilities (N, classes)` float32, the softmax of the last
node.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ModelError
from mobilenet.model.card import ModelCard
from mobilenet.spec.rows import Activation, Conv, GlobalPool, Linear, Padding, Row

__all__ = [
    "Arrays",
    "ConvNode",
    "Graph",
    "LinearNode",
    "Node",
    "PoolNode",
    "Quantization",
    "QuantizedConv",
    "QuantizedGraph",
    "QuantizedLinear",
    "QuantizedNode",
    "QuantizedPool",
    "build_graph",
]

Floats = NDArray[np.float32]

Arrays = Mapping[str, Floats]
"""A network's numbers: those of `nn.network.TableNetwork.state_dict()`, by name."""


@dataclass(frozen=True, slots=True, eq=False)
class ConvNode:
    """Convolution and activation: `filters` (out, in / groups, height, width), `bias` (out,)."""

    name: str
    filters: Floats
    bias: Floats
    stride: int
    groups: int
    padding: Padding
    activation: Activation

    @property
    def depthwise(self) -> bool:
        """One filter for each channel."""
        return self.groups > 1


@dataclass(frozen=True, slots=True, eq=False)
class PoolNode:
    """Average over the whole plane: (H, W, C) -> (C,)."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class LinearNode:
    """`matrix` (out, in), `bias` (out,); no activation: the last node's numbers are logits."""

    name: str
    matrix: Floats
    bias: Floats


Node = ConvNode | PoolNode | LinearNode


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A network in float32: first (pixel - mean) / std, as `card.preprocessing` says, then `nodes`, then softmax."""

    card: ModelCard
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Quantization:
    """How one tensor's 8-bit numbers mean real ones: real = scale × (q - zero_point), q from -128 to 127 (int8)."""

    scale: float
    zero_point: int


@dataclass(frozen=True, slots=True, eq=False)
class QuantizedConv:
    """`filters` int8 from -127 to 127, `scales` (out,) float32, one for each output channel, zero points 0; `bias`
    (out,) int32 in steps of input scale × `scales`; `output` covers what the activation lets through.
    """

    name: str
    filters: NDArray[np.int8]
    scales: Floats
    bias: NDArray[np.int32]
    stride: int
    groups: int
    padding: Padding
    activation: Activation
    output: Quantization

    @property
    def depthwise(self) -> bool:
        """One filter for each channel."""
        return self.groups > 1


@dataclass(frozen=True, slots=True, eq=False)
class QuantizedPool:
    """Average over the whole plane, rounded to the steps of `output`."""

    name: str
    output: Quantization


@dataclass(frozen=True, slots=True, eq=False)
class QuantizedLinear:
    """`matrix` (out, in) int8 from -127 to 127, `scales` (out,), `bias` (out,) int32 as in `QuantizedConv`."""

    name: str
    matrix: NDArray[np.int8]
    scales: Floats
    bias: NDArray[np.int32]
    output: Quantization


QuantizedNode = QuantizedConv | QuantizedPool | QuantizedLinear


@dataclass(frozen=True, slots=True, eq=False)
class QuantizedGraph:
    """A network in 8 bits, by the TFLite 8-bit quantisation specification.

    A pixel p (uint8) is q = p - 128 in steps of `input`. The first node's filters and bias are in those steps, so
    nothing stands between the pixels and it; padding is by q = zero_point. Softmax is in float32, of the last node.
    """

    card: ModelCard
    input: Quantization
    nodes: tuple[QuantizedNode, ...]


def build_graph(card: ModelCard, arrays: Arrays) -> Graph:
    """The graph of a trained classifier, of the arrays of its model file, with every batch norm folded.

    ModelError for a backbone, which answers nothing, and where arrays and table do not fit.
    """
    if not card.labels:
        raise ModelError("it has no classifier; train one on it with mobilenet train DATA --weights")
    wanted = {name for row in card.network().rows for name in _names(row)}
    if wanted != set(arrays):
        missing, unexpected = sorted(wanted - set(arrays))[:3], sorted(set(arrays) - wanted)[:3]
        raise ModelError(f"arrays and table do not fit: missing: {missing}; unexpected: {unexpected}")
    return Graph(card, tuple(_node(row, arrays) for row in card.network().rows))


def _names(row: Row) -> Iterator[str]:
    match row:
        case Conv():
            yield f"{row.name}.conv.weight"
            if row.bias:
                yield f"{row.name}.conv.bias"
            if row.batch_norm:
                yield from (f"{row.name}.norm.{part}" for part in ("weight", "bias", "running_mean", "running_var"))
        case Linear():
            yield f"{row.name}.weight"
            if row.bias:
                yield f"{row.name}.bias"


def _node(row: Row, arrays: Arrays) -> Node:
    match row:
        case Conv(inputs=()):
            return _folded(row, arrays)
        case GlobalPool(inputs=()):
            return PoolNode(row.name)
        case Linear(inputs=(), activation="none"):
            bias = arrays[f"{row.name}.bias"] if row.bias else np.zeros(row.out_features, np.float32)
            return LinearNode(row.name, arrays[f"{row.name}.weight"], bias)
    raise ModelError(f"row {row.name} is not part of a network that can be exported; use a mobilenet_v1")


def _folded(row: Conv, arrays: Arrays) -> ConvNode:
    """scale × (w * x + b - mean) / sqrt(variance + epsilon) + shift as one convolution; in float64, rounded once."""
    filters = arrays[f"{row.name}.conv.weight"].astype(np.float64)
    bias = arrays[f"{row.name}.conv.bias"].astype(np.float64) if row.bias else np.zeros(row.out_channels)
    if row.batch_norm:
        scale, shift, mean, variance = (
            arrays[f"{row.name}.norm.{part}"].astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        factor = scale / np.sqrt(variance + row.epsilon)
        filters, bias = filters * factor[:, None, None, None], (bias - mean) * factor + shift
    floats = filters.astype(np.float32), bias.astype(np.float32)
    return ConvNode(row.name, *floats, row.stride, row.groups, row.padding, row.activation)
