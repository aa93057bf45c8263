"""TFLite files of single-shot detectors: rows of our tables with random numbers, joined as by TensorFlow's exporter."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers
from numpy.typing import NDArray

from mobilenet.spec import Conv, ConvStyle, mobilenet_v1
from mobilenet.spec.shapes import output_shapes
from mobilenet.spec.ssd import PRIORS, detection_rows, planes

OPTIONS: dict[str, Any] = {
    "max_detections": 10,
    "max_classes_per_detection": 1,
    "nms_score_threshold": 1e-8,
    "nms_iou_threshold": 1.0,
    "y_scale": 10.0,
    "x_scale": 9.0,
    "h_scale": 5.0,
    "w_scale": 4.0,
}
"""With an overlap of 1, nothing is suppressed."""

_STEP, _MIDDLE = 0.1, 128
"""Of the 8-bit values of predictions."""


def detector(
    file: Any, *, resolution: int = 96, classes: int = 3, separable: bool = False, background: int = 1, **options: Any
) -> Any:
    """A detector of width 0.25 in `file`, a TfliteFile; `options` change those of its last operator."""
    style = ConvStyle("tensorflow", "relu6", batch_norm=False)
    body = mobilenet_v1(0.25, resolution, 0, style)
    rows = (*body.rows[:-1], *detection_rows(body, classes + background, style, separable=separable))
    file.scale, before = 1 / 128, "input"
    made = {before: file.activations("image", (1, resolution, resolution, 3), file.scale, _MIDDLE)}
    file.graph.inputs = [made[before]]
    shapes = output_shapes((*body.rows, *rows[len(body.rows) - 1 :]), resolution)
    for row in rows:
        assert isinstance(row, Conv)
        read = (row.inputs or (before,))[0]
        file.scale = 1 / 128 if read == "input" else file.top / 255
        made[row.name], before = file._conv(row, made[read], shapes[read][0])[0], row.name
        if row.activation == "none":
            _unclamped(file, made[row.name])
    parts = [
        [
            (made[f"{name}{k}.prediction"], count * shapes[plane.row][0] ** 2)
            for k, (plane, count) in _numbered(planes(body))
        ]
        for name in ("boxes", "scores")
    ]
    codes, logits = _joined(file, "codes", parts[0], (1, 4)), _joined(file, "logits", parts[1], (classes + background,))
    count = sum(number for _, number in parts[0])
    codes = file.operator("SQUEEZE", [codes], _activations(file, "codes/squeezed", (1, count, 4)))
    file.graph.operators[-1].builtinOptionsType = schema.BuiltinOptions.SqueezeOptions
    file.graph.operators[-1].builtinOptions = schema.SqueezeOptionsT()
    file.graph.operators[-1].builtinOptions.squeezeDims = [2]
    scores = file.activations("scores", (1, count, classes + background), 1 / 256)
    scores = file.operator("LOGISTIC", [logits], scores)
    _end(
        file, codes, scores, anchors([(shapes[plane.row][0], number) for _, (plane, number) in _numbered(planes(body))])
    )
    file.graph.operators[-1].customOptions = np.frombuffer(
        flexbuffers.Dumps({"num_classes": classes, **OPTIONS, **options}), np.uint8
    )
    return file


def anchors(sides: Sequence[tuple[int, int]]) -> NDArray[np.float32]:
    """(P, 4) for planes of (side, priors at a position): on the grid, with sizes that are all different."""
    found = []
    for number, (side, count) in enumerate(sides, 1):
        for row in range(side):
            for column in range(side):
                for prior in range(count):
                    centre = [(row + 0.5) / side, (column + 0.5) / side]
                    found.append([*centre, 0.1 * number + 0.01 * prior, 0.12 * number + 0.02 * prior])
    return np.array(found, np.float32)


def _numbered(found: Sequence[Any]) -> list[tuple[int, tuple[Any, int]]]:
    return list(enumerate(zip(found, PRIORS, strict=False), 1))


def _unclamped(file: Any, tensor: int) -> None:
    """What a convolution predicts is not activated, and its 8-bit values also reach below 0."""
    file.graph.operators[-1].builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.NONE
    quantization = file.graph.tensors[tensor].quantization
    if quantization is not None:
        quantization.scale[0], quantization.zeroPoint[0] = _STEP, _MIDDLE + file.lowest


def _activations(file: Any, name: str, shape: tuple[int, ...]) -> int:
    found: int = file.activations(name, shape, _STEP, _MIDDLE)
    return found


def _joined(file: Any, name: str, parts: Sequence[tuple[int, int]], last: tuple[int, ...]) -> int:
    """(1, P, *last) from planes of so many priors in all."""
    reshaped = []
    for part, count in parts:
        shape = (1, count, *last)
        sides = file.tensor(f"{name}/shape", (len(shape),), "INT32", np.array(shape, np.int32))
        reshaped.append(file.operator("RESHAPE", [part, sides], _activations(file, f"{name}/part", shape)))
    joined = _activations(file, name, (1, sum(count for _, count in parts), *last))
    file.operator("CONCATENATION", reshaped, joined)
    file.graph.operators[-1].builtinOptionsType = schema.BuiltinOptions.ConcatenationOptions
    file.graph.operators[-1].builtinOptions = schema.ConcatenationOptionsT()
    file.graph.operators[-1].builtinOptions.axis = 1
    return joined


def _end(file: Any, codes: int, scores: int, values: NDArray[np.float32]) -> None:
    """The last operator, which takes 8-bit values of UINT8 alone."""
    if file.quantized == "UINT8":
        step = np.float32(values.max() / 255)
        given = file.tensor("anchors", values.shape, "UINT8", np.round(values / step).astype(np.uint8), step)
    else:
        given = file.tensor("anchors", values.shape, "FLOAT32", values)
    if file.quantized == "INT8":
        codes, scores = (
            file.operator("DEQUANTIZE", [number], file.tensor("floats", file.graph.tensors[number].shape, "FLOAT32"))
            for number in (codes, scores)
        )
    outputs = [file.tensor(f"found{number}", (), "FLOAT32") for number in range(4)]
    file.operator("CUSTOM", [codes, scores, given], outputs[0])
    file.graph.operators[-1].outputs = file.graph.outputs = outputs
    file.model.operatorCodes[-1].customCode = "TFLite_Detection_PostProcess"
