"""A graph as an ONNX file: written node by node, checked, sealed; a single file of any size.

Input `images`, uint8 pixels (N, R, R, 3); outputs named as in the card, float32, for a classifier `probabilities` (N,
classes). Normalisation and the endings of outputs are inside, and so is the card: labels, preprocessing and provenance
are in the file's metadata. With a `Suppression`, boxes are decoded and suppressed inside, and these are the outputs.
"""

import json
from dataclasses import replace

import onnx
from onnx import ModelProto, TensorProto, helper

from mobilenet import __version__
from mobilenet.export.onnx.float32 import write_float
from mobilenet.export.onnx.int8 import write_int8
from mobilenet.export.onnx.parts import IMAGES, Parts
from mobilenet.export.onnx.suppression import write_suppression
from mobilenet.model.card import ModelCard
from mobilenet.model.graph import Graph, QuantizedGraph
from mobilenet.model.onnx_card import CARD_ENTRY
from mobilenet.model.outputs import Output
from mobilenet.model.seal import UNSEALED, seal
from mobilenet.model.suppression import Suppression

__all__ = ["IR_VERSION", "OPSET", "onnx_model"]

OPSET = 13
"""Of December 2020: the first with one scale per channel, so the oldest that supports both precisions. ONNX Runtime
reads it since 1.7, OpenVINO, TensorRT and onnxruntime-web in every version in use."""

IR_VERSION = 7
"""The file format of the same release; older readers reject newer ones."""

_BATCH = "N"


def onnx_model(graph: Graph | QuantizedGraph, *, batch: int | None, suppression: Suppression | None = None) -> bytes:
    """The bytes of a `.onnx` file for batches of `batch` photos, of any size if None.

    8-bit graphs are in QDQ form: a runtime with 8-bit kernels uses them, any other computes the same in float32.
    """
    card = graph.card if suppression is None else replace(graph.card, suppressed=suppression.most)
    parts = Parts([IMAGES, *(output.name for output in (*graph.card.outputs, *card.outputs))])
    precision = "float32" if isinstance(graph, Graph) else "int8"
    if isinstance(graph, Graph):
        write_float(graph, parts)
    else:
        write_int8(graph, parts)
    if suppression is not None:
        write_suppression(suppression, parts)
    photos, side = batch or _BATCH, card.resolution
    images = helper.make_tensor_value_info(IMAGES, TensorProto.UINT8, [photos, side, side, 3])
    answers = [
        helper.make_tensor_value_info(output.name, TensorProto.FLOAT, [photos, *output.shape])
        for output in card.outputs
    ]
    body = helper.make_graph(parts.nodes, card.architecture, [images], answers, parts.constants)
    model = helper.make_model(
        body,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="mobilenet",
        producer_version=__version__,
        doc_string=_description(card, precision),
    )
    _describe(model, card, _description(card, precision))
    onnx.checker.check_model(model, full_check=True)
    return seal(model.SerializeToString(deterministic=True))


def _description(card: ModelCard, precision: str) -> str:
    pixels = f"uint8 RGB pixels (N, {card.resolution}, {card.resolution}, 3)"
    made, inside = f"probabilities of {len(card.labels)} classes", "normalisation and softmax are"
    if card.head is not None:
        made, inside = ", ".join(map(_described, card.outputs)), "normalisation is"
    if card.suppressed is not None:
        inside = "normalisation, decoding of boxes and non-maximum suppression are"
    return (
        f"{card.architecture}, width {card.width_multiplier:g}, {precision}: {pixels} in, {made} out; {inside} inside"
    )


def _described(output: Output) -> str:
    ending = "" if output.ending == "none" else f" after {output.ending}"
    return f"{output.name} ({', '.join(map(str, ('N', *output.shape)))}){ending}"


def _describe(model: ModelProto, card: ModelCard, description: str) -> None:
    """The card for this tool, and entries for people and other tools; ASCII JSON, as names may not be valid UTF-8."""
    helper.set_model_props(
        model,
        {
            "seal": UNSEALED,
            CARD_ENTRY: card.to_json(),
            "description": description,
            "task": card.task,
            "labels": json.dumps(card.labels),
            "preprocessing": json.dumps(card.preprocessing.to_json()),
        },
    )
