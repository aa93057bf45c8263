"""The demo runs the commands that it prints, and nothing else."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from mobilenet import tasks
from mobilenet.cli import main as main_module
from mobilenet.cli.main import main
from mobilenet.evaluate import Evaluation
from mobilenet.tasks.classification import Classification

_SHELL = "from mobilenet.cli.main import main; raise SystemExit(main())"
_README = Path(__file__).parents[2] / "README.md"
_QUICK = ("--scenes", "20", "--epochs", "1")

_FOUND = {
    "limits": {"latency_ms": 2.0},
    "winner": {"width_multiplier": 0.25, "resolution": 96},
    "chosen": {
        "accuracy": 0.9375,
        "precision": "int8",
        "p95_ms": 0.1634,
        "size_bytes": 260_123,
        "proof": {"photos": 1000},
    },
}
"""What a search writes, as far as the demo shows it."""


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What the demo asks for, in order; a search only writes what it would have found."""
    asked: list[list[str]] = []

    def record(words: tuple[str, ...]) -> int:
        asked.append(list(words))
        if words[0] == "fit":
            folder = Path(words[-1])
            folder.mkdir()
            found = {**_FOUND, "model": str(folder / "model.tflite")}
            (folder / "fit.json").write_text(json.dumps(found))
        return 0

    monkeypatch.setattr(main_module, "main", record)
    return asked


