"""The LiteRT writer: an inference graph -> the bytes of a `.tflite` file, operator by operator.

The file takes uint8 pixels (1, R, R, 3) named `pixels` and returns the outputs of its card by name, float32
(1, *shape), for a classifier `probabilities` (1, classes); an interpreter may resize the first axis.
"""

import numpy as np
from numpy.typing import NDArray

from mobilenet.export.litert.flatbuffer import Options, TfliteFile
from mobilenet.export.litert.layers import Layers, Tensor, affine
from mobilenet.export.litert.metadata import METADATA_ENTRY, Normalization, attach_labels, describe, labelled
from mobilenet.images.preprocessing import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.model.fold import on_centred_pixels
from mobilenet.model.graph import Graph, Node, Quantization, QuantizedGraph, QuantizedNode
from mobilenet.model.seal import UNSEALED, seal
from mobilenet.model.tflite_card import CARD_ENTRY, pack_card
from mobilenet.spec.rows import INPUT

__all__ = ["litert_model"]

_INT8_OFFSET = 128
"""A pixel p (uint8) is p - 128 in int8."""

_PIXELS = "pixels"


def litert_model(graph: Graph | QuantizedGraph) -> bytes:
    """The sealed `.tflite` file of a graph: float32 for a `Graph`, int8 for a `QuantizedGraph`."""
    layers = Layers(TfliteFile())
    match graph:
        case Graph():
            nodes: tuple[Node | QuantizedNode, ...] = on_centred_pixels(graph)
            pixels, steps, given = _floats(graph.card.preprocessing, layers)
        case QuantizedGraph():
            nodes = graph.nodes
            pixels, steps, given = _int8(graph, layers)
    tensors = {INPUT: given}
    for node in nodes:
        tensors[node.name] = layers.layer(node, [tensors[name] for name in node.inputs])
    return _finished(graph.card, layers, pixels, steps, tensors)


def _floats(preprocessing: Preprocessing, layers: Layers) -> tuple[int, Quantization, Tensor]:
    """uint8 -> float32 pixel - mean: DEQUANTIZE subtracts an integer mean, SUB any other.

    Returns the number of the input tensor, its quantisation, and the tensor that the first layers read.
    """
    mean = preprocessing.mean
    whole = int(mean[0]) if len(set(mean)) == 1 and float(mean[0]).is_integer() else 0
    steps, shape = Quantization(1.0, whole), _shape(preprocessing)
    pixels = layers.file.tensor(_PIXELS, shape, "UINT8", affine(steps))
    given = layers.append("DEQUANTIZE", 1, [pixels], layers.tensor("floats", shape))
    if any(value != whole for value in mean):
        constant = layers.file.constant("mean", _mean(mean, shape[2]))
        centred = layers.tensor("centred", shape)
        given = layers.append("SUB", 1, [given.number, constant], centred, Options("SubOptions", {}))
    return pixels, steps, given


def _int8(graph: QuantizedGraph, layers: Layers) -> tuple[int, Quantization, Tensor]:
    """uint8 -> int8, pixel - 128; returns the same as `_floats`."""
    steps = Quantization(graph.input.scale, graph.input.zero_point + _INT8_OFFSET)
    shape = _shape(graph.card.preprocessing)
    pixels = layers.file.tensor(_PIXELS, shape, "UINT8", affine(steps))
    given = layers.tensor("int8", shape, graph.input)
    return pixels, steps, layers.append("QUANTIZE", 1, [pixels], given, Options("QuantizeOptions", {}))


def _finished(card: ModelCard, layers: Layers, pixels: int, steps: Quantization, tensors: dict[str, Tensor]) -> bytes:
    """Add the outputs in float32, then everything besides the graph, and seal the file."""
    made = [
        layers.output(
            output,
            [tensors[row] for row in output.rows],
            "logits" if card.head is None else f"{output.name}.real",
        ).number
        for output in card.outputs
    ]
    normalization = Normalization(float(steps.zero_point), 1 / steps.scale)
    entries = {METADATA_ENTRY: describe(card, normalization, given=_PIXELS), CARD_ENTRY: pack_card(card)}
    data = layers.file.pack(pixels, made, description=UNSEALED, metadata=entries)
    return seal(attach_labels(data, card.labels) if any(labelled(output, card) for output in card.outputs) else data)


def _shape(preprocessing: Preprocessing) -> tuple[int, ...]:
    return (1, preprocessing.resolution, preprocessing.resolution, 3)


def _mean(mean: tuple[float, float, float], width: int) -> NDArray[np.float32]:
    """The value to subtract: a single one, or a row of pixels (1, 1, R, 3) if channels differ, as XNNPACK prefers long
    rows."""
    if len(set(mean)) == 1:
        return np.array(mean[:1], np.float32)
    return np.tile(np.array(mean, np.float32), (1, 1, width, 1))
