"""`mobilenet check` as a user calls it."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenet.cli.main import main
from mobilenet.datasets import read_exclusions


def _draw(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(number).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((60, 45), Image.Resampling.BICUBIC).save(path)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A sound data set of two classes, 10 photos to train on and 2 to validate on each."""
    for number in range(24):
        part = "validation" if number % 12 > 9 else "train"
        _draw(tmp_path / "photos" / part / "ab"[number // 12] / f"{number}.png", number)
    return tmp_path / "photos"


def test_a_sound_data_set(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(photos)]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.splitlines() == [
        "24 files, 2 classes; split given: validation/",
        "class  training  validation",
        "a            10           2",
        "b            10           2",
        "",
        "found nothing that affects results",
    ]


def test_findings_end_with_exit_code_1(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (photos / "train" / "a" / "half\n.jpg").write_bytes(b"\xff\xd8\xff")
    shutil.copy(photos / "train" / "a" / "1.png", photos / "validation" / "a" / "copy.png")
    shutil.copy(photos / "train" / "b" / "13.png", photos / "train" / "a" / "wrong.png")
    assert main(["check", str(photos)]) == 1
    printed = capsys.readouterr()
    assert "\n".join(printed.out.splitlines()[5:]) == (
        "cannot be read: 1\n"
        "  train/a/half\\n.jpg: truncated JPEG; copy or download it again\n"
        "on both sides of the split: 1\n"
        "  train/a/1.png = validation/a/copy.png (the same file)\n"
        "with two labels: 1\n"
        "  train/a/wrong.png (a) = train/b/13.png (b) (the same file)"
    )
    assert printed.err == (
        "mobilenet: 1 file cannot be read; 1 picture is on both sides of the split; 1 picture has two labels; "
        "--write-exclusions FILE lists the photos to leave out\n"
    )


def test_a_list_and_a_page(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(photos / "train" / "a" / "1.png", photos / "validation" / "a" / "copy.png")
    files = {path: path.read_bytes() for path in photos.rglob("*.png")}
    out, page = tmp_path / "out.txt", tmp_path / "check.html"
    assert main(["check", str(photos), "--write-exclusions", str(out), "--html", str(page)]) == 1
    assert f"leave them out with mobilenet train --exclude {out}" in capsys.readouterr().err
    assert read_exclusions(out).names == {"train/a/1.png"}
    assert "validation/a/copy.png" in page.read_text("utf-8")
    assert {path: path.read_bytes() for path in photos.rglob("*.png")} == files
    # what was left out before is kept in a list that is written over
    (photos / "train" / "b" / "broken.jpg").touch()
    assert main(["check", str(photos), "--exclude", str(out), "--write-exclusions", str(out)]) == 1
    assert read_exclusions(out).names == {"train/a/1.png", "train/b/broken.jpg"}
    capsys.readouterr()
    assert main(["check", str(photos), "--exclude", str(out)]) == 0
    assert capsys.readouterr().err == f"mobilenet: excluded by {out}: 2 photos\n"


def test_a_page_that_cannot_be_written_is_refused_before_the_work(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mobilenet.datasets.check.check.check", lambda *_, **__: pytest.fail("photos were read"))
    (tmp_path / "file").touch()
    assert main(["check", str(photos), "--html", str(tmp_path / "file" / "page.html")]) == 2
    assert "not a directory" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert main(["check", str(photos), "--html", str(tmp_path / "page.html")]) == 2
    assert capsys.readouterr().err == "mobilenet: this needs jinja2; pip install 'mobilenet[train]'\n"


def test_json_is_one_document(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    (photos / "train" / "a" / name).touch()
    assert main(["check", str(photos), "--json"]) == 1
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert printed.out.count("\n") == 1
    assert document["sound"] is False
    assert document["faults"] == ["1 file cannot be read"]
    expected = {"file": f"train/a/{name}", "split": "train", "label": "a"}
    assert document["broken"] == [{"photo": expected, "reason": "empty file; copy or download it again"}]
    assert document["classes"][0] == {"name": "a", "train": 10, "validation": 2}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: None, "does not exist"),
        (lambda path: path.mkdir(), "contains no photos"),
        (lambda path: _draw(path / "a" / "1.png", 1), "has only one class, a; put the photos of each class"),
        (os.mkfifo, "is not a folder"),
        (lambda path: path.symlink_to(path), "too many levels of symbolic links|does not exist"),
    ],
    ids=["missing", "empty", "one class", "pipe", "loop"],
)
def test_what_cannot_be_used_is_one_line(
    make: Callable[[Path], object], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "data")
    for arguments in (
        ["check", str(tmp_path / "data")],
        ["train", str(tmp_path / "data"), "--out", str(tmp_path / "r")],
    ):
        assert main(arguments) == 2
        printed = capsys.readouterr()
        assert (printed.out, printed.err.count("\n")) == ("", 1)
        assert any(part in printed.err for part in message.split("|")), printed.err
    assert not (tmp_path / "r").exists()


def test_many_findings_are_cut_short(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(25):
        (photos / "train" / "a" / f"broken{number:02}.jpg").touch()
    assert main(["check", str(photos)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[5] == "cannot be read: 25"
    assert lines[-2:] == ["  train/a/broken19.jpg: empty file; copy or download it again", "  … and 5 more"]
