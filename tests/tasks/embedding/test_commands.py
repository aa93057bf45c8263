"""The task through the commands: trained, measured, exported and proven, resumed, taught."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.tasks.embedding.mosaics import write_mosaics

from mobilenet.errors import ConfigError, Interrupted
from mobilenet.model.arrays import read_arrays
from mobilenet.runtimes.predictor import open_model
from mobilenet.training.run import resume, train
from mobilenet.training.settings import TrainingSettings
from mobilenet.training.teacher.settings import Teaching
from mobilenet.training.tracking.listener import Silence

Run = Callable[..., str]

_QUICK: dict[str, Any] = {
    "width_multiplier": 0.1,
    "resolution": 32,
    "batch_size": 8,
    "device": "cpu",
    "precision": "float32",
    "task": "embedding",
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four classes, 12 photos of each to train on and 4 to validate."""
    root = tmp_path_factory.mktemp("split")
    write_mosaics(root / "train", 4, 16)
    for folder in sorted((root / "train").iterdir()):
        (root / "val" / folder.name).mkdir(parents=True)
        for photo in sorted(folder.iterdir())[-4:]:
            shutil.move(photo, root / "val" / folder.name)
    return root


@pytest.fixture(scope="module")
def run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    options = (("dimensions", "16"), ("false_accept_rate", "0.1"))
    train(TrainingSettings(photos, epochs=3, task_options=options, **_QUICK), folder)
    return folder


def test_a_run_learns_and_keeps_what_it_fitted(run: Path, photos: Path, mobilenet: Run) -> None:
    evaluation = json.loads((run / "evaluation.json").read_text())
    assert (evaluation["task"], evaluation["photos"], evaluation["queries"]) == ("embedding", 16, 16)
    card, arrays = read_arrays(run / "model.safetensors")
    assert (card.labels, card.outputs[0].shape, card.outputs[0].ending) == ((), (16,), "l2")
    assert card.decoding["dimensions"] == 16
    assert card.decoding["threshold"] == evaluation["threshold"]["value"]
    assert not [name for name in arrays if "centre" in name]
    last = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()][-1]
    assert last["train_loss"] < 15
    assert {"train_loss", "train_recall_at_1", "validation_loss", "recall_at_1", "map_at_r"} <= last.keys()
    again = json.loads(mobilenet("evaluate", run, photos, "--json"))
    assert again["recall_at_1"] == evaluation["recall_at_1"]
    assert again["verification"]["at_threshold"]["threshold"] == card.decoding["threshold"]
    assert "Recall by class" in mobilenet("evaluate", run, photos)
    (answer,) = json.loads(mobilenet("predict", run, photos / "val" / "kind0" / "15.png", "--json"))
    assert np.linalg.norm(answer["vector"]) == pytest.approx(1, abs=1e-6)
    assert "vector of 16 numbers" in mobilenet("predict", run, photos / "val" / "kind0" / "15.png")
    page = Path(mobilenet("report", run).strip()).read_text()
    assert "Recall by class" in page
    assert "At the threshold of the model file" in page


def test_data_are_checked(photos: Path, mobilenet: Run) -> None:
    found = json.loads(mobilenet("check", photos, "--task", "embedding", "--json", exit_code=None))
    assert (found["photos"], found["classes"]) == (64, [])
    assert mobilenet("check", photos, "--task", "embedding", exit_code=None).startswith("64 files; split given: val/\n")


def test_every_file_gives_the_same_vectors(run: Path, photos: Path, mobilenet: Run, tmp_path: Path) -> None:
    found = json.loads(mobilenet("export", run, "--out", tmp_path, "--json", exit_code=None))
    may_fail = {"faster than float32", "recall at 1"}
    for file in found["files"]:
        gates = {gate["name"]: gate["passed"] for gate in file["gates"]}
        assert "same photo nearest" in gates
        allowed = may_fail if file["precision"] == "int8" else set()
        assert {name for name, passed in gates.items() if not passed} <= allowed, (file["file"], file["gates"])
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    wanted = open_model(run).predict(images)["embedding"]
    for file in found["files"]:
        vectors = open_model(Path(file["file"])).predict(images)["embedding"]
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(4), abs=1e-5)
        if file["precision"] == "float32":
            # A tenth of what users are promised.
            assert np.abs(vectors - wanted).max() < 1e-5


class _Stop(Silence):
    """Interrupts in the middle of the second epoch."""

    def __init__(self) -> None:
        self.steps = 0

    def stepping(self, done: int, total: int) -> None:
        self.steps += 1
        if self.steps == total + total // 2:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("loss", ["arcface", "contrastive"])
