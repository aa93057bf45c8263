"""A run's network has true confidence, and its evaluation is that of the network that is saved."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mobilenet.datasets.cache.load import load
from mobilenet.evaluate import evaluate
from mobilenet.metrics.temperature import fit_temperature
from mobilenet.model.arrays import read_arrays
from mobilenet.runtimes import open_model
from mobilenet.runtimes.batches import predict_batches
from mobilenet.runtimes.torch import RawPredictor
from mobilenet.tasks import open_dataset, task_named
from mobilenet.training.run import resume, train
from mobilenet.training.settings import TrainingSettings

from .conftest import MODEST, QUICK


@pytest.fixture
def doubtful(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Dark and bright photos, 40 to train on and 60 to validate with; one in six of these is in the wrong folder."""
    monkeypatch.setenv("MOBILENET_CACHE", str(tmp_path / "cache"))
    generator = np.random.default_rng(0)
    for split, count in (("train", 20), ("validation", 30)):
        for name in ("dark", "bright"):
            place = tmp_path / "photos" / split / name
            place.mkdir(parents=True)
            for number in range(count):
                low = 128 * ((name == "bright") ^ (split == "validation" and number % 6 == 0))
                pixels = generator.integers(low, low + 100, (48, 40, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / f"{number}.png")
    return tmp_path / "photos"


def _logits(run: Path, photos: Path) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    predictor = RawPredictor.open(run / "model.safetensors")
    found = load(open_dataset(photos, "classification").validation, 32)
    return predict_batches(predictor, found)["probabilities"], found.targets.numbers  # type: ignore[attr-defined]


def test_the_saved_network_is_calibrated_and_evaluated_as_saved(doubtful: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = TrainingSettings(doubtful, **{**QUICK, **MODEST})
    result = train(settings, run)
    figures = json.loads((run / "evaluation.json").read_text())
    fit = figures["temperature"]
    assert (fit["note"], fit["photos"]) == ("", 60)
    card, arrays = read_arrays(run / "model.safetensors")
    assert card.temperatures == {"probabilities": fit["value"]}
    logits, numbers = _logits(run, doubtful)
    # What was fitted and folded in leaves nothing to fit.
    assert fit_temperature(logits, numbers) == pytest.approx(1, rel=1e-3)
    photos = load(open_dataset(doubtful, "classification").validation, 32)
    again = evaluate(open_model(run), task_named("classification"), photos, photos.targets, photos.files)
    for name in ("top1", "loss", "ece", "ece_floor", "reliability", "confusion"):
        assert again.figures[name] == result.evaluation.figures[name] == figures[name]
    assert figures["loss"] < fit["loss_before"]
    assert fit["value"] < 0.8
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["validation_loss"] == pytest.approx(fit["loss_before"], rel=1e-6)
    assert last["top1"] == figures["top1"]
    assert card.provenance["validation_metrics"]["loss"] == figures["loss"]
    resume(run)
    for name, values in read_arrays(run / "model.safetensors")[1].items():
        assert np.array_equal(values, arrays[name])


def test_weights_of_a_calibrated_run_start_another_without_its_temperature(doubtful: Path, tmp_path: Path) -> None:
    settings = TrainingSettings(doubtful, **{**QUICK, "epochs": 1})
    train(settings, tmp_path / "first")
    probe = TrainingSettings(doubtful, weights=str(tmp_path / "first"), freeze="backbone", device="cpu")
    train(probe, tmp_path / "probe")
    card, _ = read_arrays(tmp_path / "probe" / "model.safetensors")
    value = json.loads((tmp_path / "probe" / "evaluation.json").read_text())["temperature"]["value"]
    assert card.temperatures == ({} if value == 1 else {"probabilities": value})
