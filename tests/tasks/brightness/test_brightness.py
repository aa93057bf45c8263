"""A task that the package does not know goes through every command: nothing outside its folder was made for it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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


@pytest.fixture
def run(light_data: Path, tmp_path: Path, mobilenet: Run) -> Path:
    mobilenet("train", light_data, *_TRAINING, "--epochs", "16", "--batch-size", "8", "--out", tmp_path / "run")
    return tmp_path / "run"


def test_its_data_are_checked(light_data: Path, mobilenet: Run) -> None:
    found = json.loads(mobilenet("check", light_data, "--json"))
    assert (found["photos"], found["classes"]) == (160, [])


def test_a_run_goes_through_every_command(run: Path, light_data: Path, mobilenet: Run, tmp_path: Path) -> None:
    evaluation = json.loads((run / "evaluation.json").read_text())
    assert evaluation["task"] == "brightness"
    assert evaluation["photos"] == 16
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


def test_every_exported_file_is_proven_and_measured(
    run: Path, light_data: Path, mobilenet: Run, tmp_path: Path
) -> None:
    _, printed = _any_code(mobilenet, "export", run, "--out", tmp_path / "files", "--json")
    found = json.loads(printed)
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


def _any_code(mobilenet: Run, *words: object) -> tuple[int, str]:
    """Where a device gains nothing by 8 bits, the export of so small a network ends with 1."""
    try:
        return 0, mobilenet(*words)
    except AssertionError:
        return 1, mobilenet(*words, exit_code=1)


def test_a_stopped_run_resumes_to_the_same_bits(light_data: Path, tmp_path: Path, mobilenet: Run) -> None:
    from mobilenet.errors import Interrupted
    from mobilenet.training.run import resume, train
    from mobilenet.training.settings import TrainingSettings
    from mobilenet.training.tracking.listener import Silence

    class Stop(Silence):
        def epoch(self, line: dict[str, Any]) -> None:
            if line["epoch"] == 2:
                raise Interrupted(2)

    settings = TrainingSettings(
        light_data, width_multiplier=0.25, resolution=64, epochs=4, device="cpu", precision="float32"
    )
    train(settings, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(settings, tmp_path / "stopped", listener=Stop())
    resume(tmp_path / "stopped")
    whole, stopped = (json.loads((tmp_path / name / "evaluation.json").read_text()) for name in ("whole", "stopped"))
    assert whole == stopped
    weights = [(tmp_path / name / "model.safetensors").read_bytes()[-10_000:] for name in ("whole", "stopped")]
    assert weights[0] == weights[1]


def test_a_budget_becomes_a_proven_file(light_data: Path, tmp_path: Path, mobilenet: Run) -> None:
    mobilenet(
        "fit",
        light_data,
        "--size",
        "1MB",
        "--epochs",
        "8",
        "--out",
        tmp_path / "fit",
        "--no-colour",
        "--crop-area",
        "1",
    )
    found = json.loads((tmp_path / "fit" / "fit.json").read_text())
    assert found["chosen"]["accuracy"] > 0.5
