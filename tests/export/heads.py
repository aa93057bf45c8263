"""Networks with made-up heads and random numbers: what a graph, a file and an engine must carry beyond a classifier."""

import numpy as np
from numpy.typing import NDArray

from mobilenet.images import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.model.fold import build_graph
from mobilenet.model.graph import Graph, QuantizedGraph, concatenated
from mobilenet.model.head import Head
from mobilenet.model.outputs import Ending, Output
from mobilenet.quantize.ranges import choose_ranges, observe
from mobilenet.quantize.weights import quantized
from mobilenet.spec import Concat, Conv, ConvStyle, Linear, Padding, Row
from mobilenet.spec.rows import Activation

_PLANE, _CHANNELS = "block13.pointwise", 256
"""The last plane of a network of width 0.25."""


def conv(name: str, source: str, channels: int, out: int, activation: Activation = "none") -> Conv:
    """A 1 x 1 convolution without a norm."""
    return Conv(name, channels, out, 1, bias=True, batch_norm=False, activation=activation, inputs=(source,))


def _two_outputs(ending: Ending) -> Head:
    """A number of the whole photo, whose output is named like its row, and one of positions."""
    rows = (
        Linear("brightness", _CHANNELS, 1, inputs=("pool",)),
        conv("local", _PLANE, _CHANNELS, 8, "relu"),
        Linear("scores", 2 * 2 * 8, 4),
    )
    outputs = Output("brightness", ("brightness",), (1,), ending), Output("quadrant", ("scores",), (4,), "softmax")
    return Head(rows, outputs)


def _plane() -> Head:
    """Four numbers at each of 48 places, from a plane in the middle; the pool is read by nobody."""
    return Head((conv("boxes", "block11.pointwise", 128, 12),), (Output("boxes", ("boxes",), (48, 4)),))


def _several_planes() -> Head:
    """Two outputs, each of which joins what two planes of different sizes compute."""
    rows = (
        conv("boxes1", "block11.pointwise", 128, 12),
        conv("scores1", "block11.pointwise", 128, 6),
        conv("boxes2", _PLANE, _CHANNELS, 8),
        conv("scores2", _PLANE, _CHANNELS, 4),
    )
    places = 4 * 4 * 3 + 2 * 2 * 2
    outputs = (
        Output("boxes", ("boxes1", "boxes2"), (places, 4)),
        Output("scores", ("scores1", "scores2"), (places, 2), "sigmoid"),
    )
    return Head(rows, outputs)


def _planes_joined() -> Head:
    rows: tuple[Row, ...] = (
        conv("signed", _PLANE, _CHANNELS, 4),
        conv("cut", _PLANE, _CHANNELS, 8, "relu6"),
        Concat("joined", ("signed", "cut")),
    )
    return Head(rows, (Output("embeddings", ("joined",), (4, 12), "l2"), Output("signed", ("signed",), (2, 2, 4))))


def _vectors_joined() -> Head:
    """The pool is read twice, and shown as well."""
    rows: tuple[Row, ...] = (
        Linear("hidden", _CHANNELS, 16, activation="relu", inputs=("pool",)),
        Concat("joined", ("hidden", "pool")),
        Linear("flags", 16 + _CHANNELS, 5),
    )
    return Head(
        rows,
        (
            Output("flags", ("flags",), (5,), "sigmoid"),
            Output("features", ("pool",), (_CHANNELS,)),
            Output("embedding", ("joined",), (16 + _CHANNELS,), "l2"),
        ),
    )


HEADS = {
    "two outputs": _two_outputs("sigmoid"),
    "a plain number": _two_outputs("none"),
    "several planes": _several_planes(),
    "a plane": _plane(),
    "planes joined": _planes_joined(),
    "vectors joined": _vectors_joined(),
}


def make_graph(head: Head, padding: Padding = "symmetric", resolution: int = 64) -> Graph:
    """A network of width 0.25 with this head, in float32; see `random_graph`."""
    pixels = Preprocessing(resolution, None, (123.7, 116.3, 103.5), (58.4, 57.1, 57.4))
    style = ConvStyle(padding, "relu6", batch_norm=False)
    return random_graph(ModelCard("mobilenet_v1", 0.25, resolution, (), pixels, style, task="made up", head=head))


def random_graph(card: ModelCard) -> Graph:
    """The network of a card without batch norms, of random numbers that neither vanish nor grow."""
    random = np.random.default_rng(0)
    arrays = {}
    for row in card.network().rows:
        if isinstance(row, Conv):
            shape: tuple[int, ...] = (
                row.out_channels,
                row.in_channels // row.groups,
                *np.broadcast_to(row.kernel_size, 2),
            )
            weight, bias = f"{row.name}.conv.weight", f"{row.name}.conv.bias"
        elif isinstance(row, Linear):
            shape = row.out_features, row.in_features
            weight, bias = f"{row.name}.weight", f"{row.name}.bias"
        else:
            continue
        values = random.standard_normal(shape, np.float32) * np.float32((3 / np.prod(shape[1:])) ** 0.5)
        # Photos differ in their differences: filters that sum up would answer nearly the same to all of them.
        arrays[weight] = values - values.mean(tuple(range(1, values.ndim)), keepdims=True) if shape[1] > 1 else values
        arrays[bias] = random.standard_normal(shape[0], np.float32) * np.float32(0.1)
    return build_graph(card, arrays)


def in_8_bits(graph: Graph, images: NDArray[np.uint8]) -> QuantizedGraph:
    """By the ranges that these photos reach."""
    return quantized(graph, choose_ranges(observe(graph, images), "min-max", concatenated(graph.nodes)))
