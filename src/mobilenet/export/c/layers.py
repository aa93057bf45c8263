"""From an inference graph to the layers of a C file: nodes with their shapes, their weights and what they read where.

A depthwise convolution that only a 1 × 1 convolution reads becomes one layer with it. A plane is surrounded by as much
padding as its readers need, so that no kernel has to look for edges.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ModelError
from mobilenet.export.c.arrays import pooled, weighed
from mobilenet.export.c.layer import (
    AVERAGE,
    BLOCK,
    CONCATENATION,
    DEPTHWISE,
    GROUP,
    OFFSET,
    PIXELS,
    PRODUCT,
    SEPARABLE,
    Layer,
    Read,
    Work,
)
from mobilenet.model.fold import on_centred_pixels
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
from mobilenet.spec.rows import INPUT
from mobilenet.spec.shapes import padded

__all__ = ["layers_of"]

_CONVOLUTIONS = ConvNode | QuantizedConv
_LINEAR = LinearNode | QuantizedLinear
_CONCATENATIONS = ConcatNode | QuantizedConcat

_MOST_SIDE = 2**15
"""In pixels or channels: indices in the file are 32 bits."""


def layers_of(graph: Graph | QuantizedGraph, *, small: bool) -> tuple[Layer, ...]:
    """The layers in order, the first of which reads the photo. ModelError for sides beyond what the file can count.

    If `small`, cells are not padded to blocks, nor planes for depthwise layers, whose kernels look for edges.
    """
    nodes: Sequence[Node | QuantizedNode] = on_centred_pixels(graph) if isinstance(graph, Graph) else graph.nodes
    making = _Making(graph, _fused(nodes, {row for output in graph.card.outputs for row in output.rows}), small=small)
    for node in nodes:
        making.add(node)
    return making.finished()


def _fused(nodes: Sequence[Node | QuantizedNode], shown: set[str]) -> dict[str, str]:
    """By the name of a 1 × 1 convolution, that of the depthwise one which it alone reads."""
    readers = Counter(name for node in nodes for name in node.inputs)
    depthwise = {node.name for node in nodes if isinstance(node, _CONVOLUTIONS) and node.depthwise}
    return {
        node.name: node.inputs[0]
        for node in nodes
        if isinstance(node, _CONVOLUTIONS)
        and not node.depthwise
        and node.filters.shape[2:] == (1, 1)
        and node.stride == 1
        and node.inputs[0] in depthwise - shown
        and readers[node.inputs[0]] == 1
    }


class _Making:
    def __init__(self, graph: Graph | QuantizedGraph, fused: dict[str, str], *, small: bool) -> None:
        side = graph.card.preprocessing.resolution
        steps = None if isinstance(graph, Graph) else graph.input
        self.small = small
        self.unit = GROUP if small else BLOCK
        self.layers = [Layer(INPUT, PIXELS, (), (), side, side, 3, 1, 0, _byte(steps), steps, self.unit)]
        self.places = {INPUT: 0}
        self.fused = fused
        self.waiting: dict[str, _CONVOLUTIONS] = {}
        self.pads = [[0, 0, 0, 0]]

    def add(self, node: Node | QuantizedNode) -> None:
        if isinstance(node, _CONVOLUTIONS) and node.name in self.fused.values():
            self.waiting[node.name] = node
            return
        match node:
            case ConvNode() | QuantizedConv():
                made = self._convolution(node)
            case PoolNode() | QuantizedPool():
                made = self._average(node)
            case LinearNode() | QuantizedLinear():
                made = self._linear(node)
            case ConcatNode() | QuantizedConcat():
                made = self._concatenation(node)
        if max(made.height, made.width, made.channels) > _MOST_SIDE:
            raise ModelError(
                f"row {node.name} is {made.height} x {made.width} x {made.channels}; a C file takes sides up to "
                f"{_MOST_SIDE:,}"
            )
        self.places[node.name] = len(self.layers)
        self.layers.append(made)
        self.pads.append([0, 0, 0, 0])

    def finished(self) -> tuple[Layer, ...]:
        return tuple(
            replace(layer, pad=(pad[0], pad[1], pad[2], pad[3]))
            for layer, pad in zip(self.layers, self.pads, strict=True)
        )

    def _convolution(self, node: ConvNode | QuantizedConv) -> Layer:
        first = self.waiting.pop(self.fused[node.name]) if node.name in self.fused else None
        reader = first or node
        place = self.places[reader.inputs[0]]
        given = self.layers[place]
        read, (height, width) = self._window(reader, place)
        channels = len(node.filters)
        if first is None:
            kind = DEPTHWISE if node.depthwise else PRODUCT
            works: tuple[Work, ...] = (weighed(node, node.filters, given.cell, given.steps),)
        else:
            kind = SEPARABLE
            tile = -(-len(first.filters) // self.unit) * self.unit
            between = first.output if isinstance(first, QuantizedConv) else None
            works = (
                weighed(first, first.filters, given.cell, given.steps),
                weighed(node, node.filters, tile, between),
            )
        window = int(reader.filters.shape[2])
        steps = _output(node)
        return Layer(
            node.name,
            kind,
            (read,),
            works,
            height,
            width,
            channels,
            reader.stride,
            window,
            _byte(steps),
            steps,
            self.unit,
        )

    def _window(self, node: ConvNode | QuantizedConv, place: int) -> tuple[Read, tuple[int, int]]:
        """Where a convolution reads, and the sides of its output; its input gets the padding for that."""
        given = self.layers[place]
        around: list[tuple[int, int]] = []
        sides: list[int] = []
        for side, kernel in zip((given.height, given.width), node.filters.shape[2:], strict=True):
            before, after = padded(side, kernel, node.stride, node.padding)
            out = (side + before + after - kernel) // node.stride + 1
            around.append((before, max((out - 1) * node.stride + kernel - before - side, 0)))
            sides.append(out)
        (above, below), (left, right) = around
        if not (self.small and node.depthwise):
            self.pads[place] = list(map(max, self.pads[place], (above, below, left, right)))
        return Read(place, above, left, given.channels), (sides[0], sides[1])

    def _average(self, node: PoolNode | QuantizedPool) -> Layer:
        place = self.places[node.inputs[0]]
        given = self.layers[place]
        work = pooled(node, given.height * given.width, given.steps)
        steps = _output(node)
        read = Read(place, 0, 0, given.channels)
        return Layer(
            node.name, AVERAGE, (read,), (work,), 1, 1, given.channels, 1, given.height, _byte(steps), steps, self.unit
        )

    def _linear(self, node: LinearNode | QuantizedLinear) -> Layer:
        """A convolution of the whole plane."""
        place = self.places[node.inputs[0]]
        given = self.layers[place]
        shape = (len(node.matrix), given.height, given.width, given.channels)
        filters: NDArray[np.generic] = node.matrix.reshape(shape).transpose(0, 3, 1, 2)
        work = weighed(node, filters, given.cell, given.steps)
        steps = _output(node)
        read = Read(place, 0, 0, given.channels)
        return Layer(
            node.name, PRODUCT, (read,), (work,), 1, 1, len(filters), 1, given.height, _byte(steps), steps, self.unit
        )

    def _concatenation(self, node: ConcatNode | QuantizedConcat) -> Layer:
        places = [self.places[name] for name in node.inputs]
        given = [self.layers[place] for place in places]
        reads = tuple(Read(place, 0, 0, one.channels) for place, one in zip(places, given, strict=True))
        channels, steps = sum(one.channels for one in given), _output(node)
        height, width = given[0].height, given[0].width
        return Layer(node.name, CONCATENATION, reads, (), height, width, channels, 1, 1, _byte(steps), steps, self.unit)


def _output(node: Node | QuantizedNode) -> Quantization | None:
    return None if isinstance(node, ConvNode | PoolNode | LinearNode | ConcatNode) else node.output


def _byte(steps: Quantization | None) -> int:
    """The byte of zero."""
    return 0 if steps is None else steps.zero_point + OFFSET
