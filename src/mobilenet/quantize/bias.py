"""Bias correction: rounding filters shifts the mean of each channel a little; the bias compensates for that.

Nagel et al. 2019, section 4.2, measured on photos: node by node, the mean of each channel before its activation is
compared with that of the float32 network, with everything before it already rounded and corrected.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mobilenet.model.graph import ConvNode, Graph, LinearNode, Node, Quantization, walk
from mobilenet.quantize.ranges import Ranges
from mobilenet.quantize.simulator import batches, normalised, quantized_start, quantized_step, step
from mobilenet.quantize.weights import pixel_quantization, quantized_node, reading_pixels, restored
from mobilenet.spec.rows import INPUT

__all__ = ["corrected"]


@dataclass(frozen=True, slots=True, eq=False)
class _Tensors:
    """One tensor for all photos, in batches: that of the float32 network, and 8-bit values of the rounded network."""

    exact: list[Tensor]
    rounded: list[Tensor]


def corrected(graph: Graph, ranges: Ranges, images: NDArray[np.uint8]) -> Graph:
    """The float32 graph with biases that, once rounded as `ranges` say, restore the float32 mean of each channel.

    Holds the outputs of every node that is still to be read for all `images` (N, R, R, 3); about 100 are enough.
    """
    preprocessing = graph.card.preprocessing
    steps = {INPUT: pixel_quantization(preprocessing), **ranges}
    nodes: list[Node] = []

    def compute(node: Node, inputs: list[_Tensors]) -> _Tensors:
        given, output = steps[node.inputs[0]], steps[node.name]
        # A node that reads pixels is corrected in the form that reads them; the graph keeps its original form.
        reading = reading_pixels(node, preprocessing)
        moved, whole = node, quantized_node(reading, given, output)
        if isinstance(node, ConvNode | LinearNode):
            shift = _shift(node, restored(whole, given), inputs[0], given)
            moved, whole = _moved(node, shift), quantized_node(_moved(reading, shift), given, output)
        nodes.append(moved)
        return _Tensors(
            [step(node, parts) for parts in zip(*(x.exact for x in inputs), strict=True)],
            [quantized_step(whole, parts, given) for parts in zip(*(x.rounded for x in inputs), strict=True)],
        )

    with torch.inference_mode():
        exact = [normalised(pixels, preprocessing) for pixels in batches(images)]
        rounded = [quantized_start(pixels) for pixels in batches(images)]
        for _ in walk(graph.nodes, _Tensors(exact, rounded), compute):
            pass
    return replace(graph, nodes=tuple(nodes))


def _shift(node: Node, whole: Node, given: _Tensors, steps: Quantization) -> NDArray[np.float32]:
    """(out,) mean error of the rounded node on rounded inputs, before its activation."""
    wanted = _mean([step(_bare(node), [x]) for x in given.exact])
    found = _mean([step(_bare(whole), [(x - steps.zero_point) * steps.scale]) for x in given.rounded])
    return (wanted - found).numpy()


def _bare(node: Node) -> Node:
    return replace(node, activation="none") if isinstance(node, ConvNode | LinearNode) else node


def _mean(outputs: list[Tensor]) -> Tensor:
    """(channels,) over all photos and pixels."""
    sums = torch.stack([x.flatten(2).mean(2).sum(0) if x.dim() == 4 else x.sum(0) for x in outputs])
    return sums.sum(0) / sum(len(x) for x in outputs)


def _moved(node: Node, shift: NDArray[np.float32]) -> Node:
    return replace(node, bias=node.bias + shift) if isinstance(node, ConvNode | LinearNode) else node