def test_it_runs_what_it_prints(commands: list[list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "my demo"
    assert main(["demo", "--out", str(out), "--seed", "3", "--latency", "4ms", *_QUICK]) == 0
    printed = capsys.readouterr().out
    lines = [line.removeprefix("$ mobilenet ") for line in printed.splitlines() if line.startswith("$ ")]
    assert [shlex.split(line) for line in lines] == commands
    assert [words[0] for words in commands] == ["fit", "predict"]
    assert commands[0][1:4] == [str(out / "scenes"), "--latency", "4ms"]
    assert commands[0][-6:] == ["--epochs", "1", "--seed", "3", "--out", str(out / "fit")]
    assert commands[1][1] == str(out / "fit" / "model.tflite")
    assert json.loads((out / "scenes" / "scenes.json").read_text("utf-8"))["seed"] == 3
    assert all(Path(word).is_file() for word in commands[1][2:5])
    assert "drew 30 scenes" in printed


def test_scenes_that_are_alike_are_found_by_vectors(commands: list[list[str]], tmp_path: Path) -> None:
    assert main(["demo", "--out", str(tmp_path), "--task", "embedding", *_QUICK]) == 0
    fit, similar = commands
    assert fit[:4] == ["fit", str(tmp_path / "scenes"), "--task", "embedding"]
    assert similar[0] == "similar"
    assert Path(similar[-3]) == tmp_path / "scenes" / "train"


@pytest.mark.usefixtures("commands")
def test_the_readme_shows_what_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--scenes", "20"]) == 0
    ran = [line for line in capsys.readouterr().out.splitlines() if line.startswith("$ ")]
    shown = [line for line in _README.read_text("utf-8").splitlines() if line.startswith("$ ")]
    assert ran == shown


def test_the_scenes_know_their_attributes(
    commands: list[list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--out", str(tmp_path), "--task", "attributes", *_QUICK]) == 0
    assert Path(commands[0][1]).name == "attributes.csv"
    assert Path(commands[0][1]).is_file()
    assert "  mean AP  93.8% on 1,000 validation scenes" in capsys.readouterr().out.splitlines()


@pytest.mark.usefixtures("commands")
def test_it_ends_with_the_figures_of_the_file_and_the_path_of_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--out", str(tmp_path), *_QUICK]) == 0
    *_, top1, latency, size, scenes, model, report = capsys.readouterr().out.splitlines()
    assert top1 == "  top-1    93.8% on 1,000 validation scenes"
    assert latency == "  latency  0.163 ms at p95, the budget is 2 ms"
    assert size == "  size     260,123 bytes"
    assert scenes.split() == ["scenes", str(tmp_path / "scenes")]
    assert model.split() == ["model", str(tmp_path / "fit" / "model.tflite")]
    assert report.split() == ["report", str(tmp_path / "fit" / "report.html")]


def test_scenes_are_used_again_and_searches_are_kept(
    commands: list[list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--out", str(tmp_path), *_QUICK]) == 0
    assert main(["demo", "--out", str(tmp_path), *_QUICK]) == 0
    assert "found 30 scenes" in capsys.readouterr().out
    assert commands[-2][-1] == str(tmp_path / "fit-2")
    assert commands[-1][1] == str(tmp_path / "fit-2" / "model.tflite")


@pytest.mark.parametrize("exit_code", [1, 130])
def test_a_command_that_fails_ends_the_demo_with_its_exit_code(
    exit_code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []

    def fail(words: tuple[str, ...]) -> int:
        asked.append(words[0])
        return exit_code

    monkeypatch.setattr(main_module, "main", fail)
    assert main(["demo", "--out", str(tmp_path), *_QUICK]) == exit_code
    assert asked == ["fit"]


def test_a_folder_with_other_things_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "scenes").mkdir()
    (tmp_path / "scenes" / "mine.txt").touch()
    assert main(["demo", "--out", str(tmp_path), *_QUICK]) == 2
    assert capsys.readouterr().err.endswith("exists and contains something else; choose another folder or remove it\n")


def test_several_objects_are_learned_by_training(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[list[str]] = []

    def record(words: tuple[str, ...]) -> int:
        asked.append(list(words))
        if words[0] == "train":
            folder = Path(words[-1])
            folder.mkdir()
            (folder / "model.safetensors").write_bytes(b"12345")
            evaluation = Evaluation("detection", 10, {"ap": 0.5432, "ap50": 0.875, "loss": 0.4568})
            evaluation.write(folder / "evaluation.json")
        return 0

    monkeypatch.setattr(main_module, "main", record)
    assert main(["demo", "--out", str(tmp_path), "--task", "detection", *_QUICK]) == 0
    train, predict = asked
    scenes, run = tmp_path / "scenes-several", tmp_path / "run"
    assert train[:2] == ["train", str(scenes)]
    assert "--weights" not in train
    assert train[-6:] == ["--epochs", "1", "--seed", "0", "--out", str(run)]
    assert predict[:2] == ["predict", str(run)]
    assert all(Path(photo).is_file() for photo in predict[2:5])
    assert predict[-2:] == ["--save", f"drawn={run / 'drawn'}"]
    assert capsys.readouterr().out.splitlines()[-7:] == [
        "  AP       54.3% on 10 validation scenes",
        "  AP50     87.5% on 10 validation scenes",
        "  size     5 bytes",
        f"  scenes   {scenes}",
        f"  model    {run / 'model.safetensors'}",
        f"  drawn    {run / 'drawn'}",
        f"  report   {run / 'report.html'}",
    ]


class _Places(Classification):
    """A task of places, as far as the demo asks one."""

    scenes = "land"

    def recognises(self, data: Path) -> bool:
        return data.name == "places.csv"


def test_places_get_views_from_above_and_a_map(
    commands: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tasks, "TASKS", {"places": _Places(), **tasks.TASKS})
    assert main(["demo", "--out", str(tmp_path), "--task", "places", *_QUICK]) == 0
    fit, predict = commands
    scenes, page = tmp_path / "scenes-land", tmp_path / "fit" / "places.html"
    assert fit[:4] == ["fit", str(scenes / "places.csv"), "--latency", "2ms"]
    assert predict[:2] == ["predict", str(tmp_path / "fit" / "model.tflite")]
    assert [Path(photo).parent for photo in predict[2:5]] == [scenes / "validation"] * 3
    assert all(Path(photo).is_file() for photo in predict[2:5])
    assert predict[5:] == ["--html", str(page)]
    assert f"  page     {page}" in capsys.readouterr().out.splitlines()


def test_a_demo_without_a_budget_refuses_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--out", str(tmp_path), "--task", "detection", "--latency", "2ms"]) == 2
    message = "the demo of detection has no budget; leave out --latency (see mobilenet demo --help)"
    assert capsys.readouterr().err == f"mobilenet: {message}\n"
    assert not list(tmp_path.iterdir())


def test_the_whole_demo(tmp_path: Path) -> None:
    """In a process of its own, as from a shell: stdout is one JSON document, and what it names is there. The budget is
    one that any machine keeps, however busy."""
    command = [sys.executable, "-c", _SHELL, "demo", "--out", "demo", "--json", "--latency", "1s", *_QUICK]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["validation_photos"] == 10
    assert 0 <= document["top1"] <= 1
    assert 0 < document["p95_ms"] <= document["latency_limit_ms"] == 1000
    assert document["model"] == "demo/fit/model.tflite"
    assert (tmp_path / document["model"]).stat().st_size == document["size_bytes"]
    assert (tmp_path / document["report"]).stat().st_size > 1000
    assert "$ mobilenet fit demo/scenes --latency 1s" in done.stderr
    assert "$ mobilenet predict demo/fit/model.tflite demo/scenes/validation/fish/" in done.stderr
