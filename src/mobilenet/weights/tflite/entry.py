"""How a TFLite file turns its input into that of its first convolution: types, quantisation, scaling by constants."""

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ModelError
from mobilenet.images.preprocessing import Preprocessing
from mobilenet.weights.layers import Floats, Scaling
from mobilenet.weights.pixel_scale import Units, scaled_input, units_of_range
from mobilenet.weights.tflite.file import Tensor
from mobilenet.weights.tflite.ranges import LOWEST, misfit, one_scale

__all__ = ["COMMUTATIVE", "Entry"]

COMMUTATIVE = frozenset({"ADD", "MUL"})
"""Kinds of operators whose constant may come first."""


class Entry:
    """What is known of the input `image` (1, R, R, 3), and what is applied to it before the first convolution.

    `scaling`: factors and offsets, (3,) or (); None without any.
    """

    def __init__(self, image: Tensor) -> None:
        self.image = image
        self.scaling: Scaling | None = None
        self._units = None if image.kind not in LOWEST or not len(image.scales) else _quantized(image)
        self._calibrated: Units | None = None

    def cast(self) -> None:
        """Take the bytes of the input as numbers, whatever its quantisation."""
        if self.image.kind in LOWEST:
            low = float(LOWEST[self.image.kind])
            self._units = Units("pixels", (-low, -low, -low), (1.0, 1.0, 1.0))

    def quantize(self, made: Tensor) -> None:
        """The range of an 8-bit tensor that the float input is rounded to, which was calibrated on photos."""
        if self.image.kind in LOWEST or made.kind not in LOWEST or self.scaling is not None or self._calibrated:
            return
        scale, zero_point = one_scale(made)
        low = LOWEST[made.kind]
        self._calibrated = units_of_range(scale * (low - zero_point), scale * (low + 255 - zero_point))

    def scale(self, kind: str, number: Tensor, values: Floats) -> None:
        """Apply a MUL, DIV, ADD or SUB by a constant of these values, one or one per colour; ModelError."""
        values = np.ravel(values)
        if len(values) not in {1, 3} or number.shape[-1:] not in {(), (len(values),)}:
            raise ModelError(misfit(number, "a number, or one per colour"))
        if kind == "DIV" and not values.all():
            raise ModelError(f"a DIV divides pixels by {values.tolist()}; it is damaged")
        factors, offsets = self.scaling or (np.ones(1), np.zeros(1))
        self.scaling = _scaled(kind, values.astype(np.float64), factors, offsets)

    def preprocessing(self, normalization: Preprocessing | None) -> tuple[Preprocessing | None, tuple[str, ...]]:
        """From the scale of a quantised input, else from the metadata's `normalization`, else from a calibrated range,
        with a note; None if the file says nothing. ModelError or ConfigError for values out of range."""
        units, notes = self._units, tuple[str, ...]()
        if self.image.kind in LOWEST and units is None:
            units = _quantized(self.image)
        if units is None and normalization is not None:
            units = Units("metadata", normalization.mean, normalization.std)
        if units is None and self._calibrated is not None:
            units = self._calibrated
            notes = (
                f"the file does not specify the pixel scaling; its input's range fits {units.name}, which is assumed",
            )
        if units is None:
            return None, ()
        return scaled_input(self.image.shape[1], self.scaling or (np.ones(1), np.zeros(1)), units), notes


def _quantized(image: Tensor) -> Units:
    scale, zero_point = one_scale(image)
    mean, std = float(zero_point) - LOWEST[image.kind], 1 / scale
    return Units("quantised", (mean, mean, mean), (std, std, std))


def _scaled(
    kind: str, values: NDArray[np.float64], factors: NDArray[np.float64], offsets: NDArray[np.float64]
) -> Scaling:
    with np.errstate(over="ignore", invalid="ignore"):
        match kind:
            case "MUL":
                return factors * values, offsets * values
            case "DIV":
                return factors / values, offsets / values
            case "ADD":
                return factors, offsets + values
    return factors, offsets - values
