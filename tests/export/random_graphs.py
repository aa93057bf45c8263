"""Random graphs in either precision, odd in every way that a graph can be, and what NumPy makes of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mobilenet.images import Preprocessing
from mobilenet.model.card import ModelCard
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
)
from mobilenet.model.head import Head
from mobilenet.model.outputs import Output
from mobilenet.spec.rows import INPUT, Activation, Padding
from mobilenet.spec.shapes import padded

Shape = tuple[int, int, int]
Array = NDArray[Any]

_MOST_NODES = 9
_STD = 32.0


class _Growing:
    """A graph to which random nodes are added; in 8 bits, `steps` are those of each tensor."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.side = int(self.random.integers(5, 24))
        self.shapes: dict[str, Shape] = {INPUT: (self.side, self.side, 3)}
        self.fine: list[Node] = []
        self.coarse: list[QuantizedNode] = []
        self.steps = {INPUT: Quantization(1 / _STD, int(self.random.integers(-128, 128)))}

    def choice(self, values: Sequence[Any]) -> Any:
        return values[int(self.random.integers(len(values)))]

    def convolution(self, source: str, *, depthwise: bool) -> None:
        height, width, channels = self.shapes[source]
        kernel = self.choice([(1, 1), (3, 3), (3, 3), (3, 3), (5, 5), (1, 3), (2, 2)]) if source != INPUT else (3, 3)
        stride, padding = int(self.choice([1, 1, 2, 3])), self.choice(["symmetric", "tensorflow", "valid"])
        if not depthwise and kernel == (1, 1):
            stride = 1
        sides = [_out(side, size, stride, padding) for side, size in zip((height, width), kernel, strict=True)]
        if min(sides) < 1:
            return
        out = channels if depthwise else int(self.random.integers(1, 40))
        shape = (out, 1 if depthwise else channels, *kernel)
        name = f"n{len(self.fine)}"
        groups = channels if depthwise else 1
        activation: Activation = self.choice(["none", "relu", "relu6"])
        filters, scales, bias, output = self._weights(shape, source, activation)
        geometry = stride, groups, padding, activation
        real = (filters * scales[:, None, None, None]).astype(np.float32)
        self.fine.append(ConvNode(name, (source,), real, self._bias(out), *geometry))
        self.coarse.append(QuantizedConv(name, (source,), filters, scales, bias, *geometry, output))
        self._made(name, (sides[0], sides[1], out), output)

    def linear(self, source: str) -> None:
        name, out, values = f"n{len(self.fine)}", int(self.random.integers(1, 40)), int(np.prod(self.shapes[source]))
        activation: Activation = self.choice(["none", "relu"])
        matrix, scales, bias, output = self._weights((out, values), source, activation)
        real = (matrix * scales[:, None]).astype(np.float32)
        self.fine.append(LinearNode(name, (source,), real, self._bias(out), activation))
        self.coarse.append(QuantizedLinear(name, (source,), matrix, scales, bias, activation, output))
        self._made(name, (1, 1, out), output)

    def pool(self, source: str) -> None:
        name = f"n{len(self.fine)}"
        given = self.steps[source]
        output = Quantization(given.scale * float(self.random.uniform(0.3, 1)), int(self.random.integers(-128, 128)))
        self.fine.append(PoolNode(name, (source,)))
        self.coarse.append(QuantizedPool(name, (source,), output))
        self._made(name, (1, 1, self.shapes[source][2]), output)

    def concatenation(self, first: str, second: str) -> None:
        name, shapes = f"n{len(self.fine)}", [self.shapes[first], self.shapes[second]]
        self.fine.append(ConcatNode(name, (first, second)))
        self.coarse.append(QuantizedConcat(name, (first, second), self.steps[first]))
        self._made(name, (*shapes[0][:2], shapes[0][2] + shapes[1][2]), self.steps[first])

    def _weights(
        self, shape: tuple[int, ...], source: str, activation: Activation
    ) -> tuple[NDArray[np.int8], NDArray[np.float32], NDArray[np.int32], Quantization]:
        filters = self.random.integers(-127, 128, shape).astype(np.int8)
        size = int(np.prod(shape[1:]))
        scales = self.random.uniform(0.5, 2, shape[0]).astype(np.float32) / np.float32(70 * size**0.5)
        bias = self.random.integers(-3000, 3000, shape[0]).astype(np.int32)
        zero = -128 if activation != "none" else int(self.random.integers(-128, 128))
        return filters, scales, bias, Quantization(float(np.float32(self.random.uniform(0.01, 0.06))), zero)

    def _bias(self, out: int) -> NDArray[np.float32]:
        return self.random.normal(0, 0.3, out).astype(np.float32)

    def _made(self, name: str, shape: Shape, steps: Quantization) -> None:
        self.shapes[name], self.steps[name] = shape, steps


