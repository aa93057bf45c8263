"""`--teacher` on the command line: one line says what is wrong; a search hands its teacher to every training."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from mobilenet.cli.main import main
from mobilenet.search.budget import Limits
from mobilenet.search.settings import FitSettings
from mobilenet.training.settings import TrainingSettings
from mobilenet.training.teacher.settings import Teaching

_QUICK = (
    "--width",
    "0.1",
    "--resolution",
    "32",
    "--epochs",
    "1",
    "--batch-size",
    "8",
    "--device",
    "cpu",
    "--track",
    "tensorboard",
)


def _train(*words: object) -> int:
    return main(["train", *map(str, words)])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--unlabelled", "more"), "--unlabelled needs --teacher MODEL"),
        (("--teacher-views", "3"), "--teacher-views needs --teacher MODEL"),
        (("--teacher", "nowhere"), "no model at nowhere"),
        (("--teacher", "RUN", "--teacher-mean", "1,2"), "'1,2' is not three numbers from 0 to 255"),
        (("--teacher", "RUN", "--unlabelled", "empty"), "empty contains no photos"),
        (("--teacher", "RUN", "--unlabelled", "nowhere"), "nowhere does not exist"),
        (("--teacher", "RUN", "--freeze", "backbone", "--weights", "RUN"), "learns nothing from a --teacher"),
        (("--teacher", "RUN"), "does not know 3 of the student's 3 classes: 'blue', 'green', 'red'; it knows 'cat'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    photos: Path,
    tiny_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    given = [str(tiny_run) if word == "RUN" else word for word in words]
    assert _train(photos, *_QUICK, *given, "--out", tmp_path / "run") == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert not (tmp_path / "run").exists()


def test_a_run_of_photos_without_labels_needs_no_data_argument(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _train(photos, *_QUICK, "--out", tmp_path / "large") == 0
    pool = tmp_path / "pool"
    shutil.copytree(photos, pool)
    words = ("--unlabelled", pool, "--teacher", tmp_path / "large", "--val", photos)
    capsys.readouterr()
    assert _train(*words, *_QUICK, "--out", tmp_path / "run", "--json") == 0
    found = capsys.readouterr()
    assert "left out 24 photos without labels that are validation photos" in found.err
    document = json.loads(found.out)
    assert document["validation_photos"] == 24
    assert "trained on" not in found.err
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert str(tmp_path / "large") in page


def test_a_search_refuses_a_teacher_before_it_measures_anything(
    photos: Path, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fit(data: Path) -> str:
        words = ("fit", data, "--teacher", tiny_run, "--size", "1MB", "--out", tmp_path / "fit")
        assert main([str(word) for word in words]) == 2
        return capsys.readouterr().err

    assert "does not know 3 of the student's 3 classes" in fit(photos)
    flat = tmp_path / "flat"
    shutil.copytree(photos / "train" / "red", flat)
    assert "has no labels to compare candidates by" in fit(flat)


def test_a_search_with_another_teacher_setting_is_another_search() -> None:
    def journalled(teaching: Teaching | None) -> dict[str, Any]:
        training = TrainingSettings(Path("photos"), teacher=teaching)
        return FitSettings(training, Limits(size_bytes=1000), Path("fit")).to_json()

    assert "teacher" not in journalled(None)
    here, there = (journalled(Teaching(Path(folder), unlabelled=(Path(folder),))) for folder in ("here", "there"))
    assert here == there
    assert here["teacher"] != journalled(Teaching(Path("here"), views=3))["teacher"]
