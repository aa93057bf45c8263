"""The temperature that makes a classifier's confidence true, and how much it helps on photos that it was not fitted on.

A temperature fitted on some photos flatters the calibration error of the same photos. So the figures are cross-fitted:
each photo is judged at a temperature that is fitted on the others.
"""

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.metrics import classification as metrics
from mobilenet.metrics.temperature import HIGHEST, LOWEST, cross_fitted, fit_temperature, softmax
from mobilenet.tasks.task import Temperatures

__all__ = ["FEWEST", "fitted"]

FEWEST = 50
"""Photos below which no temperature is fitted: its standard error would be about a fifth."""

_MOST = 10_000
"""A random sample of this many is enough: one number is fitted."""

_FOLDS = 5


def fitted(output: str, logits: NDArray[np.float32], numbers: NDArray[np.int64]) -> Temperatures:
    """(N, classes) logits and (N,) true classes -> the temperature of `output`, or none where the photos do not support
    one, and the figure `temperature`.

    `value` is the temperature, 1 for none, with the reason in `note`; `ece_before`, `loss_before` and
    `reliability_before` are those of the `photos` without it, `ece_cross_fitted` and `loss_cross_fitted` those with a
    temperature fitted on the other of `folds` parts.
    """
    chosen = np.random.default_rng(0).permutation(len(numbers))[:_MOST]
    logits, numbers = logits[chosen], numbers[chosen]
    if note := _unfit(logits, numbers):
        return _none(note, {"photos": len(numbers)})
    temperature, others = fit_temperature(logits, numbers), cross_fitted(logits, numbers, _FOLDS)
    before, held_out = _measured(softmax(logits), numbers), _measured(softmax(logits, others), numbers)
    figures = {
        "photos": len(numbers),
        "folds": _FOLDS,
        **{f"{name}_before": value for name, value in before.items()},
        **{f"{name}_cross_fitted": held_out[name] for name in ("ece", "loss")},
    }
    if not LOWEST < temperature < HIGHEST:
        return _none(f"the best temperature is outside of {LOWEST:g} to {HIGHEST:g}", figures)
    if not held_out["loss"] < before["loss"]:
        return _none("the loss on held-out photos is not lower with one", figures)
    return Temperatures({output: temperature}, {"temperature": {"value": temperature, "note": "", **figures}})


def _none(note: str, figures: dict[str, Any]) -> Temperatures:
    return Temperatures({}, {"temperature": {"value": 1.0, "note": note, **figures}})


def _unfit(logits: NDArray[np.float32], numbers: NDArray[np.int64]) -> str:
    """Why no temperature can be fitted to these photos; empty if one can."""
    if len(numbers) < FEWEST:
        return f"{len(numbers)} validation photos are too few; at least {FEWEST} are needed"
    if not np.isfinite(logits).all():
        return "the logits contain NaN or infinity"
    if (logits.argmax(1) == numbers).all():
        return "every validation photo is classified correctly"
    return ""


def _measured(probabilities: NDArray[np.float64], numbers: NDArray[np.int64]) -> dict[str, Any]:
    predicted = metrics.top_k(probabilities, 1)[:, 0]
    calibration = metrics.calibration(probabilities[np.arange(len(numbers)), predicted], predicted == numbers)
    return {
        "ece": calibration.error,
        "loss": metrics.negative_log_likelihood(probabilities, numbers),
        "reliability": [asdict(row) for row in calibration.bins],
    }
