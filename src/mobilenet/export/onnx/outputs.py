"""The outputs of a graph in ONNX: real values of a row -> the shape and ending of the output."""

from collections.abc import Sequence
from math import prod

import numpy as np

from mobilenet.export.onnx.parts import Parts, Value
from mobilenet.model.outputs import SHORTEST, Output

__all__ = ["write_output"]


def write_output(output: Output, values: Sequence[Value], parts: Parts) -> None:
    """The tensor `output.name` (N, *shape) from the float32 values of its rows."""
    tensor = _joined(output, values, parts)
    last = len(output.shape)
    match output.ending:
        case "softmax":
            parts.end("Softmax", [tensor], output.name, axis=last)
        case "sigmoid":
            parts.end("Sigmoid", [tensor], output.name)
        case "l2":
            length = parts.node("ReduceL2", [tensor], f"{output.name}/length", axes=[last], keepdims=1)
            shortest = parts.shared("shortest", SHORTEST, np.float32)
            bounded = parts.node("Max", [length, shortest], f"{output.name}/divisor")
            parts.end("Div", [tensor, bounded], output.name)
        case "none":
            parts.end("Identity", [tensor], output.name)


def _joined(output: Output, values: Sequence[Value], parts: Parts) -> str:
    """(N, *shape); several rows follow one another along the first axis."""
    if len(values) == 1:
        return _shaped(output.name, values[0], output.shape, parts)
    within = output.shape[1:]
    shaped = [
        _shaped(f"{output.name}/{number}", value, (prod(value.shape) // prod(within), *within), parts)
        for number, value in enumerate(values, 1)
    ]
    return parts.node("Concat", shaped, f"{output.name}/joined", axis=1)


def _shaped(name: str, value: Value, wanted: tuple[int, ...], parts: Parts) -> str:
    """(N, *wanted); a plane is read row by row and pixel by pixel."""
    tensor, shape = value.tensor, value.shape
    if len(shape) == 3:
        tensor = parts.node("Transpose", [tensor], f"{name}/pixels", perm=[0, 2, 3, 1])
        shape = (*shape[1:], shape[0])
    if shape == wanted:
        return tensor
    # 0 keeps the batch size.
    sides = parts.constant(f"{name}/shape", [0, *wanted], np.int64)
    return parts.node("Reshape", [tensor, sides], f"{name}/shaped")
