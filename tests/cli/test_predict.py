"""`mobilenet predict` as a user calls it."""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from mobilenet.cli.main import main
from mobilenet.model.card import ModelCard
from mobilenet.tasks.classification import Classification

Paint = Callable[..., Path]


def test_the_likeliest_classes_best_first(
    colour_model: str, paint: Paint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = paint(tmp_path / "photo.png", "green", grey=51)
    assert main(["predict", colour_model, str(photo), "--top", "2", "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["file"] == str(photo)
    assert [prediction["label"] for prediction in answer["predictions"]] == ["green", "blue"]
    # 255 of 255 + 51 + 51
    assert answer["predictions"][0]["probability"] == pytest.approx(5 / 7, abs=1e-4)


def test_folders_are_searched_in_order_and_stdin_gives_a_list(
    colour_model: str,
    paint: Paint,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    photos = [paint(tmp_path / "photos" / name, "red") for name in ("b/2.png", "a/1.png", "c.png")]
    listed = paint(tmp_path / "with space.png", "blue")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"\n{listed}\n{photos[0]}\n"))
    assert main(["predict", colour_model, str(tmp_path / "photos"), "-", "--json", "--top", "1"]) == 0
    answers = json.loads(capsys.readouterr().out)
    assert [answer["file"] for answer in answers] == [
        *map(str, sorted(photos)),
        str(listed),
        str(photos[0]),
    ]
    assert [answer["predictions"][0]["label"] for answer in answers] == ["red"] * 3 + ["blue", "red"]


def test_names_on_stdin_may_hold_any_bytes(
    colour_model: str,
    paint: Paint,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    photo = paint(tmp_path / "caf.png", "red").rename(tmp_path / os.fsdecode(b"caf\xe9.png"))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(os.fsencode(photo) + b"\n"), encoding="utf-8"))
    assert main(["predict", colour_model, "-", "--json"]) == 0
    assert [answer["file"] for answer in json.loads(capsys.readouterr().out)] == [str(photo)]


def test_a_closed_stdin_lists_no_photos(
    colour_model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert main(["predict", colour_model, "-"]) == 2
    assert capsys.readouterr().err.startswith("mobilenet: no photo")


def test_unreadable_photos_are_named_and_the_others_answered(
    colour_model: str, paint: Paint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = paint(tmp_path / "photo.png", "red")
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo")
    assert main(["predict", colour_model, str(broken), str(tmp_path / "gone.jpg"), str(photo), "--json"]) == 0
    out, err = capsys.readouterr()
    assert [answer["file"] for answer in json.loads(out)] == [str(photo)]
    assert [line.split(": ")[1] for line in err.splitlines()] == [str(broken), str(tmp_path / "gone.jpg")]
    assert "only 8 bytes, not a photo" in err


def test_no_readable_photo_is_exit_code_2(
    colour_model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", colour_model, str(tmp_path / "gone.jpg"), "--json"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1] == "mobilenet: no photo could be read; the reason for each is above"


def test_an_empty_folder_alone_is_exit_code_2(
    colour_model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert main(["predict", colour_model, str(tmp_path / "empty")]) == 2
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith(f"mobilenet: {tmp_path / 'empty'} contains no photos")
    assert last.startswith("mobilenet: no photo could be read")


@pytest.mark.parametrize("listed", [False, True], ids=["as arguments", "on stdin"])
def test_what_gives_no_photo_does_not_stop_the_others(
    colour_model: str,
    paint: Paint,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    listed: bool,
) -> None:
    first, last = paint(tmp_path / "1.png", "red"), paint(tmp_path / "folder" / "2.png", "blue")
    (tmp_path / "empty" / "below").mkdir(parents=True)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("no photo")
    without = [str(tmp_path / name) for name in ("empty", "notes", "gone.jpg", "gone/1.jpg", "long" * 2000)]
    paths = [str(first), *without[:2], str(last.parent), *without[2:], str(first)]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(paths)))
    assert main(["predict", colour_model, *(["-"] if listed else paths), "--json", "--top", "1"]) == 0
    out, err = capsys.readouterr()
    answers = json.loads(out)
    assert [answer["file"] for answer in answers] == [str(first), str(last), str(first)]
    assert [answer["predictions"][0]["label"] for answer in answers] == ["red", "blue", "red"]
    lines = err.splitlines()
    assert len(lines) == len(without)
    assert all(sum(path in line for line in lines) == 1 for path in without[1:])


def test_people_get_lines(colour_model: str, paint: Paint, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = paint(tmp_path / "photo.png", "blue")
    assert main(["predict", colour_model, str(photo), "--top", "1"]) == 0
    assert capsys.readouterr().out == f"{photo}\n  100.0 %  blue\n"


def test_a_page_has_the_answers_on_their_photos(
    colour_model: str, paint: Paint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paint(tmp_path / "photos" / "one.png", "red")
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    page = tmp_path / "page.html"
    words = ["predict", colour_model, str(tmp_path / "photos"), "--top", "1", "--html", str(page)]
    assert main(words) == 0
    assert capsys.readouterr().out.endswith(f"\npage  {page}\n")
    html = page.read_text("utf-8")
    assert html.count("<h2>") == html.count("data:image/jpeg") == 1
    assert "%  red" in html
    assert main([*words, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 1
    assert main([*words[:-1], str(page / "page.html")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_parent_of_nested_classes_is_named_with_all_of_its_probability(
    nested_model: str, paint: Paint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = paint(tmp_path / "photo.png", "green", grey=51)
    assert main(["predict", nested_model, str(photo), "--top", "1"]) == 0
    # 255 and 51 of 255 + 51 + 51
    assert capsys.readouterr().out == f"{photo}\n   71.4 %  cold/green\n   85.7 %  cold in all\n"
    assert main(["predict", nested_model, str(photo), "--top", "1", "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["parents"] == [{"label": "cold", "probability": pytest.approx(6 / 7, abs=1e-4)}]


def test_photos_below_a_confidence_are_marked(
    colour_model: str, paint: Paint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # 255 of 255 + 51 + 51: 71.4 %
    grey, green = paint(tmp_path / "grey.png", "green", grey=51), paint(tmp_path / "green.png", "green")
    words = ["predict", colour_model, str(grey), str(green), "--top", "1"]
    assert main([*words, "--min-confidence", "0.75"]) == 0
    assert capsys.readouterr().out == (
        f"{grey}\n  uncertain: below 75 %\n   71.4 %  green\n{green}\n  100.0 %  green\n"
    )
    for limit, uncertain in (("0.75", [True, False]), ("71%", [False, False]), ("0", [False, False])):
        assert main([*words, "--min-confidence", limit, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert [answer["uncertain"] for answer in found] == uncertain
        assert [answer["predictions"][0]["label"] for answer in found] == ["green", "green"]
    assert main([*words, "--json"]) == 0
    assert all("uncertain" not in answer for answer in json.loads(capsys.readouterr().out))


class _List:
    """Answers by the names that they are to be written under."""

    def __init__(self, file: Path, card: ModelCard) -> None:
        self._file, self._labels = file, card.labels
        self._lines: list[str] = []

    def add(self, name: PurePosixPath, photo: Path, answer: Any) -> None:
        self._lines.append(f"{name} {photo.suffix} {answer.to_json()['predictions'][0]['label']}")

    def finish(self) -> None:
        self._file.write_text("\n".join([" ".join(self._labels), *self._lines]))


@pytest.fixture
def _listing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Classes that can be written to two kinds of files."""
    monkeypatch.setattr(Classification, "writers", {"list": _List, "log": _List})


@pytest.mark.usefixtures("_listing")
def test_answers_are_saved_under_names_of_their_own(
    colour_model: str, paint: Paint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, other = tmp_path / "photos", paint(tmp_path / "more" / "1.png", "green")
    paint(folder / "1.png", "red")
    paint(folder / "a" / "1.png", "blue")
    paint(folder / "a" / "1.jpg", "green")
    words = [colour_model, str(folder), str(other), str(other), str(tmp_path / "gone.png")]
    saving = ["--save", f"list={tmp_path / 'list'}", "--save", f"log={tmp_path / 'log'}"]
    assert main(["predict", *words, *saving, "--json"]) == 0
    labels, *lines = (tmp_path / "list").read_text().splitlines()
    assert labels == "blue red green"
    wanted = ["1.png .png red", "a/1.jpg .jpg green", "a/1-2.png .png blue", "1-2.png .png green", "1-3.png .png green"]
    assert sorted(lines) == sorted(wanted)
    assert (tmp_path / "list").read_text() == (tmp_path / "log").read_text()
    assert len(json.loads(capsys.readouterr().out)) == 5


@pytest.mark.usefixtures("_listing")
def test_what_exists_is_not_written_over(
    colour_model: str, paint: Paint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = paint(tmp_path / "photos" / "1.png", "red")
    before = photo.read_bytes()
    for place, line in (
        (photo, f"mobilenet: {photo} already exists; give --save a new name"),
        (photo.parent, f"mobilenet: {photo.parent} is not empty; give --save a new folder"),
    ):
        assert main(["predict", colour_model, str(photo), "--save", f"list={place}"]) == 2
        assert capsys.readouterr() == ("", f"{line}\n")
    assert photo.read_bytes() == before


@pytest.mark.usefixtures("_listing")
def test_what_was_answered_before_an_interruption_is_saved(
    colour_model: str, paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = paint(tmp_path / "1.png", "red")
    answered = Classification.decode

    def interrupted(*arguments: Any) -> Any:
        if (tmp_path / "asked").exists():
            raise KeyboardInterrupt
        (tmp_path / "asked").touch()
        return answered(*arguments)

    monkeypatch.setattr(Classification, "decode", interrupted)
    assert main(["predict", colour_model, str(photo), str(photo), "--save", f"list={tmp_path / 'list'}"]) not in (0, 2)
    assert (tmp_path / "list").read_text().splitlines()[1:] == ["1.png .png red"]


@pytest.mark.parametrize(
    ("given", "formats", "line"),
    [
        ("list=out", {}, "classification has no format for --save; use --json to keep its answers"),
        ("csv=out", {"list": _List, "log": _List}, "unknown format 'csv' for --save; use one of list, log"),
        ("list", {"list": _List}, "'list' is not NAME=VALUE, such as drawn=out"),
    ],
)
def test_a_format_that_is_none_is_one_line(
    colour_model: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    given: str,
    formats: dict[str, Any],
    line: str,
) -> None:
    monkeypatch.setattr(Classification, "writers", formats)
    assert main(["predict", colour_model, "a.jpg", "--save", given]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert line in said


def test_a_confidence_out_of_range_is_one_line(colour_model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", colour_model, "a.jpg", "--min-confidence", "60"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "'60' is out of range; use 0 to 1, or 0% to 100%" in line


@pytest.mark.parametrize("arguments", [["predict"], ["predict", "model"], ["predict", "model", "a.jpg", "--top", "0"]])
def test_wrong_usage_is_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_model_that_is_none_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(tmp_path / "gone"), "a.jpg"]) == 2
    assert capsys.readouterr().err.startswith("mobilenet: no model at")


def test_what_is_passed_over_in_a_folder_is_counted(
    colour_model: str, paint: Paint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paint(tmp_path / "photos" / "1.png", "red").rename(tmp_path / "photos" / "without ending")
    for name in ("1.HEIC", "2.heic", "list.txt"):
        (tmp_path / "photos" / name).write_bytes(b"x")
    assert main(["predict", colour_model, str(tmp_path / "photos"), "--json"]) == 0
    out, err = capsys.readouterr()
    assert [answer["file"] for answer in json.loads(out)] == [str(tmp_path / "photos" / "without ending")]
    assert err.startswith(
        f"mobilenet: {tmp_path / 'photos'}: 3 files are not read: 2 .heic, 1 .txt; convert HEIC photos"
    )
    assert err.count("\n") == 1
