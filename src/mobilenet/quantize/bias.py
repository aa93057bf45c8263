"""Bias correction: rounding filters moves the mean of each channel a little; the bias takes that back.

Nagel et al. 2019, section 4.2, measured on photos: node by node, the mean of each channel before its activation is
compared with that of the float32 network, while everything before it is already rounded and corrected.
"""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mobilenet.model.graph import ConvNode, Graph, Node, PoolNode, Quantization
from mobilenet.quantize.ranges import Ranges
from mobilenet.quantize.simulator import batches, normalised, quantized_start, quantized_step, step
from mobilenet.quantize.weights import on_pixels, pixel_quantization, quantized_node, restored

__all__ = ["corrected"]


def corrected(graph: Graph, ranges: Ranges, images: NDArray[np.uint8]) -> Graph:
    """The float32 graph with biases that, once rounded as `ranges` say, give each channel its float32 mean.

    Keeps the outputs of one node for all `images` (N, R, R, 3): about 100 photos are enough.
    """
    preprocessing = graph.card.preprocessing
    given = pixel_quantization(preprocessing)
    nodes: list[Node] = []
    with torch.inference_mode():
        exact = [normalised(pixels, preprocessing) for pixels in batches(images)]
        rounded = [quantized_start(pixels) for pixels in batches(images)]
        for node in graph.nodes:
            # The first node reads pixels: its bias is corrected there, and given back to the graph as it was.
            reading = node if nodes else on_pixels(node, preprocessing)
            output = ranges[node.name]
            shift = _shift(node, restored(quantized_node(reading, given, output), given), exact, rounded, given)
            nodes.append(_moved(node, shift))
            whole = quantized_node(_moved(reading, shift), given, output)
            exact = [step(node, x) for x in exact]
            rounded = [quantized_step(whole, x, given) for x in rounded]
            given = output
    return replace(graph, nodes=tuple(nodes))


def _shift(
    node: Node, whole: Node, exact: list[Tensor], rounded: list[Tensor], given: Quantization
) -> NDArray[np.float32]:
    """(out,) what the rounded node, reading rounded numbers, lacks on average before its activation."""
    wanted = _mean([step(_bare(node), x) for x in exact])
    found = _mean([step(_bare(whole), (x - given.zero_point) * given.scale) for x in rounded])
    return (wanted - found).numpy()


def _bare(node: Node) -> Node:
    return replace(node, activation="none") if isinstance(node, ConvNode) else node


def _mean(outputs: list[Tensor]) -> Tensor:
    """(channels,) over all photos and pixels."""
    sums = torch.stack([x.flatten(2).mean(2).sum(0) if x.dim() == 4 else x.sum(0) for x in outputs])
    return sums.sum(0) / sum(len(x) for x in outputs)


def _moved(node: Node, shift: NDArray[np.float32]) -> Node:
    return node if isinstance(node, PoolNode) else replace(node, bias=node.bias + shift)
