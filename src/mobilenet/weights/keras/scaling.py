"""Layers of a Keras model that scale pixels to the input of its first convolution."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ModelError
from mobilenet.weights.keras.config import Layer
from mobilenet.weights.layers import Scaling

__all__ = ["SCALING_KINDS", "scaling"]

_OPERATORS: dict[str, Callable[[float], tuple[float, float]]] = {
    "truediv": lambda number: (1 / number, 0.0),
    "multiply": lambda number: (number, 0.0),
    "subtract": lambda number: (1.0, -number),
    "add": lambda number: (1.0, number),
}
"""`x / number` and the like, as a factor and an offset."""

SCALING_KINDS = frozenset({"Rescaling", "Normalization", "TFOpLambda", "TrueDivide", "Multiply", "Subtract", "Add"})


def scaling(layer: Layer, read: Callable[[str], NDArray[np.float32]]) -> Scaling:
    """The scaling of one of `SCALING_KINDS`, (3,) or (); `read` returns its array by name. ModelError if it computes
    something else."""
    match layer.kind:
        case "Rescaling":
            return _arrays(layer, layer.settings["scale"], layer.settings.get("offset", 0.0))
        case "Normalization":
            return _normalization(layer, read)
    name = str(layer.settings.get("function", layer.kind)).rpartition(".")[-1].lower().removesuffix("ide")
    number = layer.settings["operand"]
    if name not in _OPERATORS or not isinstance(number, int | float) or number == 0:
        raise ModelError(f"layer {layer.name} is the operator {name} with {number}, which is not part of any MobileNet")
    return _arrays(layer, *_OPERATORS[name](float(number)))


def _normalization(layer: Layer, read: Callable[[str], NDArray[np.float32]]) -> Scaling:
    """Mean and variance are settings, or arrays if the layer was adapted to data."""
    mean, variance = (
        read(name) if name in layer.variables else layer.settings.get(name) for name in ("mean", "variance")
    )
    if mean is None or variance is None or layer.settings.get("invert"):
        raise ModelError(f"{layer.name} normalises without a mean and a variance per colour")
    means, variances = _arrays(layer, mean, variance)
    if not (variances >= 0).all():
        raise ModelError(f"{layer.name} has the variance {variances.tolist()}")
    deviations = np.maximum(np.sqrt(variances), 1e-7)
    return 1 / deviations, -means / deviations


def _arrays(layer: Layer, first: Any, second: Any) -> Scaling:
    both = tuple(np.ravel(np.asarray(value, np.float64)) for value in (first, second))
    if {len(values) for values in both} - {1, 3}:
        raise ModelError(f"{layer.name} scales something other than the three colours of a photo")
    return both[0], both[1]
