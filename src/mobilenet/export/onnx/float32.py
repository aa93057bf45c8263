"""The nodes of a float32 graph, as ONNX has them."""

from dataclasses import replace

import numpy as np

from mobilenet.errors import ModelError
from mobilenet.export.onnx.parts import IMAGES, PROBABILITIES, Parts, conv_attributes
from mobilenet.images import Preprocessing
from mobilenet.model.graph import ConvNode, Graph, LinearNode, PoolNode

__all__ = ["write_float"]


def write_float(graph: Graph, parts: Parts) -> None:
    """Pixels -> normalised planes -> `graph.nodes` -> softmax."""
    side = graph.card.resolution
    current = _planes(graph.card.preprocessing, parts)
    scaled = _scaled_stem(graph)
    for node in graph.nodes:
        match scaled if node is graph.nodes[0] else node:
            case ConvNode() as conv:
                current, side = _conv(conv, current, side, parts)
            case PoolNode(name):
                planes = parts.node("GlobalAveragePool", [current], f"{name}/planes")
                current = parts.node("Flatten", [planes], name, axis=1)
            case LinearNode(name, matrix, bias):
                weights = [
                    parts.constant(f"{name}/matrix", matrix, np.float32),
                    parts.constant(f"{name}/bias", bias, np.float32),
                ]
                current = parts.node("Gemm", [current, *weights], name, transB=1)
    parts.node("Softmax", [current], PROBABILITIES, axis=1)


def _planes(preprocessing: Preprocessing, parts: Parts) -> str:
    """(N, R, R, 3) uint8 -> (N, 3, R, R) float32, pixel - mean; turned while each pixel is still one byte."""
    mean = parts.constant("mean", np.reshape(preprocessing.mean, (3, 1, 1)), np.float32)
    turned = parts.node("Transpose", [IMAGES], "pixels", perm=[0, 3, 1, 2])
    floats = parts.node("Cast", [turned], "pixels/float32", to=1)
    return parts.node("Sub", [floats, mean], "pixels/centred")


def _scaled_stem(graph: Graph) -> ConvNode:
    """The first convolution with 1 / std in its filters: one pass over the photo less.

    The mean cannot go the same way: padding is zero after normalisation, so it stands for the mean.
    """
    stem = graph.nodes[0]
    if not isinstance(stem, ConvNode):
        raise ModelError(f"row {stem.name} comes first, which has to be a convolution; use a mobilenet_v1")
    std = np.reshape(graph.card.preprocessing.std, (3, 1, 1))
    filters = (stem.filters / std).astype(np.float32)
    return replace(stem, filters=filters)


def _conv(node: ConvNode, current: str, side: int, parts: Parts) -> tuple[str, int]:
    attributes, out_side = conv_attributes(node, side)
    inputs = [current, parts.constant(f"{node.name}/filters", node.filters, np.float32)]
    inputs.append(parts.constant(f"{node.name}/bias", node.bias, np.float32))
    if node.activation == "none":
        return parts.node("Conv", inputs, node.name, **attributes), out_side
    made = parts.node("Conv", inputs, f"{node.name}/conv", **attributes)
    if node.activation == "relu":
        return parts.node("Relu", [made], node.name), out_side
    return parts.node("Clip", [made, *_zero_and_six(parts)], node.name), out_side


def _zero_and_six(parts: Parts) -> tuple[str, str]:
    if not any(constant.name == "zero" for constant in parts.constants):
        parts.constant("zero", 0, np.float32)
        parts.constant("six", 6, np.float32)
    return "zero", "six"
