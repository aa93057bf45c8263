"""Whole runs, on photos that a second is enough for."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from mobilenet.errors import ConfigError, DataError, MobilenetError, ModelError, StorageError
from mobilenet.evaluate import Evaluation
from mobilenet.images.augment import Crops, render
from mobilenet.images.preprocessing import to_squares
from mobilenet.nn.model_file import read_model
from mobilenet.quantize.fine_tune import training_photos
from mobilenet.runs.metrics_log import read_metrics
from mobilenet.runtimes import open_model
from mobilenet.tasks import open_dataset
from mobilenet.training.resume.checkpoint import Checkpoints
from mobilenet.training.run import new_run_folder, resume, train
from mobilenet.training.settings import TrainingSettings
from mobilenet.training.tracking.listener import Silence
from mobilenet.training.tracking.tracker import TIMING


def _settings(photos: Path, **changes: Any) -> TrainingSettings:
    # Without changes of light: dark and bright are the classes.
    still = {"brightness": 0, "contrast": 0, "colour_balance": 0}
    defaults: dict[str, Any] = {
        "width_multiplier": 0.1,
        "resolution": 32,
        "epochs": 3,
        "batch_size": 8,
        "warmup_epochs": 1,
        "augmentation": still,
        "device": "cpu",
    }
    return TrainingSettings(photos, **{**defaults, **changes})


class _StopAfter(Silence):
    """Presses Ctrl-C when an epoch is over."""

    def __init__(self, epoch: int) -> None:
        self._last = epoch

    def epoch(self, line: dict[str, Any]) -> None:
        if line["epoch"] == self._last:
            raise KeyboardInterrupt


def _untimed(run: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if k not in TIMING} for line in read_metrics(run / "metrics.jsonl").lines]


def test_a_run_learns_and_leaves_everything(photos: Path, tmp_path: Path) -> None:
    settings = _settings(photos, epochs=8, learning_rate=0.1)
    result = train(settings, tmp_path / "run", command=["mobilenet", "train", "photos"])
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {
        "checkpoint",
        "config.json",
        "evaluation.json",
        "metrics.jsonl",
        "model.safetensors",
        "photos.jsonl",
        "tensorboard",
    }
    assert result.evaluation.photos == 12
    assert result.evaluation.figures["top1"] >= 0.75
    assert Evaluation.read(tmp_path / "run" / "evaluation.json") == result.evaluation
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["command"] == ["mobilenet", "train", "photos"]
    assert config["data"]["classes"] == ["bright", "dark"]
    assert config["data"]["train_photos"] == 40
    assert [line["epoch"] for line in read_metrics(tmp_path / "run" / "metrics.jsonl").lines] == list(range(1, 9))


def test_the_model_file_gives_the_evaluated_answers(photos: Path, tmp_path: Path) -> None:
    result = train(_settings(photos), tmp_path / "run")
    predictor = open_model(tmp_path / "run")
    file = photos / "validation" / "dark" / "3.png"
    probabilities = predictor.predict(predictor.preprocessing.prepare(file)[None])["probabilities"]
    assert probabilities.shape == (1, 2)
    assert probabilities.sum() == pytest.approx(1.0, abs=1e-6)
    wrong = {mistake.file for mistake in result.evaluation.mistakes}
    assert (predictor.labels[probabilities.argmax()] == "dark") == (str(file) not in wrong)
    _, card = read_model(tmp_path / "run" / "model.safetensors")
    assert card.provenance["validation_metrics"]["top1"] == result.evaluation.figures["top1"]


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adamw"])
def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(photos: Path, tmp_path: Path, optimizer: str) -> None:
    settings = _settings(photos, optimizer=optimizer)
    train(settings, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path / "stopped", listener=_StopAfter(2))
    resume(tmp_path / "stopped")
    whole, stopped = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "stopped"))
    assert all(torch.equal(whole[name], stopped[name]) for name in whole)
    assert _untimed(tmp_path / "whole") == _untimed(tmp_path / "stopped")


def test_another_seed_is_another_network(photos: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        train(_settings(photos, seed=seed, epochs=1), tmp_path / str(seed))
    first, second = (load_file(tmp_path / str(seed) / "model.safetensors") for seed in (0, 1))
    assert not torch.equal(first["classifier.weight"], second["classifier.weight"])


def test_minutes_end_a_run(photos: Path, tmp_path: Path) -> None:
    train(_settings(photos, epochs=None, minutes=0.01), tmp_path / "run")
    lines = read_metrics(tmp_path / "run" / "metrics.jsonl").lines
    assert lines[-1]["learning_rate"] < 0.03
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert 0.6 <= config["seconds"]["training"] < 2


def test_broken_photos_are_named_and_left_out(photos: Path, tmp_path: Path) -> None:
    (photos / "train" / "dark" / "broken.jpg").write_bytes(b"no photo")
    result = train(_settings(photos, epochs=1), tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert [entry["file"] for entry in config["data"]["left_out"]] == ["dark/broken.jpg"]
    assert config["data"]["train_photos"] == 40
    assert result.evaluation.photos == 12


def test_nothing_is_written_for_a_run_that_cannot_start(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        train(_settings(tmp_path / "nowhere"), tmp_path / "run")
    with pytest.raises(ConfigError, match="there is no device 'cuda:99'"):
        train(_settings(photos, device="cuda:99"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_not_empty_is_left_alone(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="already exists"):
        train(_settings(photos), tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["mine.txt"]


def test_other_photos_cannot_go_on_with_a_run(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(_settings(photos), tmp_path / "run", listener=_StopAfter(1))
    (photos / "train" / "dark" / "0.png").unlink()
    with pytest.raises(ConfigError, match=r"trained on something else: photos removed: 'dark/0.png'; restore it"):
        resume(tmp_path / "run")


def test_a_diverging_loss_ends_the_run_and_says_what_to_try(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(MobilenetError, match="--learning-rate"):
        train(_settings(photos, learning_rate=100.0, epochs=40, warmup_epochs=0), tmp_path / "run")


def test_resume_wants_a_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a run folder"):
        resume(tmp_path)


@pytest.mark.parametrize("text", ["[]", "{}", '{"settings": {}, "command": []}', "no JSON"])
def test_resume_wants_a_run_that_is_not_damaged(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(MobilenetError, match="start a new run"):
        resume(tmp_path)


def test_resume_wants_the_hash_of_the_data(photos: Path, tmp_path: Path) -> None:
    document = {"settings": _settings(photos).to_json(), "command": [], "data": {}}
    (tmp_path / "config.json").write_text(json.dumps(document))
    with pytest.raises(ModelError, match="is damaged: 'hash'"):
        resume(tmp_path)


def test_a_run_goes_on_from_another_folder(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    relative = replace(_settings(Path("photos/train"), epochs=2), validation=Path("photos/validation"))
    with pytest.raises(KeyboardInterrupt):
        train(relative, tmp_path / "run", listener=_StopAfter(1))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    resume(tmp_path / "run")
    _, card = read_model(tmp_path / "run" / "model.safetensors")
    assert card.provenance["data"]["split"] == "given"
    assert str(tmp_path) not in card.to_json()


def test_a_run_goes_on_with_photos_that_have_moved(photos: Path, tmp_path: Path) -> None:
    settings = _settings(photos, epochs=2)
    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path / "run", listener=_StopAfter(1))
    photos.rename(tmp_path / "moved photos")
    with pytest.raises(DataError, match="does not exist"):
        resume(tmp_path / "run")
    resume(tmp_path / "run", photos_of=replace(settings, data=tmp_path / "moved photos"))
    assert json.loads((tmp_path / "run" / "config.json").read_text())["settings"]["data"].endswith("moved photos")
    (tmp_path / "moved photos" / "train" / "dark" / "3.png").unlink()
    with pytest.raises(ConfigError, match=r"photos removed: .*3\.png"):
        resume(tmp_path / "run", photos_of=replace(settings, data=tmp_path / "moved photos"))


def test_names_that_are_no_utf8_and_links_to_nothing_end_no_run(photos: Path, tmp_path: Path) -> None:
    strange = os.fsdecode(b"caf\xe9")
    for split in ("train", "validation"):
        (photos / split / "dark").rename(photos / split / strange)
    (photos / "train" / strange / os.fsdecode(b"\xff.jpg")).write_bytes(b"no photo")
    (photos / "train" / "bright" / "gone.png").symlink_to(tmp_path / "nothing")
    with pytest.raises(KeyboardInterrupt):
        train(_settings(photos, epochs=2), tmp_path / "run", listener=_StopAfter(1))
    resume(tmp_path / "run")
    _, card = read_model(tmp_path / "run" / "model.safetensors")
    assert card.labels == ("bright", strange)


def test_a_place_that_cannot_be_written_is_noticed_before_photos_are_decoded(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="not a directory; choose another location with --out"):
        train(_settings(photos), tmp_path / "file" / "run")
    assert not (tmp_path / "cache").exists()


def test_a_run_killed_while_its_checkpoint_is_written_lacks_no_line(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = Checkpoints.save

    def save_and_stop(*parts: Any) -> None:
        save(*parts)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            train(_settings(photos, epochs=2), tmp_path / "run")
    resume(tmp_path / "run")
    assert [line["epoch"] for line in read_metrics(tmp_path / "run" / "metrics.jsonl").lines] == [1, 2]


def test_run_folders_are_numbered(tmp_path: Path) -> None:
    settings = TrainingSettings(Path("some/photos"))
    first = new_run_folder(settings, tmp_path)
    first.mkdir()
    assert first.name == "photos-mobilenet_v1-0.5-128"
    assert new_run_folder(settings, tmp_path).name == "photos-mobilenet_v1-0.5-128-2"


@pytest.mark.parametrize("aliasing", [0.0, 0.5, 1.0])
def test_a_share_of_the_samples_was_shrunk_as_apps_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, aliasing: float
) -> None:
    """Of stripes, area leaves grey, and the nearest pixels are all white."""
    stripes = np.zeros((96, 96, 3), np.uint8)
    stripes[:, ::2] = 255
    for name in ("one", "other"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(20):
            # The last row tells photos apart.
            stripes[-1] = (number, len(name), 0)
            Image.fromarray(stripes).save(tmp_path / "photos" / name / f"{number}.png")
    seen: list[tuple[int, bool]] = []

    def looked_at(pixels: Tensor, crops: Crops, *others: Any) -> Tensor:
        white = pixels[:, 10, 10, 0] == 255
        assert (white | (pixels[:, 10, 10, 0] == 128)).all()
        seen.extend(zip(crops.method.tolist(), white.tolist(), strict=True))
        return render(pixels, crops, *others)

    monkeypatch.setattr("mobilenet.training.loop.render", looked_at)
    settings = _settings(tmp_path / "photos", epochs=2, augmentation={"aliasing": aliasing})
    train(settings, tmp_path / "run")
    assert {method == 1 for method, _ in seen} == {0.0: {False}, 0.5: {False, True}, 1.0: {True}}[aliasing]
    assert all((method == 1) == white for method, white in seen)
    config = json.loads((tmp_path / "run" / "config.json").read_text("utf-8"))
    assert config["plan"]["augmentation"]["aliasing"] == config["settings"]["augmentation"]["aliasing"] == aliasing


@pytest.mark.parametrize(("consistency", "aliasing"), [(6.0, 0.5), (0.0, 0.5), (6.0, 0.0)])
def test_the_second_half_of_a_run_is_on_twins(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, consistency: float, aliasing: float
) -> None:
    batches: list[Crops] = []

    def looked_at(pixels: Tensor, crops: Crops, *others: Any) -> Tensor:
        batches.append(crops)
        return render(pixels, crops, *others)

    monkeypatch.setattr("mobilenet.training.loop.render", looked_at)
    settings = _settings(photos, epochs=4, augmentation={"aliasing": aliasing}, consistency=consistency)
    train(settings, tmp_path / "run")
    pairs = [len(crops.method) // 4 for crops in batches]
    assert min(pairs) > 0
    paired = [
        bool((crops.box[:count] == crops.box[-count:]).all() and (crops.method[-count:] == 1).all())
        for crops, count in zip(batches, pairs, strict=True)
    ]
    half = len(paired) // 2
    assert paired[:half] == [False] * half
    assert paired[half:] == [bool(consistency and aliasing)] * half


@pytest.mark.parametrize("resolution", [32, 96])
def test_fine_tuning_with_rounding_decodes_nothing_again(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resolution: int
) -> None:
    settings = _settings(photos, resolution=resolution, epochs=1)
    train(settings, tmp_path / "run")
    decoded: list[object] = []

    def counted(source: bytes, *arguments: Any) -> Any:
        decoded.append(source)
        return to_squares(source, *arguments)

    monkeypatch.setattr("mobilenet.datasets.cache.load.to_squares", counted)
    seen = training_photos(open_dataset(photos).train, settings.preprocessing)
    assert len(seen) == 40
    assert not decoded


def test_so_much_is_held_out(photos: Path, tmp_path: Path) -> None:
    settings = _settings(photos / "train", epochs=1, validation_fraction=0.3)
    train(settings, tmp_path / "run")
    data = json.loads((tmp_path / "run" / "config.json").read_text("utf-8"))["data"]
    assert (data["train_photos"], data["validation_photos"]) == (28, 12)
    assert Evaluation.read(tmp_path / "run" / "evaluation.json").photos == 12
    with pytest.raises(ConfigError, match=r"validation fraction 1 is out of range; use 0\.001 to 0\.9"):
        replace(settings, validation_fraction=1)
