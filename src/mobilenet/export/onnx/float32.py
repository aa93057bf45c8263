"""The nodes of a float32 graph in ONNX."""

import numpy as np

from mobilenet.export.onnx.outputs import write_output
from mobilenet.export.onnx.parts import IMAGES, Parts, Value, conv_attributes, flattened
from mobilenet.images.preprocessing import Preprocessing
from mobilenet.model.fold import on_centred_pixels
from mobilenet.model.graph import ConcatNode, ConvNode, Graph, LinearNode, Node, PoolNode
from mobilenet.spec.rows import INPUT, Activation

__all__ = ["write_float"]


def write_float(graph: Graph, parts: Parts) -> None:
    """Pixels -> normalised planes -> `graph.nodes` -> outputs."""
    nodes = on_centred_pixels(graph)
    side = graph.card.resolution
    values = {INPUT: Value(_planes(graph.card.preprocessing, parts), (3, side, side))}
    for node in nodes:
        values[node.name] = _node(node, [values[name] for name in node.inputs], parts)
    for output in graph.card.outputs:
        write_output(output, [values[row] for row in output.rows], parts)


def _planes(preprocessing: Preprocessing, parts: Parts) -> str:
    """(N, R, R, 3) uint8 -> (N, 3, R, R) float32, pixel - mean; transposed while each pixel is still one byte."""
    mean = parts.constant("mean", np.reshape(preprocessing.mean, (3, 1, 1)), np.float32)
    turned = parts.node("Transpose", [IMAGES], "pixels", perm=[0, 3, 1, 2])
    floats = parts.node("Cast", [turned], "pixels/float32", to=1)
    return parts.node("Sub", [floats, mean], "pixels/centred")


def _node(node: Node, inputs: list[Value], parts: Parts) -> Value:
    given = inputs[0]
    match node:
        case ConvNode():
            return _conv(node, given, parts)
        case PoolNode(name):
            planes = parts.node("GlobalAveragePool", [given.tensor], f"{name}/planes")
            return Value(parts.node("Flatten", [planes], name, axis=1), given.shape[:1])
        case LinearNode():
            return _linear(node, flattened(given, node.name, parts), parts)
        case ConcatNode(name):
            channels = sum(value.shape[0] for value in inputs)
            joined = parts.node("Concat", [value.tensor for value in inputs], name, axis=1)
            return Value(joined, (channels, *given.shape[1:]))


def _conv(node: ConvNode, given: Value, parts: Parts) -> Value:
    attributes, shape = conv_attributes(node, given.shape)
    inputs = [given.tensor, parts.constant(f"{node.name}/filters", node.filters, np.float32)]
    inputs.append(parts.constant(f"{node.name}/bias", node.bias, np.float32))
    made = parts.node("Conv", inputs, _before(node.name, "conv", node.activation), **attributes)
    return Value(_activated(made, node.name, node.activation, parts), shape)


def _linear(node: LinearNode, given: Value, parts: Parts) -> Value:
    inputs = [given.tensor, parts.constant(f"{node.name}/matrix", node.matrix, np.float32)]
    inputs.append(parts.constant(f"{node.name}/bias", node.bias, np.float32))
    made = parts.node("Gemm", inputs, _before(node.name, "linear", node.activation), transB=1)
    return Value(_activated(made, node.name, node.activation, parts), (len(node.matrix),))


def _before(name: str, what: str, activation: Activation) -> str:
    """The last operator of a node has the node's own name."""
    return name if activation == "none" else f"{name}/{what}"


def _activated(made: str, name: str, activation: Activation, parts: Parts) -> str:
    match activation:
        case "none":
            return made
        case "relu":
            return parts.node("Relu", [made], name)
        case "relu6":
            limits = [parts.shared("zero", 0, np.float32), parts.shared("six", 6, np.float32)]
            return parts.node("Clip", [made, *limits], name)
