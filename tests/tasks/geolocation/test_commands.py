"""The task through the commands: checked, trained, measured, predicted, packed, exported, proven, resumed, taught."""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.tasks.geolocation.conftest import PLACES, write_places

from mobilenet.errors import Interrupted
from mobilenet.images import Preprocessing
from mobilenet.metrics.geodesic import distance_km
from mobilenet.model.arrays import read_arrays
from mobilenet.model.card import ModelCard
from mobilenet.nn.model_file import write_model
from mobilenet.nn.network import TableNetwork
from mobilenet.spec.rows import ConvStyle
from mobilenet.tasks.geolocation import cells
from mobilenet.training.run import resume, train
from mobilenet.training.settings import TrainingSettings
from mobilenet.training.teacher.settings import Teaching
from mobilenet.training.tracking.listener import Silence

Run = Callable[..., str]

_FITTED: dict[str, Any] = {
    "width_multiplier": 0.25,
    "resolution": 32,
    "epochs": None,
    "validation_fraction": 0.25,
    "device": "cpu",
    "precision": "float32",
    "task_options": (("max_photos", "40"),),
}

_QUICK: dict[str, Any] = {
    "width_multiplier": 0.1,
    "resolution": 32,
    "batch_size": 16,
    "device": "cpu",
    "precision": "float32",
}


