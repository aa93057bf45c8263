"""The LiteRT writer: an inference graph -> the bytes of a `.tflite` file, operator by operator.

The file takes uint8 pixels (1, R, R, 3) named `pixels` and returns the outputs of its card by name, float32
(1, *shape), for a classifier `probabilities` (1, classes); an interpreter may resize the first axis. With a
`Suppression`, TFLite's own operator decodes and suppresses boxes, of one photo at a time.
"""

from dataclasses import replace

import numpy as np
import tflite
from flatbuffers import flexbuffers
from numpy.typing import NDArray

from mobilenet.export.litert.flatbuffer import POST_PROCESS, Options, TfliteFile
from mobilenet.export.litert.layers import Layers, Tensor, affine
from mobilenet.export.litert.metadata import METADATA_ENTRY, Normalization, attach_labels, describe, labelled
from mobilenet.images.preprocessing import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.model.fold import on_centred_pixels
from mobilenet.model.graph import Graph, Node, Quantization, QuantizedGraph, QuantizedNode
from mobilenet.model.seal import UNSEALED, seal
from mobilenet.model.suppression import CLASSES, Suppression
from mobilenet.model.tflite_card import CARD_ENTRY, SUPPRESSING_THREADS, pack_card
from mobilenet.spec.rows import INPUT

__all__ = ["litert_model"]

_INT8_OFFSET = 128
"""A pixel p (uint8) is p - 128 in int8."""

_PIXELS = "pixels"

_EVERY_CLASS = 2
"""So many classes are suppressed correctly by any number of threads."""


def litert_model(graph: Graph | QuantizedGraph, suppression: Suppression | None = None) -> bytes:
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
    card, made = graph.card, _outputs(graph.card, layers, tensors)
    if suppression is not None:
        card = replace(card, suppressed=suppression.most)
        made = _suppressed(suppression, len(card.labels), layers, made)
    return _finished(card, layers, pixels, steps, [made[output.name] for output in card.outputs])


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


def _outputs(card: ModelCard, layers: Layers, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The network's outputs in float32, by name."""
    return {
        output.name: layers.output(
            output,
            [tensors[row] for row in output.rows],
            "logits" if card.head is None else f"{output.name}.real",
        )
        for output in card.outputs
    }


def _suppressed(how: Suppression, classes: int, layers: Layers, given: dict[str, Tensor]) -> dict[str, Tensor]:
    """The outputs of the operator, by name; `classes` without a background."""
    made = {output.name: layers.tensor(output.name, (1, *output.shape)) for output in how.outputs}
    idle = SUPPRESSING_THREADS + 1 if classes > _EVERY_CLASS else 0
    scores, numbers = given[how.scores], made[CLASSES]
    if idle:
        scores = _padded(scores, idle, layers)
        numbers = layers.tensor("padded.classes", numbers.shape)
    inputs = [given[how.boxes].number, scores.number, layers.file.constant("anchors", how.priors)]
    outputs = {**made, CLASSES: numbers}
    options = _options(how, classes + idle)
    layers.file.custom(POST_PROCESS, inputs, [tensor.number for tensor in outputs.values()], options)
    if idle:
        first = layers.file.constant("padded.first", np.array([idle], np.float32))
        # Of boxes that there are not, the class stays 0.
        least = Options("SubOptions", {"FusedActivationFunction": tflite.ActivationFunctionType.RELU})
        layers.append("SUB", 1, [numbers.number, first], made[CLASSES], least)
    return made


def _padded(scores: Tensor, idle: int, layers: Layers) -> Tensor:
    """Scores (1, P, C) behind those of `idle` classes that are never found."""
    widths = layers.file.constant("padded.widths", np.array([(0, 0), (0, 0), (idle, 0)], np.int32))
    batch, priors, classes = scores.shape
    made = layers.tensor("padded.scores", (batch, priors, classes + idle))
    return layers.append("PAD", 1, [scores.number, widths], made, Options("PadOptions", {}))


def _options(how: Suppression, classes: int) -> bytes:
    """Its "regular" suppression is that of each class by itself; the other one takes all classes for one."""
    builder = flexbuffers.Builder()
    with builder.Map():
        builder.Int("max_detections", how.most)
        builder.Int("max_classes_per_detection", 1)
        builder.Int("detections_per_class", how.most)
        builder.Bool("use_regular_nms", True)  # noqa: FBT003
        builder.Float("nms_score_threshold", how.least_score)
        builder.Float("nms_iou_threshold", how.overlap)
        builder.Int("num_classes", classes)
        for name, scale in zip("yxhw", how.scales, strict=True):
            builder.Float(f"{name}_scale", scale)
    return bytes(builder.Finish())


def _finished(card: ModelCard, layers: Layers, pixels: int, steps: Quantization, outputs: list[Tensor]) -> bytes:
    """Add everything besides the graph, and seal the file."""
    normalization = Normalization(float(steps.zero_point), 1 / steps.scale)
    entries = {METADATA_ENTRY: describe(card, normalization, given=_PIXELS), CARD_ENTRY: pack_card(card)}
    data = layers.file.pack(pixels, [tensor.number for tensor in outputs], description=UNSEALED, metadata=entries)
    return seal(attach_labels(data, card.labels) if any(labelled(output, card) for output in card.outputs) else data)


def _shape(preprocessing: Preprocessing) -> tuple[int, ...]:
    return (1, preprocessing.resolution, preprocessing.resolution, 3)


def _mean(mean: tuple[float, float, float], width: int) -> NDArray[np.float32]:
    """The value to subtract: a single one, or a row of pixels (1, 1, R, 3) if channels differ, as XNNPACK prefers long
    rows."""
    if len(set(mean)) == 1:
        return np.array(mean[:1], np.float32)
    return np.tile(np.array(mean, np.float32), (1, 1, width, 1))