def random_graphs(seed: int) -> tuple[Graph, QuantizedGraph]:
    """The same structure in both precisions; whatever nobody reads is an output, and sometimes more is."""
    growing = _Growing(seed)
    while not growing.fine:
        growing.convolution(INPUT, depthwise=False)
    for _ in range(int(growing.random.integers(0, _MOST_NODES))):
        names = [name for name in growing.shapes if name != INPUT]
        source = names[-1] if growing.random.random() < 0.8 else growing.choice(names)
        plane = growing.shapes[source][:2] != (1, 1)
        kind = growing.random.random()
        alike = [
            name
            for name in names
            if name != source
            and growing.shapes[name][:2] == growing.shapes[source][:2]
            and growing.steps[name] == growing.steps[source]
        ]
        if kind < 0.75 and plane:
            growing.convolution(source, depthwise=kind < 0.4 and growing.shapes[source][2] > 1)
        elif kind < 0.85 and plane:
            growing.pool(source)
        elif alike and kind < 0.95:
            growing.concatenation(source, growing.choice(alike))
        else:
            growing.linear(source)
    return _finished(growing)


def _finished(growing: _Growing) -> tuple[Graph, QuantizedGraph]:
    read = {name for node in growing.fine for name in node.inputs}
    shown = [node.name for node in growing.fine if node.name not in read or growing.random.random() < 0.1]
    outputs = tuple(Output(f"out{number}", (name,), growing.shapes[name]) for number, name in enumerate(shown))
    mean = tuple(float(value) for value in growing.random.integers(0, 256, 3))
    pixels = Preprocessing(growing.side, None, (mean[0], mean[1], mean[2]), (_STD, _STD, _STD))
    card = ModelCard("mobilenet_v1", 0.25, growing.side, (), pixels, task="made up", head=Head((), outputs))
    return Graph(card, tuple(growing.fine)), QuantizedGraph(card, growing.steps[INPUT], tuple(growing.coarse))


def _out(side: int, kernel: int, stride: int, padding: Padding) -> int:
    before, after = padded(side, kernel, stride, padding)
    return (side + before + after - kernel) // stride + 1


def computed(graph: Graph | QuantizedGraph, image: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Each output of one image, by the rule of rounding: the sum of products times one float32 factor, to the nearest
    step, ties to even."""
    coarse = isinstance(graph, QuantizedGraph)
    mean, std = graph.card.preprocessing.mean, graph.card.preprocessing.std
    first: Array = image.astype(np.int64) - 128 if coarse else (image - np.array(mean)) / np.array(std)
    made = {INPUT: first}
    steps = graph.steps if isinstance(graph, QuantizedGraph) else {}
    for node in graph.nodes:
        given = [made[name] for name in node.inputs]
        if isinstance(node, ConcatNode | QuantizedConcat):
            made[node.name] = np.concatenate(given, -1)
            continue
        if isinstance(node, QuantizedConv | QuantizedLinear | QuantizedPool):
            made[node.name] = _rounded(node, given[0] - steps[node.inputs[0]].zero_point, steps[node.inputs[0]])
        else:
            made[node.name] = _activated(node, _sums(node, given[0]))
    return {output.name: _shown(made[output.rows[0]], output, steps) for output in graph.card.outputs}


def _shown(values: Array, output: Output, steps: dict[str, Quantization]) -> NDArray[np.float32]:
    if steps:
        own = steps[output.rows[0]]
        values = (values - own.zero_point).astype(np.float32) * np.float32(own.scale)
    return values.astype(np.float32).reshape(output.shape)


def _sums(node: Any, x: Array) -> Array:
    if isinstance(node, PoolNode | QuantizedPool):
        return x.sum((0, 1))[None, None] if isinstance(node, QuantizedPool) else x.mean((0, 1))[None, None]
    if isinstance(node, LinearNode | QuantizedLinear):
        matrix = node.matrix.astype(x.dtype)
        return (matrix @ x.reshape(-1) + node.bias)[None, None]
    filters = node.filters.astype(x.dtype)
    pads = [padded(s, k, node.stride, node.padding) for s, k in zip(x.shape[:2], filters.shape[2:], strict=True)]
    windows = sliding_window_view(np.pad(x, (*pads, (0, 0))), filters.shape[2:], (0, 1))
    windows = windows[:: node.stride, :: node.stride]
    if node.depthwise:
        return np.einsum("yxchw,chw->yxc", windows, filters[:, 0]) + node.bias
    return np.tensordot(windows, filters, ((2, 3, 4), (1, 2, 3))) + node.bias


def _activated(node: Any, x: Array) -> Array:
    activation = getattr(node, "activation", "none")
    return x if activation == "none" else np.clip(x, 0, 6 if activation == "relu6" else None)


def _rounded(node: Any, x: Array, given: Quantization) -> Array:
    scale = np.float32(given.scale) * getattr(node, "scales", np.float32(1)) / np.float32(node.output.scale)
    if isinstance(node, QuantizedPool):
        scale = scale / np.float32(x.shape[0] * x.shape[1])
    zero, activation = node.output.zero_point, getattr(node, "activation", "none")
    low = -128 if activation == "none" else max(-128, zero)
    high = min(127, round(6 / node.output.scale) + zero) if activation == "relu6" else 127
    scaled = _sums(node, x).astype(np.float32) * scale.astype(np.float32)
    return np.clip(np.round(scaled).astype(np.int64) + zero, low, high)
