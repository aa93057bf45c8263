"""The demo runs the commands that it prints, and nothing else."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from mobilenet.cli import main as main_module
from mobilenet.cli.main import main

_SHELL = "from mobilenet.cli.main import main; raise SystemExit(main())"
_QUICK = ("--scenes", "20", "--minutes", "0.01")


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What the demo asks for, in order; nothing of it is run."""
    asked: list[list[str]] = []

    def record(words: tuple[str, ...]) -> int:
        asked.append(list(words))
        return 0

    monkeypatch.setattr(main_module, "main", record)
    return asked


def test_it_runs_what_it_prints(commands: list[list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "my demo"
    assert main(["demo", "--out", str(out), "--seed", "3", *_QUICK]) == 0
    printed = capsys.readouterr().out
    lines = [line.removeprefix("$ mobilenet ") for line in printed.splitlines() if line.startswith("$ ")]
    assert [shlex.split(line) for line in lines] == commands
    assert [words[0] for words in commands] == ["train", "evaluate", "predict", "report"]
    assert commands[0][1] == str(out / "scenes")
    assert commands[0][-2:] == ["--out", str(out / "run")]
    assert json.loads((out / "scenes" / "scenes.json").read_text("utf-8"))["seed"] == 3
    assert all(Path(word).is_file() for word in commands[2][2:5])
    assert "drew 30 scenes" in printed


def test_scenes_are_used_again_and_runs_are_kept(
    commands: list[list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--out", str(tmp_path), *_QUICK]) == 0
    (tmp_path / "run").mkdir()
    assert main(["demo", "--out", str(tmp_path), *_QUICK]) == 0
    assert "found 30 scenes" in capsys.readouterr().out
    assert commands[-4][-1] == str(tmp_path / "run-2")


def test_a_command_that_fails_ends_the_demo_with_its_exit_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[str] = []

    def fail(words: tuple[str, ...]) -> int:
        asked.append(words[0])
        return 130

    monkeypatch.setattr(main_module, "main", fail)
    assert main(["demo", "--out", str(tmp_path), *_QUICK]) == 130
    assert asked == ["train"]


def test_a_folder_with_other_things_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "scenes").mkdir()
    (tmp_path / "scenes" / "mine.txt").touch()
    assert main(["demo", "--out", str(tmp_path), *_QUICK]) == 2
    assert capsys.readouterr().err.endswith("exists and contains something else; choose another folder or remove it\n")


def test_the_whole_demo(tmp_path: Path) -> None:
    """In a process of its own, as from a shell: stdout is one JSON document, and what it names is there."""
    command = [sys.executable, "-c", _SHELL, "demo", "--out", "demo", "--json", *_QUICK]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["validation_photos"] == 10
    assert 0 <= document["top1"] <= 1
    for name in ("model", "report"):
        assert (tmp_path / document[name]).stat().st_size > 1000
    for verb in ("train", "evaluate", "predict", "report"):
        assert f"$ mobilenet {verb} demo/" in done.stderr
