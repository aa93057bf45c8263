"""When a classifier gets a temperature, when it gets none, and what is reported of either."""

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mobilenet.metrics.temperature import fit_temperature
from mobilenet.tasks.classification.confidence import FEWEST, fitted
from mobilenet.tasks.classification.score import score
from mobilenet.tasks.task import Temperatures

Case = tuple[NDArray[np.float32], NDArray[np.int64]]


def _photos(photos: int, temperature: float, seed: int = 0) -> Case:
    """Logits of three classes that are true at `temperature`."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, (photos, 3)).astype(np.float32)
    chances = np.exp(logits / temperature)
    chances /= chances.sum(1, keepdims=True)
    return logits, (random.random((photos, 1)) > chances.cumsum(1)).sum(1).clip(0, 2)


def _figures(found: Temperatures) -> Any:
    figures = json.loads(json.dumps(found.figures, allow_nan=False))
    assert figures.keys() == {"temperature"}
    return figures["temperature"]


@pytest.mark.parametrize("temperature", [0.4, 3.0])
def test_confidence_that_is_off_is_made_true(temperature: float) -> None:
    logits, numbers = _photos(600, temperature)
    found = fitted("probabilities", logits, numbers)
    assert found.by_output == {"probabilities": pytest.approx(temperature, rel=0.2)}
    figures = _figures(found)
    powers = np.exp(logits)
    plain = score(powers / powers.sum(1, keepdims=True), numbers, ("a", "b", "c"))
    assert figures["ece_before"] == pytest.approx(plain["ece"])
    assert figures["loss_before"] == pytest.approx(plain["loss"])
    assert [row["photos"] for row in figures["reliability_before"]] == [row["photos"] for row in plain["reliability"]]
    assert figures["ece_cross_fitted"] < figures["ece_before"] / 2
    assert (figures["photos"], figures["note"]) == (600, "")
    divided = np.exp(logits / found.by_output["probabilities"])
    after = score(divided / divided.sum(1, keepdims=True), numbers, ("a", "b", "c"))
    # The fit flatters itself, by less than one part in a hundred with so many photos.
    assert after["loss"] < figures["loss_cross_fitted"] < after["loss"] * 1.01
    assert after["top1"] == plain["top1"]


def _without(logits: NDArray[np.float32], numbers: NDArray[np.int64]) -> str:
    found = fitted("probabilities", logits, numbers)
    assert found.by_output == {}
    figures = _figures(found)
    assert figures["value"] == 1
    return str(figures["note"])


def test_few_photos_give_none() -> None:
    logits, numbers = _photos(FEWEST, 3.0)
    assert fitted("probabilities", logits, numbers).by_output
    assert _without(logits[1:], numbers[1:]) == "49 validation photos are too few; at least 50 are needed"


def test_without_a_mistake_there_is_none() -> None:
    logits, _ = _photos(100, 1.0)
    assert _without(logits, logits.argmax(1)) == "every validation photo is classified correctly"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_give_none(value: float) -> None:
    logits, numbers = _photos(100, 3.0)
    logits[7, 1] = value
    assert _without(logits, numbers) == "the logits contain NaN or infinity"


def test_a_temperature_at_a_bound_is_none() -> None:
    logits, _ = _photos(100, 1.0)
    note = "the best temperature is outside of 0.1 to 10"
    # Worse than guessing, and one mistake, with a margin of nothing, among certainties.
    assert _without(logits, logits.argmin(1)) == note
    logits[0] = 0
    assert _without(logits, np.where(np.arange(100) == 0, 1, logits.argmax(1))) == note


def test_true_confidence_is_left_as_it_is() -> None:
    """Of these seeds, one whose photos fit their logits so well that a temperature only adds noise."""
    notes = []
    for seed in range(6):
        logits, numbers = _photos(200, 1.0, seed)
        found = fitted("probabilities", logits, numbers)
        notes.append(_figures(found)["note"])
        assert fit_temperature(logits, numbers) == pytest.approx(1, rel=0.3)
    assert "the loss on held-out photos is not lower with one" in notes


def test_of_very_many_photos_a_sample_is_taken() -> None:
    logits, numbers = _photos(12_000, 2.0)
    found = fitted("probabilities", logits, numbers)
    assert _figures(found)["photos"] == 10_000
    assert found.by_output["probabilities"] == pytest.approx(fit_temperature(logits, numbers), rel=0.02)
