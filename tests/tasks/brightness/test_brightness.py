"""A task that the package does not know goes through every command: nothing outside its folder was made for it."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mobilenet.benchmark.device.grid import GridSettings, measure_grid
from mobilenet.model.arrays import read_arrays

Run = Callable[..., str]

_TRAINING = (
    "--width",
    "0.25",
    "--resolution",
    "64",
    "--no-colour",
    "--crop-area",
    "1",
    "--device",
    "cpu",
    "--precision",
    "float32",
)


@pytest.fixture(scope="module")
def run(brightness: None, light_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mobilenet.cli.main import main

    folder = tmp_path_factory.mktemp("runs") / "run"
    words = ["train", light_data, *_TRAINING, "--epochs", "16", "--batch-size", "16", "--out", folder]
    assert main([str(word) for word in words]) == 0
    return folder


def test_its_data_are_checked(light_data: Path, mobilenet: Run) -> None:
    found = json.loads(mobilenet("check", light_data, "--json"))
    assert (found["photos"], found["classes"]) == (400, [])


def test_a_run_goes_through_every_command(run: Path, light_data: Path, mobilenet: Run, tmp_path: Path) -> None:
    evaluation = json.loads((run / "evaluation.json").read_text())
    assert evaluation["task"] == "brightness"
    assert evaluation["photos"] == 40
    assert evaluation["found"] > 0.8
    last = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()][-1]
    assert {"train_loss", "train_quadrant", "validation_loss", "found"} <= last.keys()
    again = json.loads(mobilenet("evaluate", run, light_data, "--json"))
    assert again["found"] == evaluation["found"]
    assert "Light" in mobilenet("evaluate", run, light_data)
    (answer,) = json.loads(mobilenet("predict", run, light_data.parent / "006.png", "--json"))
    assert answer["quadrant"] == "bottom left"
    assert "darkest bottom left" in mobilenet("predict", run, light_data.parent / "006.png")
    assert "Mean error" in Path(mobilenet("report", run).strip()).read_text()


def test_one_of_its_outputs_has_a_temperature(
    run: Path, light_data: Path, mobilenet: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from brightness.task import Brightness
    from mobilenet.tasks.task import Temperatures

    for name in ("none", "again", "refused"):
        shutil.copytree(run, tmp_path / name)
    card, warm = read_arrays(run / "model.safetensors")
    assert card.temperatures == {"quadrant": 2.0}
    assert json.loads((run / "evaluation.json").read_text())["warmth"] == 2.0
    # Checkpoints hold the network without it: a run that finishes again gets it once.
    mobilenet("train", "--resume", tmp_path / "again")
    assert read_arrays(tmp_path / "again" / "model.safetensors")[0].temperatures == card.temperatures
    assert (tmp_path / "again" / "evaluation.json").read_text() == (run / "evaluation.json").read_text()
    with monkeypatch.context() as patch:
        patch.setattr(Brightness, "temperatures", lambda *_: Temperatures())
        mobilenet("train", "--resume", tmp_path / "none")
    plain_card, plain = read_arrays(tmp_path / "none" / "model.safetensors")
    assert plain_card.temperatures == {}
    for name, values in plain.items():
        assert np.array_equal(warm[name] * (2 if name.startswith("light.quadrant.") else 1), values), name
    with monkeypatch.context() as patch:
        patch.setattr(Brightness, "agreement", lambda *_: 0.975)
        mobilenet("train", "--resume", tmp_path / "refused")
    assert read_arrays(tmp_path / "refused" / "model.safetensors")[0].temperatures == {}
    assert "warmth" not in json.loads((tmp_path / "refused" / "evaluation.json").read_text())


def test_every_exported_file_is_proven_and_measured(
    run: Path, light_data: Path, mobilenet: Run, tmp_path: Path
) -> None:
    # The export of so small a network ends with 1 where a device gains nothing by 8 bits.
    found = json.loads(mobilenet("export", run, "--out", tmp_path / "files", "--json", exit_code=None))
    slow = {"faster than float32"}
    for file in found["files"]:
        gates = {gate["name"]: gate["passed"] for gate in file["gates"]}
        assert {name for name, passed in gates.items() if not passed} <= slow, (file["file"], file["gates"])
        assert "same quadrant" in gates
        if file["precision"] == "float32":
            assert {"brightness", "quadrant"} <= gates.keys()
    assert len(found["files"]) == 4
    files = [file["file"] for file in found["files"]]
    for file in files:
        (answer,) = json.loads(mobilenet("predict", file, light_data.parent / "007.png", "--json"))
        assert answer["quadrant"] == "bottom right"
    timed = json.loads(mobilenet("benchmark", *files, "--seconds", "0.1", "--json"))
    assert all(timing["p50_ms"] > 0 for timing in timed["timings"])


def test_a_stopped_run_resumes_to_the_same_bits(light_data: Path, tmp_path: Path) -> None:
    from mobilenet.errors import Interrupted
    from mobilenet.training.run import resume, train
    from mobilenet.training.settings import TrainingSettings
    from mobilenet.training.tracking.listener import Silence

    class Stop(Silence):
        def stepping(self, done: int, total: int) -> None:
            if done == total // 2:
                os.kill(os.getpid(), signal.SIGINT)

    settings = TrainingSettings(
        light_data, width_multiplier=0.25, resolution=32, epochs=2, device="cpu", precision="float32"
    )
    train(settings, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(settings, tmp_path / "stopped", listener=Stop())
    resume(tmp_path / "stopped")
    whole, stopped = (read_arrays(tmp_path / name / "model.safetensors")[1] for name in ("whole", "stopped"))
    assert whole.keys() == stopped.keys()
    assert all(np.array_equal(values, stopped[name]) for name, values in whole.items())


def test_a_budget_becomes_a_proven_file(
    light_data: Path, tmp_path: Path, mobilenet: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mobilenet.search.trial.proving._SECONDS", 0.2)
    grid = GridSettings(widths=(0.25, 0.375), resolutions=(32, 64), runtimes=("litert",), seconds=0.1)
    measure_grid(grid).write(tmp_path / "device.json")
    words = ("--device", tmp_path / "device.json", "--runtime", "litert", "--size", "400kB", "--epochs", "14")
    mobilenet("fit", light_data, *words, "--out", tmp_path / "fit")
    found = json.loads((tmp_path / "fit" / "fit.json").read_text())
    # Width 0.375 takes more than 400 kB; at both resolutions the quadrant can be learned.
    assert (found["winner"]["width_multiplier"], found["chosen"]["accuracy"]) == (0.25, 1)
    (answer,) = json.loads(mobilenet("predict", found["model"], light_data.parent / "007.png", "--json"))
    assert answer["quadrant"] == "bottom right"


def test_fine_tuning_takes_crops_of_the_only_resolution_that_fits(
    run: Path, light_data: Path, tmp_path: Path, mobilenet: Run
) -> None:
    words = ("train", light_data, "--weights", run, "--epochs", "1", "--device", "cpu")
    mobilenet(*words, "--out", tmp_path / "tuned")
    plan = json.loads((tmp_path / "tuned" / "config.json").read_text())["plan"]
    assert plan["training_resolution"] == 64
    mobilenet(*words, "--training-resolution", "32", "--out", tmp_path / "other", exit_code=2)
