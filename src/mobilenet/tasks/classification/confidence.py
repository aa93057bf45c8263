"""The temperature that makes a classifier's confidence true, and what it gains on photos that it was not fitted on."""

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.metrics import classification as metrics
from mobilenet.metrics.temperature import FEWEST, MOST, fit_temperature, softmax, supported
from mobilenet.tasks.task import Temperatures

__all__ = ["fitted"]


def fitted(output: str, logits: NDArray[np.float32], numbers: NDArray[np.int64]) -> Temperatures:
    """(N, classes) logits and (N,) true classes -> the temperature of `output`, or none where the photos do not support
    one, and the figure `temperature` (`metrics.temperature.supported`), with `reliability_before`."""
    chosen = np.random.default_rng(0).permutation(len(numbers))[:MOST]
    logits, numbers = logits[chosen], numbers[chosen]
    temperature, figures = supported(
        len(numbers),
        _unfit(logits, numbers),
        lambda some: fit_temperature(logits[some], numbers[some]),
        lambda temperatures: _measured(softmax(logits, temperatures), numbers),
    )
    return Temperatures({output: temperature} if temperature != 1 else {}, {"temperature": figures})


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
