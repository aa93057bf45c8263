"""The outputs of a graph in ONNX: real values of a row -> the shape and ending of the output."""

import numpy as np

from mobilenet.export.onnx.parts import Parts, Value
from mobilenet.model.outputs import SHORTEST, Output

__all__ = ["write_output"]


def write_output(output: Output, value: Value, parts: Parts) -> None:
    """The tensor `output.name` (N, *shape) from the float32 values of its row."""
    tensor = _shaped(output, value, parts)
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


def _shaped(output: Output, value: Value, parts: Parts) -> str:
    """(N, *shape); a plane is read row by row and pixel by pixel."""
    tensor, shape = value.tensor, value.shape
    if len(shape) == 3:
        tensor = parts.node("Transpose", [tensor], f"{output.name}/pixels", perm=[0, 2, 3, 1])
        shape = (*shape[1:], shape[0])
    if shape == output.shape:
        return tensor
    # 0 keeps the batch size.
    sides = parts.constant(f"{output.name}/shape", [0, *output.shape], np.int64)
    return parts.node("Reshape", [tensor, sides], f"{output.name}/shaped")
