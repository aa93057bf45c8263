"""`mobilenet evaluate` as a user calls it."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.cli.conftest import COLOURS

from mobilenet.cli.main import main
from mobilenet.evaluate import Evaluation
from mobilenet.images import RESIZE_METHODS
from mobilenet.tasks import open_dataset

Paint = Callable[..., Path]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOBILENET_CACHE", str(tmp_path / "cache"))


def _tree(root: Path, paint: Paint, photos: int = 4) -> Path:
    for colour in ("red", "green", "blue"):
        for number in range(photos):
            paint(root / colour / f"{number}.png", colour, grey=number + 1)
    return root


def _evaluated(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> Evaluation:
    assert main(["evaluate", *arguments, "--json"]) == 0
    return Evaluation.from_json(capsys.readouterr().out)


def test_a_tree_without_a_split_counts_whole_and_classes_match_by_name(
    colour_model: str, paint: Paint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = _tree(tmp_path / "data", paint)
    # a green photo with a label that is wrong
    paint(data / "red" / "wrong.png", "green")
    result = _evaluated([colour_model, str(data)], capsys)
    assert result.photos == 13
    assert result.figures["top1"] == 12 / 13
    assert {row["label"]: row["photos"] for row in result.figures["per_class"]} == {"blue": 4, "red": 5, "green": 4}
    (mistake,) = result.mistakes
    assert Path(result.root, mistake.file) == data / "red" / "wrong.png"
    assert (mistake.label, mistake.predicted) == ("red", "green")


def test_photos_are_shrunk_as_an_app_does(
    colour_model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stripes of red and green, with more green: the nearest pixels are all red."""
    stripes = np.full((96, 96, 3), COLOURS["green"], np.uint8)
    stripes[:, ::3] = COLOURS["red"]
    for name in ("red", "green", "blue"):
        (tmp_path / "data" / name).mkdir(parents=True)
        Image.fromarray(stripes).save(tmp_path / "data" / name / "photo.png")
    answers = {}
    for method in RESIZE_METHODS:
        found = _evaluated([colour_model, str(tmp_path / "data"), "--resize", method], capsys)
        assert (found.resize, found.figures["top1"]) == (method, 1 / 3)
        answers[method] = {mistake.predicted for mistake in found.mistakes}
    # Bilinear reads the middle of every output pixel, which is a green stripe; asymmetric its start, a red one.
    assert answers == {"area": {"green"}, "bilinear": {"green"}, "asymmetric": {"red"}, "nearest": {"red"}}
    assert main(["evaluate", colour_model, str(tmp_path / "data"), "--resize", "nearest"]) == 0
    assert "; shrunk by nearest" in capsys.readouterr().out
    assert main(["evaluate", colour_model, str(tmp_path / "data"), "--resize", "Area"]) == 2
    error = capsys.readouterr().err
    assert error == "mobilenet: unknown resize method 'Area'; use area, bilinear, asymmetric or nearest\n"


def test_a_given_split_means_its_validation_photos(
    colour_model: str, paint: Paint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _tree(tmp_path / "data" / "train", paint, photos=5)
    _tree(tmp_path / "data" / "val", paint, photos=2)
    assert _evaluated([colour_model, str(tmp_path / "data")], capsys).photos == 6


def test_the_split_that_training_made_is_made_again(
    colour_model: str, paint: Paint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All labels are wrong, so that the mistakes tell which photos were judged."""
    data = tmp_path / "data"
    for number in range(10):
        paint(data / "red" / f"{number}.png", "green", grey=number)
        paint(data / "green" / f"{number}.png", "red", grey=number)
    split = open_dataset(data, seed=5)
    config = {"settings": {"seed": 5}, "data": {"root": str(data), "split": split.split}}
    Path(colour_model).with_name("config.json").write_text(json.dumps(config))
    result = _evaluated([colour_model, str(data)], capsys)
    assert {mistake.file for mistake in result.mistakes} == set(split.validation.files)
    assert result.photos == 2
    assert _evaluated([colour_model, str(_tree(tmp_path / "other", paint))], capsys).photos == 12


def test_unknown_classes_are_named_in_one_line(
    colour_model: str, paint: Paint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = _tree(tmp_path / "data", paint)
    paint(data / "mauve" / "1.png", "red")
    assert main(["evaluate", colour_model, str(data)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "mauve" in line


def test_photos_that_cannot_be_read_are_left_out_by_name(
    colour_model: str, paint: Paint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = _tree(tmp_path / "data", paint)
    (data / "red" / "broken.jpg").write_bytes(b"")
    result = _evaluated([colour_model, str(data)], capsys)
    assert [(photo.file, photo.reason) for photo in result.left_out] == [
        ("red/broken.jpg", "empty file; copy or download it again")
    ]
    assert result.photos == 12
    assert main(["evaluate", colour_model, str(data)]) == 0
    assert capsys.readouterr().err == "mobilenet: red/broken.jpg: empty file; copy or download it again\n"


def test_people_get_a_table_and_a_file_holds_everything(
    colour_model: str, paint: Paint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = _tree(tmp_path / "data", paint), tmp_path / "new" / "evaluation.json"
    assert main(["evaluate", colour_model, str(data), "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "12 photos: all photos" in text
    # Wilson: 12 of 12 is 1 / (1 + 1.96² / 12) or more
    assert "100.0 %  (75.8 % to 100.0 %)" in text
    assert "top-5" not in text
    assert "level" not in text
    assert Evaluation.read(out).photos == 12


def test_people_get_the_levels_of_nested_classes(
    nested_model: str, paint: Paint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Green, blue and red, two each; one of the blue ones is a green photo."""
    for name, first, second in (
        ("cold/blue", "blue", "green"),
        ("cold/green", "green", "green"),
        ("warm", "red", "red"),
    ):
        paint(tmp_path / "data" / name / "1.png", first, grey=1)
        paint(tmp_path / "data" / name / "2.png", second, grey=2 + len(name))
    assert main(["evaluate", nested_model, str(tmp_path / "data")]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "level 1 2 100.0 % 61.0 % to 100.0 % -" in lines
    assert "leaf 3 83.3 % 43.6 % to 97.0 % 1" in lines
    assert "cold 2 4 1 0" in lines


@pytest.mark.parametrize("data", ["nowhere", "empty"])
def test_missing_or_empty_data_is_one_line(
    colour_model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], data: str
) -> None:
    (tmp_path / "empty").mkdir()
    assert main(["evaluate", colour_model, str(tmp_path / data)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_result_that_cannot_be_written_is_one_line(
    colour_model: str, paint: Paint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = _tree(tmp_path / "data", paint)
    assert main(["evaluate", colour_model, str(data), "--out", str(data / "red" / "0.png" / "x.json")]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_photos_of_a_list_do_not_count(
    colour_model: str, paint: Paint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flat = _tree(tmp_path / "flat", paint)
    (tmp_path / "list").write_text("red/0.png\nval/red/0.png\ntrain/red/0.png\n")
    assert _evaluated([colour_model, str(flat), "--exclude", str(tmp_path / "list")], capsys).photos == 11
    _tree(tmp_path / "split" / "train", paint)
    _tree(tmp_path / "split" / "val", paint, photos=2)
    assert _evaluated([colour_model, str(tmp_path / "split"), "--exclude", str(tmp_path / "list")], capsys).photos == 5
