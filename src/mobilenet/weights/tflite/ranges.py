"""8-bit values of TFLite files as float32, and the effect of their ranges on activations.

8-bit values are converted to float32 exactly: scale * (q - zero_point), per tensor or per channel; int32 biases with
their own scale. But LiteRT also rounds every layer's output to 8 bits and clamps it to the top of its range:

- RELU6, and NONE if the range begins at 0 and ends at 6 (within half a quantisation step): ReLU6. That is every
  official 8-bit file, and the end of the range is the activation itself.
- RELU6 or NONE if the range ends at top < 6: LiteRT clamps to [0, top]. ReLU6 with filters and bias times 6 / top, and
  the next layer's filters times top / 6, computes exactly that, so that is returned. After a backbone's last layer
  nothing can undo the scaling, so ReLU6 clamps there, and a note says so.
- RELU: ReLU. The range ends at the largest value seen in calibration, so hardly any value is clamped.
- NONE if the ranges begin at 0 and some end above 6: ReLU, for the same reason.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ModelError
from mobilenet.spec.rows import Activation
from mobilenet.weights.layers import Floats, ForeignConv
from mobilenet.weights.tflite.file import Tensor

__all__ = ["LOWEST", "Layer", "Plane", "clamped", "floats", "misfit", "one_scale", "quantization", "top"]

LOWEST = {"UINT8": 0, "INT8": -128}
"""Kinds of 8-bit tensors, and the lowest value of each."""

_HALF_STEP = 1 / 510
"""Tolerance of the end of a range; official files end at 5.99976."""


def floats(tensor: Tensor, order: tuple[int, ...]) -> Floats:
    """The float32 values of a constant, as a new array with axes in this order, such as (out, in, height, width)."""
    values: Floats = np.array(np.transpose(np.asarray(tensor.values), order), np.float32, order="C")
    if tensor.kind in {"FLOAT32", "FLOAT16"}:
        return values
    scales, zero_points = quantization(tensor)
    along = tuple(tensor.shape[axis] if axis == tensor.axis else 1 for axis in order)
    for numbers, apply in ((zero_points.astype(np.float32), np.subtract), (scales, np.multiply)):
        with np.errstate(over="ignore"):
            apply(values, numbers.reshape(along) if len(numbers) > 1 else numbers, out=values)
    return values


def quantization(tensor: Tensor) -> tuple[Floats, NDArray[np.int64]]:
    """Scales and zero points, (1,) or one per channel (out,); ModelError if they do not fit the tensor."""
    scales, zero_points = tensor.scales, tensor.zero_points
    channels = tensor.shape[tensor.axis] if 0 <= tensor.axis < len(tensor.shape) else 1
    if len(zero_points) == 0:
        zero_points = np.zeros(1, np.int64)
    if not {len(scales), len(zero_points)} <= {1, channels}:
        raise ModelError(f"{tensor.name} of shape {tensor.shape} has {len(scales)} scales, not 1 or one per channel")
    if not (np.isfinite(scales).all() and (scales > 0).all() and (np.abs(zero_points) < 2**16).all()):
        raise ModelError(f"{tensor.name} of shape {tensor.shape} has a scale that is not above 0; it is damaged")
    return scales, zero_points


def one_scale(tensor: Tensor) -> tuple[float, int]:
    """Scale and zero point of an activation, which has one of each; ModelError."""
    scales, zero_points = quantization(tensor)
    if len(scales) > 1 or len(zero_points) > 1:
        raise ModelError(misfit(tensor, "an activation, which has one scale"))
    return float(scales[0]), int(zero_points[0])


def top(output: Tensor, activation: Activation) -> float | None:
    """The end of the range of a quantised layer's output; None if it does not clamp: float, or also below 0."""
    if output.kind not in LOWEST or len(output.scales) == 0:
        return None
    scale, zero_point = one_scale(output)
    if activation == "none" and zero_point != LOWEST[output.kind]:
        return None
    return scale * (LOWEST[output.kind] + 255 - zero_point)


@dataclass(frozen=True, slots=True)
class Plane:
    """What a convolution reads: `side` in pixels, `channels`, and `pads` before and after both sides, of a PAD."""

    side: int
    channels: int
    pads: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A convolution, the `top` of its 8-bit range (None if that does not clamp), and the plane that it computes."""

    conv: ForeignConv
    top: float | None
    plane: Plane


def clamped(
    layers: Sequence[Layer], readers: Mapping[int, Sequence[Floats]], notes: list[str]
) -> tuple[ForeignConv, ...]:
    """Set the activation of layers that are clamped only by their range, and rescale ranges that end below 6 to 6.

    Each layer reads the one before it; `readers` are the filters (out, in, …) of others that read that layer. Filters
    are rescaled in place.
    """
    by_range = [layer.top for layer in layers if layer.conv.activation == "none" and layer.top is not None]
    kind: Activation = "relu" if max(by_range, default=0) > 6 * (1 + _HALF_STEP) else "relu6"
    settled, carried = [], 1.0
    for number, layer in enumerate(layers):
        conv, end = layer.conv, layer.top
        activation = kind if conv.activation == "none" and end is not None else conv.activation
        gain = 6 / end if activation == "relu6" and end is not None and 0 < end < 6 * (1 - _HALF_STEP) else 1.0
        if gain != 1 and layer is layers[-1] and number not in readers:
            notes.append(f"the last layer's 8-bit range ends at {end:.3g}; values above it, up to 6, are kept")
            gain = 1.0
        _multiply(conv.filters, gain * carried)
        _multiply(conv.bias, gain)
        settled.append(dataclasses.replace(conv, activation=activation))
        carried = 1 / gain
        for filters in readers.get(number, ()):
            _multiply(filters, carried)
    return tuple(settled)


def _multiply(values: Floats | None, factor: float) -> None:
    if values is not None and factor != 1:
        with np.errstate(over="ignore", invalid="ignore"):
            values *= np.float32(factor)


def misfit(tensor: Tensor, wanted: str) -> str:
    """The message for a tensor that is not what is expected."""
    return f"tensor {tensor.name} has shape {tensor.shape} of {tensor.kind}, which is not {wanted}"
