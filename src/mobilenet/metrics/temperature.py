"""The temperature of a classifier: the number by which dividing its logits makes its confidence true.

Guo et al. 2017, "On Calibration of Modern Neural Networks" (arXiv 1706.04599). Common arguments: `logits` (N, classes)
float, `labels` (N,) integers, the true classes.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FEWEST", "HIGHEST", "LOWEST", "MOST", "fit_temperature", "softmax", "supported"]

LOWEST, HIGHEST = 0.1, 10.0
"""The range that is searched. Networks need 0.5 to 3; photos that ask for more say too little."""

FEWEST, MOST = 50, 10_000
"""Photos below which no temperature is fitted, as its standard error would be about a fifth; and a random sample that
is enough for one number."""

_FOLDS = 5
_MOST_STEPS = 60
_CLOSE = 1e-10
"""Relative precision of the result."""


def fit_temperature(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """(N, classes), (N,) -> the temperature that minimises the mean of -ln(probability of the true class), or the bound
    beyond which the minimum lies: `LOWEST` or `HIGHEST`.

    The loss is convex in 1 / temperature: its slope is the expected logit minus the true one, its curvature the
    variance of the logits, both under the predicted distribution. Newton's method, kept inside a bracket.
    """
    centred = _centred(logits)
    true = centred[np.arange(len(labels)), labels].mean()
    low, high = 1 / HIGHEST, 1 / LOWEST
    if _slope_and_curvature(centred, low)[0] >= true:
        return HIGHEST
    if _slope_and_curvature(centred, high)[0] <= true:
        return LOWEST
    inverse = 1.0
    for _ in range(_MOST_STEPS):
        expected, curvature = _slope_and_curvature(centred, inverse)
        low, high = (inverse, high) if expected < true else (low, inverse)
        step = inverse - (expected - true) / max(curvature, np.finfo(np.float64).tiny)
        following = step if low < step < high else (low + high) / 2
        if abs(following - inverse) <= _CLOSE * inverse:
            return float(1 / following)
        inverse = following
    return float(1 / inverse)


def supported(
    photos: int,
    unfit: str,
    fit: Callable[[NDArray[np.bool_]], float],
    measured: Callable[[NDArray[np.float64]], dict[str, Any]],
) -> tuple[float, dict[str, Any]]:
    """The temperature of so many photos, 1 where they do not support one, and the figures about it.

    `fit` gives that of the photos (N,) that are true; `measured` gives `ece` and `loss` of all photos at temperatures
    (N,), and what else is to be recorded as it is without one. `unfit`: why none can be fitted, if so.

    A temperature flatters the photos that it was fitted on. So the figures are cross-fitted: each photo is judged at
    that of the other folds, random samples, and there is none if the loss is not lower with it. `value` is the
    temperature, with the reason for 1 in `note`; `ece_before`, `loss_before` … are those of the `photos` without it,
    `ece_cross_fitted` and `loss_cross_fitted` those with a temperature fitted on the other of `folds` parts.
    """
    if unfit:
        return 1.0, {"value": 1.0, "note": unfit, "photos": photos}
    fold = np.random.default_rng(0).permutation(photos) % _FOLDS
    temperature = fit(np.ones(photos, np.bool_))
    others = np.array([fit(fold != number) for number in range(_FOLDS)])[fold]
    before, held_out = measured(np.ones(photos)), measured(others)
    figures = {
        "photos": photos,
        "folds": _FOLDS,
        **{f"{name}_before": value for name, value in before.items()},
        **{f"{name}_cross_fitted": held_out[name] for name in ("ece", "loss")},
    }
    note = ""
    if not LOWEST < temperature < HIGHEST:
        note = f"the best temperature is outside of {LOWEST:g} to {HIGHEST:g}"
    elif not held_out["loss"] < before["loss"]:
        note = "the loss on held-out photos is not lower with one"
    value = 1.0 if note else temperature
    return value, {"value": value, "note": note, **figures}


def softmax(logits: NDArray[np.floating], temperature: float | NDArray[np.float64] = 1.0) -> NDArray[np.float64]:
    """(N, classes) probabilities of the logits divided by `temperature`: one for all photos, or (N,)."""
    powers = np.exp(_centred(logits) / np.reshape(temperature, (-1, 1)))
    return np.asarray(powers / powers.sum(1, keepdims=True), np.float64)


def _centred(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Logits whose largest is 0, which changes no probability and keeps exponentials from overflowing."""
    wide = np.asarray(logits, np.float64)
    return np.asarray(wide - wide.max(1, keepdims=True), np.float64)


def _slope_and_curvature(centred: NDArray[np.float64], inverse: float) -> tuple[float, float]:
    """The mean expected logit, and the mean variance of the logits, at 1 / temperature `inverse`."""
    powers = np.exp(centred * inverse)
    probabilities = powers / powers.sum(1, keepdims=True)
    means = (probabilities * centred).sum(1)
    spread = (probabilities * np.square(centred)).sum(1) - np.square(means)
    return float(means.mean()), float(spread.mean())
