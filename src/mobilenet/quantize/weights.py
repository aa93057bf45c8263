"""Float32 filters and biases -> 8-bit filters with a scale per output channel, and 32-bit biases.

Follows the TFLite 8-bit quantisation specification: filters from -127 to 127 with zero point 0, one scale per output
channel of every layer, including depthwise ones (which a scale for the whole tensor ruins); bias in steps of input
scale × filter scale.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mobilenet.images.preprocessing import Preprocessing
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
from mobilenet.quantize.ranges import Ranges
from mobilenet.spec.rows import INPUT

__all__ = ["LARGEST", "on_pixels", "pixel_quantization", "quantized", "quantized_node", "reading_pixels", "restored"]

LARGEST = 127
"""The largest 8-bit value of a filter; -128 is not used, so that the range is symmetric."""

_LARGEST_BIAS = 2.0**30
_FINEST = 2.0**-20
"""In steps of the output: filters with finer steps would change nothing, and some engines reject them."""

Floats = NDArray[np.float32]


def quantized(graph: Graph, ranges: Ranges) -> QuantizedGraph:
    """The 8-bit graph of a float32 one, each node's output rounded as `ranges` say.

    ValueError if the inputs of a concatenation are not rounded like its output.
    """
    preprocessing = graph.card.preprocessing
    given = pixel_quantization(preprocessing)
    steps = {INPUT: given, **ranges}
    for node in graph.nodes:
        if isinstance(node, ConcatNode) and any(steps[name] != steps[node.name] for name in node.inputs):
            raise ValueError(f"{node.name} joins tensors with different steps: {[steps[name] for name in node.inputs]}")
    nodes = [
        quantized_node(reading_pixels(node, preprocessing), steps[node.inputs[0]], steps[node.name])
        for node in graph.nodes
    ]
    return QuantizedGraph(graph.card, given, tuple(nodes))


def reading_pixels(node: Node, preprocessing: Preprocessing) -> Node:
    """A node that reads the network's input, converted to read 8-bit pixels instead; any other is unchanged."""
    return on_pixels(node, preprocessing) if INPUT in node.inputs else node


def pixel_quantization(preprocessing: Preprocessing) -> Quantization:
    """The quantisation of network input as pixel - 128: scale 1 / std, zero point the mean, averaged over channels."""
    mean, std = float(np.mean(preprocessing.mean)), float(np.mean(preprocessing.std))
    return Quantization(float(np.float32(1 / std)), int(np.clip(round(mean), 0, 255)) - 128)


def on_pixels(node: Node, preprocessing: Preprocessing) -> ConvNode:
    """A node that reads the network's input, converted to read 8-bit pixels with `pixel_quantization` instead.

    The differences, a std per channel and a mean that is not an integer, go into filters and bias. That is exact except
    at the border: padding there is the zero point, which may be half a grey level from the mean.
    """
    if not isinstance(node, ConvNode):
        raise TypeError(f"{node.name} reads the photo, which only a convolution can")
    given = pixel_quantization(preprocessing)
    mean, std = np.asarray(preprocessing.mean), np.asarray(preprocessing.std)
    filters = node.filters / (std * given.scale)[None, :, None, None]
    moved = given.scale * (given.zero_point + 128 - mean)
    bias = node.bias + (filters * moved[None, :, None, None]).sum((1, 2, 3))
    return replace(node, filters=filters.astype(np.float32), bias=bias.astype(np.float32))


def quantized_node(node: Node, given: Quantization, output: Quantization) -> QuantizedNode:
    """One node in 8 bits, for an input that is rounded as `given` says."""
    match node:
        case ConvNode():
            filters, scales, bias = _rounded(node.filters, node.bias, given, output)
            shape = (node.stride, node.groups, node.padding, node.activation)
            return QuantizedConv(node.name, node.inputs, filters, scales, bias, *shape, output)
        case LinearNode():
            matrix, scales, bias = _rounded(node.matrix, node.bias, given, output)
            return QuantizedLinear(node.name, node.inputs, matrix, scales, bias, node.activation, output)
        case PoolNode():
            return QuantizedPool(node.name, node.inputs, output)
        case ConcatNode():
            return QuantizedConcat(node.name, node.inputs, output)


def _rounded(
    weights: Floats, bias: Floats, given: Quantization, output: Quantization
) -> tuple[NDArray[np.int8], Floats, NDArray[np.int32]]:
    """(out, …) weights and (out,) biases -> 8-bit weights, scales (out,), 32-bit biases."""
    rows = weights.reshape(len(weights), -1).astype(np.float64)
    scales = np.abs(rows).max(1) / LARGEST
    # If filters are almost zero but the bias is not, steps must be large enough for the bias to fit into 32 bits.
    scales = np.maximum(scales, np.abs(bias) / (given.scale * _LARGEST_BIAS))
    scales = np.maximum(scales, _FINEST * output.scale / given.scale).astype(np.float32)
    whole = np.clip(np.round(rows / scales[:, None]), -LARGEST, LARGEST).astype(np.int8)
    steps = np.round(bias / (given.scale * scales.astype(np.float64)))
    return whole.reshape(weights.shape), scales, steps.astype(np.int32)


def restored(node: QuantizedNode, given: Quantization) -> Node:
    """The float32 node with exactly the weights of an 8-bit one."""
    match node:
        case QuantizedConv():
            scales = node.scales[:, None, None, None]
            shape = (node.stride, node.groups, node.padding, node.activation)
            return ConvNode(node.name, node.inputs, node.filters * scales, _restored_bias(node, given), *shape)
        case QuantizedLinear():
            matrix = node.matrix * node.scales[:, None]
            return LinearNode(node.name, node.inputs, matrix, _restored_bias(node, given), node.activation)
        case QuantizedPool():
            return PoolNode(node.name, node.inputs)
        case QuantizedConcat():
            return ConcatNode(node.name, node.inputs)


def _restored_bias(node: QuantizedConv | QuantizedLinear, given: Quantization) -> Floats:
    return (node.bias * (given.scale * node.scales.astype(np.float64))).astype(np.float32)