@pytest.fixture(scope="module")
def run(places: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A linear classifier on the features of random weights, which are enough to tell colours apart."""
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("runs")
    style = ConvStyle("tensorflow", "relu6", 1e-3, batch_norm=False)
    body = ModelCard("mobilenet_v1", 0.25, 32, ("a", "b"), Preprocessing(32), style, task="classification")
    write_model(folder / "random.safetensors", TableNetwork(body.network()), body)
    settings = TrainingSettings(places, weights=str(folder / "random.safetensors"), freeze="backbone", **_FITTED)
    train(settings, folder / "run")
    return folder / "run"


def _photo(places: Path, place: int) -> Path:
    return places.parent / f"{place}-003.png"


def test_a_run_learns_where_photos_are_from(run: Path, places: Path, mobilenet: Run) -> None:
    evaluation = json.loads((run / "evaluation.json").read_text())
    assert evaluation["task"] == "geolocation"
    assert evaluation["within_750"] > 0.9
    assert evaluation["median_km"] < 300
    assert evaluation["constant"]["within"][3]["share"] < 0.5
    assert [row["stated"] for row in evaluation["radii"]] == [0.5, 0.9]
    card, _ = read_arrays(run / "model.safetensors")
    assert card.outputs[0].shape == (len(card.labels),)
    assert len(card.decoding["radius_factors"]) == 2
    again = json.loads(mobilenet("evaluate", run, places, "--json"))
    assert again["mean_within"] == evaluation["mean_within"]
    printed = mobilenet("evaluate", run, places)
    assert "Accuracy by distance" in printed
    assert "most frequent place always" in printed
    page = Path(mobilenet("report", run).strip()).read_text()
    assert "darker for larger errors" in page


def test_a_photo_is_placed(run: Path, places: Path, mobilenet: Run, tmp_path: Path) -> None:
    file, page = tmp_path / "answers.geojson", tmp_path / "page.html"
    words = ("predict", run, *(_photo(places, place) for place in range(4)))
    found = json.loads(mobilenet(*words, "--json", "--save", f"geojson={file}", "--html", page))
    for answer, place in zip(found, PLACES, strict=True):
        said = np.array([answer["latitude"], answer["longitude"]])
        assert float(distance_km(said, np.array(place))) < 500
        assert answer["radius_km"]["50"] <= answer["radius_km"]["90"]
        assert len(answer["cells"]) == 5
    assert len(json.loads(file.read_text())["features"]) == 12
    assert "likeliest cells" in page.read_text()
    assert "° S, " in mobilenet("predict", run, _photo(places, 3))


def test_prediction_needs_no_library_for_cells(
    run: Path, places: Path, mobilenet: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = mobilenet("predict", run, _photo(places, 0), "--json")
    evaluated = mobilenet("evaluate", run, places, "--json")
    monkeypatch.setitem(sys.modules, "s2geometry", None)
    monkeypatch.setattr(cells, "find_spec", lambda _name: None)
    assert mobilenet("predict", run, _photo(places, 0), "--json") == wanted
    assert mobilenet("evaluate", run, places, "--json") == evaluated
    assert "Accuracy by distance" in mobilenet("evaluate", run, places)
    line = mobilenet("check", places, exit_code=None, stderr=True)
    assert "needs s2geometry; pip install 'mobilenet[places]'" in line


def test_data_are_checked(places: Path, mobilenet: Run) -> None:
    found = json.loads(mobilenet("check", places, "--json", exit_code=None))
    assert found["photos"] == 120
    assert sum(row["train"] + row["validation"] for row in found["classes"]) == 120


def test_shards_hold_places(places: Path, run: Path, mobilenet: Run, tmp_path: Path) -> None:
    mobilenet("pack", places, "--out", tmp_path / "packed")
    found = json.loads(mobilenet("evaluate", run, tmp_path / "packed", "--json"))
    again = json.loads(mobilenet("evaluate", run, places, "--json"))
    assert found["mean_within"] == again["mean_within"]


def test_every_file_answers_the_same(run: Path, places: Path, mobilenet: Run, tmp_path: Path) -> None:
    found = json.loads(mobilenet("export", run, "--out", tmp_path, "--json", exit_code=None))
    may_fail = {"faster than float32", "mean accuracy from 1 to 2,500 km", "agreement of places"}
    wanted = json.loads(mobilenet("predict", run, _photo(places, 1), "--json"))[0]
    for file in found["files"]:
        gates = {gate["name"]: gate["passed"] for gate in file["gates"]}
        assert "agreement of places" in gates
        allowed = may_fail if file["precision"] == "int8" else set()
        assert {name for name, passed in gates.items() if not passed} <= allowed, (file["file"], file["gates"])
        said = json.loads(mobilenet("predict", file["file"], _photo(places, 1), "--json"))[0]
        apart = distance_km(*(np.array([one["latitude"], one["longitude"]]) for one in (said, wanted)))
        # Decimals of the answers are to a metre; 8 bits are a share of the radius.
        assert apart < (0.02 if file["precision"] == "float32" else wanted["radius_km"]["90"])
        assert said["cells"][0]["cell"] == wanted["cells"][0]["cell"] or file["precision"] == "int8"


class _Stop(Silence):
    """Interrupts in the middle of the second epoch."""

    def __init__(self) -> None:
        self.steps = 0

    def stepping(self, done: int, total: int) -> None:
        self.steps += 1
        if self.steps == total + total // 2:
            os.kill(os.getpid(), signal.SIGINT)


def test_a_stopped_run_resumes_to_the_same_bits(places: Path, tmp_path: Path) -> None:
    settings = TrainingSettings(places, epochs=2, task_options=(("smoothing", "1"),), **_QUICK)
    train(settings, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(settings, tmp_path / "stopped", listener=_Stop())
    resume(tmp_path / "stopped")
    whole, stopped = (read_arrays(tmp_path / name / "model.safetensors")[1] for name in ("whole", "stopped"))
    assert all(np.array_equal(values, stopped[name]) for name, values in whole.items())


def test_a_student_learns_from_photos_that_say_nothing(run: Path, places: Path, tmp_path: Path) -> None:
    """It has the cells of its teacher, and says where they are."""
    pool = tmp_path / "pool"
    pool.mkdir()
    for photo in places.parent.glob("*.png"):
        shutil.copy(photo, pool)
    settings = TrainingSettings(pool, epochs=3, teacher=Teaching(run, views=1), **_QUICK)
    train(settings, tmp_path / "student")
    student, teacher = (read_arrays(folder / "model.safetensors")[0] for folder in (tmp_path / "student", run))
    assert (student.task, student.labels) == ("geolocation", teacher.labels)
    assert student.decoding["centres"] == teacher.decoding["centres"]
    lines = [json.loads(line) for line in (tmp_path / "student" / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["train_loss"] < lines[0]["train_loss"]


def test_a_model_is_measured_on_unseen_places(run: Path, mobilenet: Run, tmp_path: Path) -> None:
    unseen = write_places(tmp_path / "unseen", 6, first=100)
    found = json.loads(mobilenet("evaluate", run, unseen, "--json"))
    assert found["photos"] == 24
    assert found["within_750"] > 0.8