def test_a_stopped_run_resumes_to_the_same_bits(photos: Path, tmp_path: Path, loss: str) -> None:
    settings = TrainingSettings(photos, epochs=2, task_options=(("loss", loss),), **_QUICK)
    train(settings, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(settings, tmp_path / "stopped", listener=_Stop())
    resume(tmp_path / "stopped")
    whole, stopped = (read_arrays(tmp_path / name / "model.safetensors")[1] for name in ("whole", "stopped"))
    assert whole.keys() == stopped.keys()
    assert all(np.array_equal(values, stopped[name]) for name, values in whole.items())


def test_a_student_copies_the_vectors_of_its_teacher(run: Path, photos: Path, tmp_path: Path) -> None:
    """Without labels, it has the teacher's length of vectors and its threshold."""
    pool = tmp_path / "pool"
    pool.mkdir()
    for photo in (photos / "train").rglob("*.png"):
        shutil.copy(photo, pool / f"{photo.parent.name}-{photo.name}")
    settings = replace(TrainingSettings(pool, epochs=10, **_QUICK), teacher=Teaching(run, views=1), task=None)
    train(settings, tmp_path / "copy")
    evaluation = json.loads((tmp_path / "copy" / "evaluation.json").read_text())
    assert evaluation["task"] == "embedding"
    lines = [json.loads(line) for line in (tmp_path / "copy" / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["validation_loss"] < 0.5 * lines[0]["validation_loss"]
    card, teacher = (read_arrays(folder / "model.safetensors")[0] for folder in (tmp_path / "copy", run))
    assert card.decoding == teacher.decoding
    assert card.outputs == teacher.outputs


def test_a_student_with_labels_has_the_length_of_its_teacher(run: Path, photos: Path, tmp_path: Path) -> None:
    settings = TrainingSettings(photos, epochs=1, teacher=Teaching(run, weight=0.5, views=1), **_QUICK)
    train(settings, tmp_path / "mixed")
    assert read_arrays(tmp_path / "mixed" / "model.safetensors")[0].outputs[0].shape == (16,)


def test_a_student_of_another_length_is_refused(run: Path, photos: Path, tmp_path: Path) -> None:
    """With labels and without, and whether it is a projection or the features."""
    pool = tmp_path / "pool"
    pool.mkdir()
    for photo in (photos / "train").rglob("*.png"):
        shutil.copy(photo, pool / f"{photo.parent.name}-{photo.name}")
    for data in (photos, pool):
        for dimensions, found in (("8", 8), ("0", 102)):
            options = (("dimensions", dimensions),)
            settings = TrainingSettings(data, epochs=1, teacher=Teaching(run, views=1), task_options=options, **_QUICK)
            words = rf"the teacher .*run gives vectors of 16 numbers, and the student of {found}; train the student "
            with pytest.raises(ConfigError, match=f"{words}with 16, or use another teacher"):
                train(settings, tmp_path / "other")


def test_the_features_of_a_teacher_may_be_copied_at_any_width(photos: Path, tmp_path: Path) -> None:
    features = TrainingSettings(photos, epochs=1, task_options=(("dimensions", "0"),), **_QUICK)
    train(features, tmp_path / "features")
    size = read_arrays(tmp_path / "features" / "model.safetensors")[0].outputs[0].size
    settings = replace(features, width_multiplier=0.25, teacher=Teaching(tmp_path / "features", views=1))
    train(replace(settings, task_options=(("dimensions", str(size)),)), tmp_path / "wide")
    assert read_arrays(tmp_path / "wide" / "model.safetensors")[0].outputs[0].size == size


def test_pairs_are_evaluated(run: Path, photos: Path, tmp_path: Path, mobilenet: Run) -> None:
    val = photos / "val"
    lines = ["first,second,same"]
    lines += [
        f"{val}/kind0/{a:02d}.png,{val}/kind{b}/{c:02d}.png,{int(b == 0)}" for a, b, c in ((12, 0, 13), (12, 1, 13))
    ]
    (tmp_path / "pairs.csv").write_text("\n".join([*lines, f"{val}/kind0/12.png,gone.png,1"]))
    found = json.loads(mobilenet("evaluate", run, tmp_path / "pairs.csv", "--json"))
    assert (found["verification"]["same_pairs"], found["verification"]["different_pairs"]) == (1, 1)
    assert [photo["file"] for photo in found["left_out"]] == ["gone.png"]
    printed = mobilenet("evaluate", run, tmp_path / "pairs.csv")
    assert "True accepts by false-accept rate, 1 same and 1 different pairs" in printed
    assert "Recall" not in printed
