"""`mobilenet predict` with a video, as a user calls it."""

import json
import os
import sys
import tkinter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ImageTk

from mobilenet.cli.main import main
from mobilenet.cli.window import Window, WindowClosedError
from mobilenet.errors import ConfigError
from mobilenet.images.overlay import draw_caption
from mobilenet.images.video import Frame, open_video
from mobilenet.images.video_file import VideoFile
from mobilenet.tasks.classification import Classification

_COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


@pytest.fixture
def film(tmp_path: Path) -> Callable[..., Path]:
    """`film("a.mp4", ["red", "blue"])`: a video with a frame of each colour, 10 a second."""

    def filmed(name: str, colours: list[str]) -> Path:
        file = VideoFile(tmp_path / name, Fraction(10))
        for number, colour in enumerate(colours):
            file.add(np.full((48, 64, 3), _COLOURS[colour], np.uint8), number / 10)
        file.finish()
        return tmp_path / name

    return filmed


def _frames(path: Path) -> list[Frame]:
    with open_video(str(path)) as video:
        return list(video.frames())


def test_each_frame_is_answered_on_a_line(
    colour_model: str, film: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = film("a.mp4", ["red", "green", "blue", "green"])
    assert main(["predict", colour_model, str(path), "--json", "--top", "1"]) == 0
    out, err = capsys.readouterr()
    found = [json.loads(line) for line in out.splitlines()]
    assert [answer["predictions"][0]["label"] for answer in found] == ["red", "green", "blue", "green"]
    assert [(answer["frame"], answer["time_s"]) for answer in found] == [(0, 0), (1, 0.1), (2, 0.2), (3, 0.3)]
    assert err == ""
    assert main(["predict", colour_model, str(path), "--every", "2", "--top", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[::2] == ["frame 0, 0.00 s", "frame 2, 0.20 s"]
    assert [line.split()[-1] for line in lines[1::2]] == ["red", "blue"]


def test_answers_are_drawn_in_a_video(colour_model: str, film: Callable[..., Path], tmp_path: Path) -> None:
    path, drawn = film("a.mp4", ["red", "green", "blue"]), tmp_path / "new" / "drawn.mp4"
    words = ["predict", colour_model, str(path), "--json", "--save", f"drawn={drawn}"]
    assert main(words) == 0
    before, after = _frames(path), _frames(drawn)
    assert [frame.time_s for frame in after] == [frame.time_s for frame in before]
    for old, new in zip(before, after, strict=True):
        # Enlarged, as photos are; the lower half shows what it did.
        assert new.pixels.shape == (8 * 48, 8 * 64, 3)
        assert np.abs(new.pixels[300:].astype(int) - old.pixels[40, 40]).mean() < 6
        assert np.abs(new.pixels[:40, :60].astype(int) - old.pixels[40, 40]).mean() > 30
    assert main(words) == 2


def test_what_was_drawn_before_an_interruption_is_a_whole_video(
    colour_model: str, film: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered, asked = Classification.decode, iter(range(9))

    def interrupted(*arguments: Any) -> Any:
        if next(asked) == 2:
            raise KeyboardInterrupt
        return answered(*arguments)

    monkeypatch.setattr(Classification, "decode", interrupted)
    path, drawn = film("a.mp4", ["red", "green", "blue"]), tmp_path / "drawn.mp4"
    assert main(["predict", colour_model, str(path), "--save", f"drawn={drawn}"]) == 130
    assert len(_frames(drawn)) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "drawn.mp4", "run"]


def test_a_truncated_video_keeps_what_was_answered(
    colour_model: str, film: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = film("a.mkv", ["red", "green", "blue"] * 10)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    drawn = tmp_path / "drawn.mp4"
    assert main(["predict", colour_model, str(cut), "--json", "--save", f"drawn={drawn}"]) == 0
    out, err = capsys.readouterr()
    assert 0 < len(out.splitlines()) < 30
    assert len(_frames(drawn)) == len(out.splitlines())
    (line,) = err.splitlines()
    assert line.startswith(f"mobilenet: {cut}: it ends after ")
    assert line.endswith(" s of 3.0 s; copy or download it again")


def test_a_video_without_frames_is_one_line(
    colour_model: str, film: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = film("a.mkv", ["red"] * 30)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(path.read_bytes()[: path.read_bytes().index(b"\x1f\x43\xb6\x75") + 40])
    assert main(["predict", colour_model, str(cut), "--json", "--save", f"drawn={tmp_path / 'd.mp4'}"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"mobilenet: {cut}: no frame could be read")
    assert err.count("\n") == 1
    assert not (tmp_path / "d.mp4").exists()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["gone.mp4"], "gone.mp4: cannot be read: no such file or directory"),
        (["camera:x"], "camera:x: 'x' is not the number of a camera; use camera:0 for the first one"),
        (["a.mp4", "b.jpg"], "a.mp4 is a video, of which predict takes one at a time and without photos"),
        (["a.mp4", "--html", "a.html"], "--html is for photos; use --save drawn=FILE.mp4 for a video"),
        (["a.jpg", "--every", "2"], "--every is for a video or a camera, such as camera:0"),
        (["a.jpg", "--show"], "--show is for a video or a camera, such as camera:0"),
        (["a.mp4", "--save", "coco=a.json"], "a video cannot be saved as 'coco'; use drawn=FILE.mp4, or --json to"),
        (["a.mp4", "--save", "drawn=out"], "out is not the name of a video; use a name that ends in one of .mp4, "),
    ],
)
def test_what_does_not_go_is_one_line(
    colour_model: str, capsys: pytest.CaptureFixture[str], words: list[str], line: str
) -> None:
    assert main(["predict", colour_model, *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"mobilenet: {line}")
    assert err.count("\n") == 1


def test_a_missing_package_is_one_line(
    colour_model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    assert main(["predict", colour_model, "camera:0"]) == 2
    assert capsys.readouterr().err == "mobilenet: this needs av; pip install 'mobilenet[video]'\n"


def test_no_display_is_one_line(
    colour_model: str,
    film: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_display() -> None:
        raise tkinter.TclError("no display name and no $DISPLAY environment variable")

    monkeypatch.setattr(tkinter, "Tk", no_display)
    assert main(["predict", colour_model, str(film("a.mp4", ["red"])), "--show"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "mobilenet: no window can be shown here: no display name and no $DISPLAY environment variable; leave out "
        "--show, and use --save drawn=FILE.mp4 to watch it later\n"
    )


def test_a_python_without_tkinter_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tkinter", None)
    with pytest.raises(ConfigError, match="--show needs tkinter, which this Python lacks; install python3-tk"):
        Window("a.mp4")


class _Root:
    """What a window asks of tkinter, without a display."""

    def __init__(self) -> None:
        self.closing: Callable[[], None] = lambda: None
        self.pictures: list[Any] = []
        self.open = True

    def title(self, _text: str) -> None: ...

    def protocol(self, _name: str, closing: Callable[[], None]) -> None:
        self.closing = closing

    def winfo_screenwidth(self) -> int:
        return 200

    def winfo_screenheight(self) -> int:
        return 100

    def update(self) -> None:
        if len(self.pictures) == 2:
            self.closing()

    def destroy(self) -> None:
        self.open = False

    def configure(self, image: Any) -> None:
        self.pictures.append(image)

    def pack(self) -> None: ...


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> _Root:
    made = _Root()
    monkeypatch.setattr(tkinter, "Tk", lambda: made)
    monkeypatch.setattr(tkinter, "Label", lambda *_, **__: made)
    monkeypatch.setattr(ImageTk, "PhotoImage", lambda picture, master: picture)
    return made


def test_a_window_ends_the_video_when_it_is_closed(
    colour_model: str, film: Callable[..., Path], capsys: pytest.CaptureFixture[str], root: _Root, tmp_path: Path
) -> None:
    path, drawn = film("a.mp4", ["red", "green", "blue"]), tmp_path / "drawn.mp4"
    words = ["predict", colour_model, str(path), "--show", "--json", "--save", f"drawn={drawn}"]
    assert main(words) == 0
    assert capsys.readouterr().err == ""
    assert len(root.pictures) == len(_frames(drawn)) == 2
    # 0.8 of the height of the screen
    assert [picture.size for picture in root.pictures] == [(107, 80)] * 2
    assert not root.open


@pytest.mark.skipif("DISPLAY" not in os.environ, reason="needs a display")
def test_a_real_window_shows_pictures() -> None:
    window = Window("a.mp4")
    window.add(np.zeros((30, 40, 3), np.uint8), 0)
    window._close()
    with pytest.raises(WindowClosedError):
        window.add(np.zeros((30, 40, 3), np.uint8), 0)
    window.finish()


def test_lines_of_a_caption_follow_each_other_and_stop_where_the_picture_ends() -> None:
    grey: NDArray[np.uint8] = np.full((480, 640, 3), 99, np.uint8)
    one, two = (draw_caption(grey, ["91 %  cat"] * lines) for lines in (1, 2))
    changed = [np.flatnonzero((picture != grey).any(axis=(1, 2))) for picture in (one, two)]
    assert changed[0].tolist() == list(range(len(changed[0])))
    assert changed[1].tolist() == list(range(2 * len(changed[0]) - 1))
    assert draw_caption(grey, ["x"] * 1000).shape == grey.shape
    assert (draw_caption(grey, []) == grey).all()
    narrow = draw_caption(np.full((480, 40, 3), 99, np.uint8), ["a long line of text"])
    assert narrow.shape == (480, 40, 3)
