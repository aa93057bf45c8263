"""What is fitted to held-out photos: the temperature that makes probabilities true, and a threshold for each attribute.

Both flatter the photos that they are fitted to. So the figures are cross-fitted too: each photo is judged by a
temperature and by thresholds that are fitted on the others.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.metrics.classification import calibration
from mobilenet.metrics.multilabel import best_threshold, binary_cross_entropy
from mobilenet.metrics.temperature import FEWEST, MOST, fit_temperature, supported
from mobilenet.tasks.attributes.score import THRESHOLDS, mean_f1, thresholds_of
from mobilenet.tasks.attributes.targets import AttributeTargets
from mobilenet.tasks.task import Temperatures

__all__ = ["FEWEST_VALUES", "fitted"]

FEWEST_VALUES = 5
"""Photos with an attribute, and without it, below which its threshold stays at one half: a handful says too little."""

_FOLDS = 5

Floats = NDArray[np.float64]


def fitted(
    output: str, raw: NDArray[np.float32], targets: AttributeTargets, decoding: Mapping[str, Any]
) -> Temperatures:
    """(N, attributes) raw values -> the temperature of `output`, or none where the photos do not support one; the
    `thresholds` of the attributes as a field of the vocabulary, probabilities at that temperature; and the figures
    `temperature` and `thresholds`.

    The former is that of `metrics.temperature.supported`; of the latter, `mean_f1_cross_fitted` is that with thresholds
    fitted on the others, and `fitted` the number of attributes of which enough photos are known: others keep that of
    `decoding`, or one half.
    """
    logits, values = raw.astype(np.float64), targets.values
    temperature, figures = _temperature(logits, values)
    probabilities = _sigmoid(logits / temperature)
    # Where too few photos say anything, the threshold of before, which is the same answer at the new temperature.
    before = thresholds_of(decoding, values.shape[1])
    kept = _sigmoid((np.log(before) - np.log1p(-before)) / temperature) if temperature != 1 else before
    thresholds, enough = _thresholds(probabilities, values, kept)
    found = {
        "temperature": figures,
        "thresholds": {
            "folds": _FOLDS,
            "mean_f1_cross_fitted": _cross_fitted_f1(probabilities, values, kept),
            "fitted": int(enough.sum()),
        },
    }
    return Temperatures({output: temperature} if temperature != 1 else {}, found, {THRESHOLDS: thresholds.tolist()})


def _temperature(logits: Floats, values: NDArray[np.int8]) -> tuple[float, dict[str, Any]]:
    chosen = np.random.default_rng(0).permutation(len(values))
    chosen = chosen[(values[chosen] >= 0).any(1)][:MOST]
    logits, values = logits[chosen], values[chosen]
    return supported(
        len(values),
        _unfit(logits, values),
        lambda some: _fit(logits[some], values[some]),
        lambda temperatures: _measured(logits / temperatures[:, None], values),
    )


def _unfit(logits: Floats, values: NDArray[np.int8]) -> str:
    """Why no temperature can be fitted to these photos; empty if one can."""
    if len(values) < FEWEST:
        return f"{len(values)} validation photos with known attributes are too few; at least {FEWEST} are needed"
    if not np.isfinite(logits).all():
        return "the raw values contain NaN or infinity"
    known = values >= 0
    if ((logits >= 0) == (values == 1))[known].all():
        return "every known attribute is answered correctly"
    return ""


def _fit(logits: Floats, values: NDArray[np.int8]) -> float:
    """That of a choice between yes and no, whose logits are the raw value and 0, over all known values."""
    known = values >= 0
    if not known.any():
        return 1.0
    return fit_temperature(np.stack([np.zeros(known.sum()), logits[known]], axis=1), values[known].astype(np.int64))


def _measured(logits: Floats, values: NDArray[np.int8]) -> dict[str, float]:
    known = values >= 0
    probabilities, truth = _sigmoid(logits[known]), values[known] == 1
    return {"ece": calibration(probabilities, truth).error, "loss": binary_cross_entropy(probabilities, truth)}


def _thresholds(probabilities: Floats, values: NDArray[np.int8], kept: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """(attributes,) thresholds, and whether they are fitted and not `kept`."""
    found, enough = kept.copy(), np.zeros(len(kept), np.bool_)
    for place in range(values.shape[1]):
        known = values[:, place] >= 0
        truth = values[known, place] == 1
        if min(truth.sum(), (~truth).sum()) >= FEWEST_VALUES:
            # Decimals that fit into float32, so that every engine compares with the same number.
            found[place] = round(best_threshold(probabilities[known, place], truth), 6)
            enough[place] = True
    return found, enough


def _cross_fitted_f1(probabilities: Floats, values: NDArray[np.int8], kept: Floats) -> float | None:
    fold = np.random.default_rng(0).permutation(len(values)) % _FOLDS
    answers = np.zeros(values.shape, np.bool_)
    for number in range(_FOLDS):
        thresholds, _ = _thresholds(probabilities[fold != number], values[fold != number], kept)
        answers[fold == number] = probabilities[fold == number] >= thresholds
    return mean_f1(answers, values)


def _sigmoid(logits: Floats) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(logits / 2)))
