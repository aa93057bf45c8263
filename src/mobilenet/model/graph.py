"""The inference graph: what runs on a device, as nodes with their arrays; the source of every exported file.

A trained network is its table plus arrays named by row, so nothing is traced: `mobilenet.model.fold` turns each row
into one node. `Graph` is in float32, `QuantizedGraph` in 8 bits (`mobilenet.quantize` converts one to the other).

Nodes are in the order of computation, and each names the nodes it reads, or `spec.INPUT` for the pixels. A node
computes a plane (height, width, channels) or a vector (numbers,). A plane is flattened to a vector in the order height,
width, channel. That holds for `LinearNode`, for the outputs and for every file and engine, whatever their own layout.

Both graphs take uint8 pixels `(N, R, R, 3)` and return the outputs of their card: each is the result of one node, in
the shape given by the card, with its ending (softmax, …) in float32.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from mobilenet.model.card import ModelCard
from mobilenet.spec.rows import INPUT, Activation, Padding

__all__ = [
    "AnyNode",
    "Arrays",
    "ConcatNode",
    "ConvNode",
    "Graph",
    "LinearNode",
    "Node",
    "PoolNode",
    "Quantization",
    "QuantizedConcat",
    "QuantizedConv",
    "QuantizedGraph",
    "QuantizedLinear",
    "QuantizedNode",
    "QuantizedPool",
    "concatenated",
    "walk",
]

Floats = NDArray[np.float32]

Arrays = Mapping[str, Floats]
"""A network's weights by name, float32, as in its torch module's `state_dict()`: filters (out, in / groups, height,
width), matrices (out, in), biases and norms (out,)."""


@dataclass(frozen=True, slots=True, eq=False)
class ConvNode:
    """Convolution of a plane, and activation: `filters` (out, in / groups, height, width), `bias` (out,)."""

    name: str
    inputs: tuple[str, ...]
    filters: Floats
    bias: Floats
    stride: int
    groups: int
    padding: Padding
    activation: Activation

    @property
    def depthwise(self) -> bool:
        """Whether there is one filter per channel."""
        return self.groups > 1


@dataclass(frozen=True, slots=True, eq=False)
class PoolNode:
    """Average over the whole plane: (H, W, C) -> (C,)."""

    name: str
    inputs: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class LinearNode:
    """`matrix` (out, in) times a vector, or a plane of `in` numbers, plus `bias` (out,); then the activation."""

    name: str
    inputs: tuple[str, ...]
    matrix: Floats
    bias: Floats
    activation: Activation = "none"


@dataclass(frozen=True, slots=True, eq=False)
class ConcatNode:
    """Concatenation of several planes of one size along the channels, or of several vectors."""

    name: str
    inputs: tuple[str, ...]


Node = ConvNode | PoolNode | LinearNode | ConcatNode


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A network in float32: first (pixel - mean) / std, as `card.preprocessing` says, then `nodes`, then endings."""

    card: ModelCard
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Quantization:
    """How one tensor's 8-bit values map to real ones: real = scale × (q - zero_point), q from -128 to 127 (int8)."""

    scale: float
    zero_point: int


@dataclass(frozen=True, slots=True, eq=False)
class QuantizedConv:
    """`filters` int8 from -127 to 127, `scales` (out,) float32, one per output channel, zero points 0; `bias` (out,)
    int32 in steps of input scale × `scales`; `output` covers the range of the activation.
    """

    name: str
    inputs: tuple[str, ...]
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
        """Whether there is one filter per channel."""
        return self.groups > 1


@dataclass(frozen=True, slots=True, eq=False)
class QuantizedPool:
    """Average over the whole plane, rounded to the steps of `output`."""

    name: str
    inputs: tuple[str, ...]
    output: Quantization


@dataclass(frozen=True, slots=True, eq=False)
class QuantizedLinear:
    """`matrix` (out, in) int8 from -127 to 127, `scales` (out,), `bias` (out,) int32 as in `QuantizedConv`."""

    name: str
    inputs: tuple[str, ...]
    matrix: NDArray[np.int8]
    scales: Floats
    bias: NDArray[np.int32]
    activation: Activation
    output: Quantization


@dataclass(frozen=True, slots=True, eq=False)
class QuantizedConcat:
    """Concatenation of 8-bit values as they are: `output` is also the quantisation of each input."""

    name: str
    inputs: tuple[str, ...]
    output: Quantization


QuantizedNode = QuantizedConv | QuantizedPool | QuantizedLinear | QuantizedConcat


@dataclass(frozen=True, slots=True, eq=False)
class QuantizedGraph:
    """A network in 8 bits, following the TFLite 8-bit quantisation specification.

    A pixel p (uint8) is q = p - 128 in steps of `input`. Filters and biases of the nodes that read pixels are in those
    steps, so pixels need no conversion; padding is q = zero_point. Endings are in float32.
    """

    card: ModelCard
    input: Quantization
    nodes: tuple[QuantizedNode, ...]

    @property
    def steps(self) -> dict[str, Quantization]:
        """The quantisation of each tensor, by the name under which it is read."""
        return {INPUT: self.input} | {node.name: node.output for node in self.nodes}


class _Reader(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def inputs(self) -> tuple[str, ...]: ...


AnyNode = TypeVar("AnyNode", bound=_Reader)
Made = TypeVar("Made")


def walk(
    nodes: Sequence[AnyNode], given: Made, compute: Callable[[AnyNode, list[Made]], Made]
) -> Iterator[tuple[AnyNode, Made]]:
    """Each node with the result of `compute` for it and its inputs, in order; `given` is read as `spec.INPUT`.

    Results are released once their last reader has run.
    """
    last = {name: node.name for node in nodes for name in node.inputs}
    live = {INPUT: given}
    for node in nodes:
        made = compute(node, [live[name] for name in node.inputs])
        for name in set(node.inputs):
            if last[name] == node.name:
                del live[name]
        if node.name in last:
            live[node.name] = made
        yield node, made


def concatenated(nodes: Sequence[Node | QuantizedNode]) -> tuple[frozenset[str], ...]:
    """Names of nodes that share a quantisation because a concatenation joins them, one group per concatenation chain,
    concatenations included."""
    groups: list[frozenset[str]] = []
    for node in nodes:
        if isinstance(node, ConcatNode | QuantizedConcat):
            own = frozenset((node.name, *node.inputs))
            touched = [group for group in groups if group & own]
            groups = [group for group in groups if not group & own] + [own.union(*touched)]
    return tuple(groups)
