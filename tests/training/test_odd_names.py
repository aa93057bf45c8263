"""A whole run, its report, and its evaluation on photos whose names and neighbours nobody expects."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenet.cli.main import main

_NAMES = [os.fsdecode(name) for name in (b"new\nline", b"'a' \"b\"", b"caf\xe9", b"$(x) `y`; #", b"-v", b" ")]
_SMALL = ["--width", "0.1", "--resolution", "32", "--epochs", "1", "--device", "cpu", "--batch-size", "8"]


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A class of each name with photos of each name, one class of a single photo, and everything that is no photo."""
    monkeypatch.setenv("MOBILENET_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    root = tmp_path / os.fsdecode(b"my 'photos'\n\xff")
    for label, name in enumerate(_NAMES):
        (root / name).mkdir(parents=True)
        for photo in _NAMES if label else _NAMES[:1]:
            pixels = generator.integers(0, 256, (40, 30, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{photo}.PNG")
        for debris in (".DS_Store", "Thumbs.db", "._1.jpg"):
            (root / name / debris).write_bytes(b"\0")
    folder = root / _NAMES[-1]
    (folder / "empty.JPG").touch()
    (folder / "loop").symlink_to(root)
    (folder / "self.jpg").symlink_to("self.jpg")
    os.mkfifo(folder / "pipe.jpg")
    return root


def test_a_run_on_odd_names(odd: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(odd), "--out", "run", *_SMALL]) == 0
    said = capsys.readouterr()
    left_out = sorted(line.rpartition("/")[2] for line in said.err.splitlines() if line.startswith("left out"))
    assert left_out == [
        "empty.JPG: empty file; copy or download it again",
        "pipe.jpg: not a regular file",
        "self.jpg: cannot be read: too many levels of symbolic links",
    ]
    assert main(["evaluate", "run", str(odd), "--json"]) == 0
    evaluation = json.loads(capsys.readouterr().out)
    assert sorted(evaluation["labels"]) == sorted(_NAMES)
    assert (tmp_path / "run" / "report.html").is_file()
    assert main(["pack", str(odd), "--out", "shards"]) == 0
    assert main(["evaluate", "run", "shards", "--json"]) == 0
    printed, noted = capsys.readouterr()
    # The same photos in shards: those that were trained on do not count there either.
    assert json.loads(printed.splitlines()[-1])["photos"] == evaluation["photos"] == 5
    assert "left out 26 of 31 photos that were trained on" in noted


def test_mlflow_hears_of_odd_names_too(odd: Path, tmp_path: Path) -> None:
    client = pytest.importorskip("mlflow.tracking", reason="the extra track is not installed")
    assert main(["train", str(odd), "--out", "run", *_SMALL, "--track", "mlflow"]) == 0
    found = client.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}").search_experiments()
    assert odd.name.encode("utf-8", "backslashreplace").decode() in {experiment.name for experiment in found}


def test_a_file_and_a_folder_that_may_not_be_read(
    odd: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As root, whom no permission stops, the system's refusal is played."""
    opened, listed = os.open, os.scandir
    forbidden = f"{_NAMES[1]}/{_NAMES[2]}.PNG"

    def refuse(path: str | Path, *rest: int) -> int:
        if str(path).endswith(forbidden):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *rest)

    monkeypatch.setattr(os, "open", refuse)
    assert main(["check", str(odd), "--json"]) == 1
    broken = {item["photo"]["file"]: item["reason"] for item in json.loads(capsys.readouterr().out)["broken"]}
    assert broken[forbidden] == "cannot be read: permission denied"

    def shut(path: str) -> object:
        if str(path).endswith(_NAMES[3]):
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", shut)
    capsys.readouterr()
    assert main(["check", str(odd)]) == 2
    assert capsys.readouterr().err.endswith(f"{_NAMES[3]}: permission denied; check its permissions\n")
