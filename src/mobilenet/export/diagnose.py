"""Why the outputs of an exported file differ from the network's: known mistakes are made on purpose, and the one whose
outputs are closest to the file's is named.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from mobilenet.images.preprocessing import Preprocessing
from mobilenet.model.graph import ConvNode, Graph, Node
from mobilenet.model.outputs import Outputs
from mobilenet.model.suppression import Suppression, suppress
from mobilenet.nn.endings import ended
from mobilenet.quantize.simulator import batches, raw_outputs
from mobilenet.spec.rows import Activation, Padding

__all__ = ["diagnose"]

_PHOTOS = 32
_CLOSE = 0.3
"""A mistake explains a difference if it leaves at most this fraction of it."""

_NOTHING = 1e-6
"""A mean difference of outputs that needs no explanation."""

_LARGEST = 127


@dataclass(frozen=True, slots=True)
class _Mistake:
    """`says` describes a mistake in a file; `network` and `pixels` make it."""

    says: str
    network: Callable[[Graph], Graph] = lambda graph: graph
    pixels: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] = lambda images: images


def diagnose(
    graph: Graph, images: NDArray[np.uint8], found: Outputs, suppression: Suppression | None = None
) -> str | None:
    """What is wrong with a file whose outputs by name on `images` (N, R, R, 3) uint8 are `found` (N, *shape), with a
    `suppression` those after it; None if no known mistake explains it.
    """

    def outputs(network: Graph, pixels: NDArray[np.uint8]) -> Outputs:
        raw = _outputs(network, pixels)
        return raw if suppression is None else suppress(raw, suppression)

    some, answers = images[:_PHOTOS], {name: values[:_PHOTOS] for name, values in found.items()}
    if not all(np.isfinite(values).all() for values in answers.values()):
        return None
    distance = _distance(outputs(graph, some), answers)
    left = {m.says: _distance(outputs(m.network(graph), m.pixels(some)), answers) for m in _mistakes(graph)}
    likeliest = min(left, key=lambda says: left[says])
    return likeliest if left[likeliest] <= _CLOSE * distance and distance > _NOTHING else None


def _mistakes(graph: Graph) -> list[_Mistake]:
    convs = [node for node in graph.nodes if isinstance(node, ConvNode)]
    padding, activation = convs[0].padding, convs[0].activation
    other: Padding = "symmetric" if padding == "tensorflow" else "tensorflow"
    ending: Activation = "relu6" if activation == "relu" else "relu"
    return [
        _Mistake(f"its padding is {other}, the network's is {padding}", lambda g: _padded(g, other)),
        _Mistake("its colour channels are in reverse order", pixels=lambda images: images[..., ::-1].copy()),
        _Mistake("its photos are transposed", pixels=lambda images: images.transpose(0, 2, 1, 3).copy()),
        _Mistake(f"its activation is {ending}, the network's is {activation}", lambda g: _activated(g, ending)),
        _Mistake("its pixels are not normalised", lambda g: _scaled(g, 0.0, 1.0)),
        _Mistake("its pixels are scaled to 0 … 1", lambda g: _scaled(g, 0.0, 255.0)),
        _Mistake("its depthwise filters share one scale for the whole tensor", _per_tensor),
    ]


def _outputs(graph: Graph, images: NDArray[np.uint8]) -> Outputs:
    with torch.inference_mode():
        raw = [raw_outputs(graph, pixels) for pixels in batches(images)]
        return {
            output.name: torch.cat([ended(part[output.name], output.ending) for part in raw]).numpy()
            for output in graph.card.outputs
        }


def _distance(first: Outputs, second: Outputs) -> float:
    return sum(float(np.abs(first[name] - second[name]).mean()) for name in first)


def _mapped(graph: Graph, change: Callable[[ConvNode], ConvNode]) -> Graph:
    nodes: list[Node] = [change(node) if isinstance(node, ConvNode) else node for node in graph.nodes]
    return replace(graph, nodes=tuple(nodes))


def _padded(graph: Graph, padding: Padding) -> Graph:
    return _mapped(graph, lambda node: replace(node, padding=padding))


def _activated(graph: Graph, activation: Activation) -> Graph:
    return _mapped(graph, lambda node: replace(node, activation=activation))


def _scaled(graph: Graph, mean: float, std: float) -> Graph:
    pixels = Preprocessing(graph.card.resolution, None, (mean, mean, mean), (std, std, std))
    return replace(graph, card=replace(graph.card, preprocessing=pixels))


def _per_tensor(graph: Graph) -> Graph:
    return _mapped(graph, lambda node: _coarse(node) if node.depthwise else node)


def _coarse(node: ConvNode) -> ConvNode:
    scale = np.abs(node.filters).max() / _LARGEST
    return replace(node, filters=(np.round(node.filters / scale) * scale).astype(np.float32))
