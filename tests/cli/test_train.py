"""`mobilenet train` as a user calls it."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenet.cli.main import main
from mobilenet.evaluate import Evaluation

_QUICK = ["--width", "0.1", "--resolution", "32", "--epochs", "1", "--batch-size", "8", "--device", "cpu"]


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MOBILENET_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for name, level in (("dark", 20), ("bright", 220)):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for number in range(12):
            Image.fromarray(np.full((40, 40, 3), level + number, np.uint8)).save(folder / f"{number}.png")
    return tmp_path / "photos"


def test_train_prints_one_json_document(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(photos), *_QUICK, "--json"]) == 0
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert document["run"] == "runs/photos-mobilenet_v1-0.1-32"
    assert 0 <= document["top1"] <= 1
    assert (tmp_path / document["model"]).is_file()
    assert (tmp_path / document["report"]).is_file()
    assert printed.err.startswith("epoch   1  loss ")


def test_nested_classes_add_a_line_of_their_levels(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grey = photos / "tone" / "grey"
    grey.mkdir(parents=True)
    (photos / "dark").rename(photos / "tone" / "dark")
    for number in range(12):
        Image.fromarray(np.full((40, 40, 3), 120 + number, np.uint8)).save(grey / f"{number}.png")
    assert main(["train", str(photos), *_QUICK, "--out", "run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    evaluation = Evaluation.read(Path("run", "evaluation.json"))
    above, leaf = evaluation.figures["levels"]
    assert (above["groups"], leaf["groups"]) == (2, 3)
    assert evaluation.figures["labels"] == ["bright", "tone/dark", "tone/grey"]
    assert lines[1].startswith(f"level 1 {above['top1']:.1%}, leaf {leaf['top1']:.1%}")
    assert [line.split()[0] for line in lines] == ["top-1", "level", "no", "model", "report"]
    assert lines[2] == f"no temperature: {evaluation.photos} validation photos are too few; at least 50 are needed"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere"),
        (["photos", "--resolution", "100"], "use 96 or 128"),
        (["photos", "--width", "0"], "width multiplier 0"),
        (["photos", "--arch", "resnet50"], "'resnet50' cannot be trained"),
        (["photos", "--cache-size", "much"], "'much' is not a valid size; write a number and a unit"),
        (["photos", "--epochs", "0"], "epochs 0"),
        (["photos/dark"], "photos/dark"),
        (["one"], "one"),
        ([], "give either DATA"),
        (["photos", "--resume", "runs/x"], "give either DATA"),
        (["--resume", "photos"], "is not a run folder"),
        (["--resume", "photos", "--epochs", "9", "--out", "runs/x"], "leave out --out, --epochs"),
        (["photos", "--seed", "99999999999999999999"], "seed 1e+20 is out of range"),
        (["photos", "--out", "photos"], "already exists"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    (tmp_path / "one" / "only").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "one" / "only" / "a.png")
    assert main(["train", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert message in printed.err
    assert not (tmp_path / "runs").exists()


def test_the_command_is_recorded_as_it_was_given(photos: Path, tmp_path: Path) -> None:
    words = ["train", str(photos), *_QUICK, "--aliasing", "0.25", "--out", "run"]
    assert main(words) == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["command"] == ["mobilenet", *words]
    assert config["plan"]["augmentation"]["aliasing"] == 0.25


def test_training_says_what_its_quick_check_found(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "dim").mkdir()
    for number in range(3):
        Image.fromarray(np.full((40, 40, 3), 100 + number, np.uint8)).save(photos / "dim" / f"{number}.png")
    (photos / "dark" / "x.png").write_bytes((photos / "dim" / "0.png").read_bytes())
    assert main(["train", str(photos), *_QUICK, "--out", "run"]) == 0
    first = capsys.readouterr().err.splitlines()[0]
    assert first == (
        "check: pictures with two labels: 1; classes with fewer than 10 training photos: dim (2); "
        f"see mobilenet check {photos}"
    )


def test_photos_of_a_list_are_left_out_also_when_the_run_goes_on(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The list is found from wherever the run is resumed, and evaluation makes the same split again."""
    listed = tmp_path / "list.txt"
    listed.write_text("dark/0.png\ndark/1.png\nbright/0.png\n")
    assert main(["train", "photos", *_QUICK, "--exclude", "list.txt", "--out", "run"]) == 0
    assert "excluded by list.txt: 3 photos" in capsys.readouterr().err
    config = json.loads(Path("run", "config.json").read_text("utf-8"))
    assert config["data"]["train_photos"] + config["data"]["validation_photos"] == 21
    assert config["settings"]["exclude"] == str(listed)
    trained = Evaluation.read(Path("run", "evaluation.json"))
    assert main(["evaluate", "run", "photos", "--json"]) == 0
    again = Evaluation.from_json(capsys.readouterr().out)
    assert (again.photos, again.figures["top1"]) == (trained.photos, trained.figures["top1"])
    assert main(["train", "--resume", "run"]) == 0
    listed.unlink()
    capsys.readouterr()
    assert main(["train", "--resume", "run"]) == 2
    assert capsys.readouterr().err.startswith("mobilenet: cannot read the list")


def test_the_model_does_not_carry_the_path_of_the_list(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("dark/0.png\n")
    assert main(["train", "photos", *_QUICK, "--exclude", "list.txt", "--out", "run"]) == 0
    assert b"list.txt" not in Path("run", "model.safetensors").read_bytes()


def test_odd_names_are_trained_on_and_shown_in_one_line(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, old in ((b"new\nline", "dark"), (b"caf\xe9", "bright")):
        (photos / old).rename(photos / os.fsdecode(name))
    os.mkfifo(photos / "new\nline" / "pipe.jpg")
    (photos / "new\nline" / "self.jpg").symlink_to("self.jpg")
    assert main(["train", "photos", *_QUICK, "--out", "run"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == [
        "left out photos/new\\nline/pipe.jpg: not a regular file",
        "left out photos/new\\nline/self.jpg: cannot be read: too many levels of symbolic links",
    ]
    assert len(lines) == 3
    assert lines[2].startswith("epoch   1  loss ")
    assert main(["evaluate", "run", "photos"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert any(row.startswith("caf\\xe9 ") for row in rows)
    assert any(row.startswith("new\\nline ") for row in rows)


def test_a_run_that_learns_nothing_says_so_in_one_line_and_in_its_report(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """21 photos are 2 steps an epoch."""
    quick = ["--width", "0.1", "--resolution", "32", "--batch-size", "8", "--device", "cpu"]
    assert main(["train", str(photos), *quick, "--epochs", "4", "--learning-rate", "5", "--out", "run"]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "no better than guessing" in line]
    assert len(said) == 1
    assert said[0].startswith("after 4 of 4 epochs the training loss is ")
    assert said[0].endswith("8 steps may be too few; try more --epochs or a smaller --batch-size")
    assert Path("run", "report.html").read_text("utf-8").count("no better than guessing among 2 classes") == 1
