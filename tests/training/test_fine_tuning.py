"""Whole runs that start from other weights."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from mobilenet.errors import ConfigError
from mobilenet.images import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.nn.model_file import read_model, write_model
from mobilenet.nn.network import TableNetwork
from mobilenet.runs.metrics_log import read_metrics
from mobilenet.spec import ConvStyle
from mobilenet.training.run import new_run_folder, resume, train
from mobilenet.training.settings import TrainingSettings
from mobilenet.training.tracking.listener import Silence


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A folded network of three other classes."""
    torch.manual_seed(1)
    style = ConvStyle("tensorflow", "relu6", 1e-3, batch_norm=False)
    card = ModelCard(
        "mobilenet_v1",
        0.1,
        32,
        ("a", "b", "c"),
        Preprocessing(32, mean=(128,) * 3, std=(128,) * 3),
        style,
        task="classification",
    )
    network = TableNetwork(card.network())
    write_model(tmp_path / "weights.safetensors", network, card)
    return tmp_path / "weights.safetensors"


def _settings(photos: Path, weights: Path, **changes: Any) -> TrainingSettings:
    # Without changes of light: dark and bright are the classes.
    still = {"brightness": 0, "contrast": 0, "colour_balance": 0}
    defaults: dict[str, Any] = {"epochs": 2, "batch_size": 8, "augmentation": still, "device": "cpu"}
    return TrainingSettings(photos, weights=str(weights), **{**defaults, **changes})


class _StopAfter(Silence):
    def __init__(self, epoch: int) -> None:
        self._last = epoch

    def epoch(self, line: dict[str, Any]) -> None:
        if line["epoch"] == self._last:
            raise KeyboardInterrupt


def test_a_run_starts_from_the_weights(photos: Path, weights: Path, tmp_path: Path) -> None:
    train(_settings(photos, weights), tmp_path / "run")
    lines = read_metrics(tmp_path / "run" / "metrics.jsonl").lines
    assert [line["epoch"] for line in lines] == [0, 1, 2]
    assert lines[0]["top1"] == 1
    _, card = read_model(tmp_path / "run" / "model.safetensors")
    assert card.labels == ("bright", "dark")
    assert card.style == ConvStyle("tensorflow", "relu6", 1e-3)
    assert card.preprocessing == Preprocessing(32, mean=(128,) * 3, std=(128,) * 3)
    assert card.provenance["settings"]["weights"] == "weights.safetensors"
    assert str(tmp_path) not in card.to_json()


def test_training_starts_from_zero_and_not_from_the_fitted_classifier(
    photos: Path, weights: Path, tmp_path: Path
) -> None:
    train(_settings(photos, weights, epochs=1, learning_rate=1e-9), tmp_path / "run")
    probe, trained = read_metrics(tmp_path / "run" / "metrics.jsonl").lines
    assert probe["validation_loss"] < 0.1
    # Zero weights give every class the same probability.
    assert trained["validation_loss"] == pytest.approx(math.log(2), abs=1e-5)


def test_gradients_are_clipped(photos: Path, weights: Path, tmp_path: Path) -> None:
    """SGD steps are proportional to the gradient: with a norm near zero, the classifier stays at zero."""
    settings = _settings(photos, weights, epochs=1, optimizer="sgd", learning_rate=1.0, clip_norm=1e-7)
    assert train(settings, tmp_path / "clipped").evaluation.figures["loss"] == pytest.approx(math.log(2), abs=1e-5)
    free = _settings(photos, weights, epochs=1, optimizer="sgd", learning_rate=1.0, clip_norm=0)
    assert train(free, tmp_path / "free").evaluation.figures["loss"] != pytest.approx(math.log(2), abs=1e-2)


class _Notes(Silence):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


def test_a_run_may_be_thinner_than_its_weights(photos: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    card = ModelCard(
        "mobilenet_v1", 0.25, 32, ("a", "b"), Preprocessing(32), ConvStyle(batch_norm=False), task="classification"
    )
    write_model(tmp_path / "wide.safetensors", TableNetwork(card.network()), card)
    heard = _Notes()
    settings = _settings(photos, tmp_path / "wide.safetensors", width_multiplier=0.1)
    train(settings, tmp_path / "run", listener=heard)
    _, made = read_model(tmp_path / "run" / "model.safetensors")
    assert (made.width_multiplier, made.style.batch_norm) == (0.1, True)
    assert any("the weights have width 0.25" in note and "for width 0.1" in note for note in heard.said)


def test_a_linear_probe_keeps_the_backbone(photos: Path, weights: Path, tmp_path: Path) -> None:
    result = train(_settings(photos, weights, epochs=None, freeze="backbone"), tmp_path / "run")
    assert result.evaluation.figures["top1"] == 1
    assert [line["epoch"] for line in read_metrics(tmp_path / "run" / "metrics.jsonl").lines] == [0]
    kept, source = (load_file(path) for path in (tmp_path / "run" / "model.safetensors", weights))
    for name, value in source.items():
        if name.endswith("conv.weight"):
            assert torch.equal(kept[name], value)


def test_parts_whose_turn_has_not_come_stay_as_they_are(photos: Path, weights: Path, tmp_path: Path) -> None:
    train(_settings(photos, weights, epochs=1, unfreeze=1.0), tmp_path / "run")
    kept, source = (load_file(path) for path in (tmp_path / "run" / "model.safetensors", weights))
    assert torch.equal(kept["block13.pointwise.conv.weight"], source["block13.pointwise.conv.weight"])
    train(_settings(photos, weights, epochs=2, unfreeze=1.0), tmp_path / "longer")
    kept = load_file(tmp_path / "longer" / "model.safetensors")
    changed = [
        n
        for n in range(1, 14)
        if not torch.equal(kept[f"block{n}.pointwise.conv.weight"], source[f"block{n}.pointwise.conv.weight"])
    ]
    # halfway, stem and six blocks of the 15 parts still wait
    assert changed == list(range(7, 14))


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_a_run_that_was_stopped_needs_the_weights_no_more(
    photos: Path, weights: Path, tmp_path: Path, epoch: int
) -> None:
    train(_settings(photos, weights), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(_settings(photos, weights), tmp_path / "stopped", listener=_StopAfter(epoch))
    weights.unlink()
    resume(tmp_path / "stopped")
    whole, stopped = (load_file(tmp_path / run / "model.safetensors") for run in ("whole", "stopped"))
    assert all(torch.equal(whole[name], stopped[name]) for name in whole)


def test_a_run_that_no_longer_gets_better_ends(photos: Path, weights: Path, tmp_path: Path) -> None:
    train(_settings(photos, weights, epochs=50, patience=2, learning_rate=1e-9, unfreeze=0.0), tmp_path / "run")
    lines = read_metrics(tmp_path / "run" / "metrics.jsonl").lines
    # The fitted classifier, epoch 0, is no measure of training.
    losses = [line["validation_loss"] for line in lines[1:]]
    assert 2 < len(losses) < 50
    assert losses.index(min(losses)) == len(losses) - 3


def test_a_run_folder_is_named_after_the_network_of_the_weights(weights: Path, tmp_path: Path) -> None:
    settings = _settings(Path("some/photos"), weights)
    assert new_run_folder(settings, tmp_path).name == "photos-mobilenet_v1-0.1-32"


def test_random_weights_are_not_worth_freezing() -> None:
    with pytest.raises(ConfigError, match="--freeze backbone needs --weights"):
        TrainingSettings(Path("x"), freeze="backbone")
