"""Video files and cameras: what is read, and what is said of those that are damaged."""

import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mobilenet.errors import ConfigError, ImageError, StorageError
from mobilenet.images import Preprocessing, video
from mobilenet.images.decode import Limits
from mobilenet.images.video import Frame, is_video, open_video
from mobilenet.images.video_file import VideoFile

_RATE = 25
_CODECS = {".mp4": "libx264", ".mkv": "libx264", ".webm": "libvpx-vp9", ".avi": "mpeg4", ".ts": "libx264"}


def picture(number: int, height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    """Grey on the left that says the number, red on the upper right, blue on the lower right."""
    pixels = np.full((height, width, 3), 2 * number, np.uint8)
    pixels[: height // 2, width // 2 :] = (255, 0, 0)
    pixels[height // 2 :, width // 2 :] = (0, 0, 255)
    return pixels


def record(path: Path, frames: int = 30, turned: float = 0.0, **stream_options: str) -> Path:
    """A video written by FFmpeg alone; `turned`: degrees by which players turn it counterclockwise."""
    with av.open(str(path), "w") as container:
        options = {"movflags": "+faststart"} if path.suffix == ".mp4" else {}
        container.options.update(options)
        stream: Any = container.add_stream(_CODECS[path.suffix], rate=_RATE, options=stream_options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        if turned:
            stream.set_display_rotation(turned)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def read(path: Path, every: int = 1) -> tuple[list[Frame], str | None]:
    with open_video(str(path)) as opened:
        return list(opened.frames(every)), opened.problem()


@pytest.mark.parametrize("ending", _CODECS)
def test_every_frame_has_its_number_time_and_pixels(tmp_path: Path, ending: str) -> None:
    frames, problem = read(record(tmp_path / f"v{ending}"))
    assert problem is None
    assert [frame.number for frame in frames] == list(range(30))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(30) / _RATE, atol=0.002)
    for frame in frames:
        # What is lost by compression, and by colours at half the resolution.
        middle = np.abs(frame.pixels.astype(int) - picture(frame.number))[4:20, 4:28]
        assert middle.mean() < 8


def test_frames_are_thinned_and_keep_their_numbers(tmp_path: Path) -> None:
    frames, problem = read(record(tmp_path / "v.mp4"), every=12)
    assert [(frame.number, round(frame.time_s, 3)) for frame in frames] == [(0, 0.0), (12, 0.48), (24, 0.96)]
    assert problem is None


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_a_video_is_turned_as_players_turn_it(tmp_path: Path, degrees: int) -> None:
    (first, *_), _ = read(record(tmp_path / "v.mp4", frames=2, turned=degrees))
    wanted = np.rot90(picture(0), degrees // 90)
    assert first.pixels.shape == wanted.shape
    assert np.abs(first.pixels.astype(int) - wanted).mean() < 12


def test_a_frame_is_prepared_as_the_photo_of_it(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (48, 65, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    for crop in (None, 0.875):
        preprocessing = Preprocessing(32, crop)
        np.testing.assert_array_equal(
            preprocessing.prepare_pixels(pixels), preprocessing.prepare(tmp_path / "photo.png")
        )


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".webm"])
def test_a_video_that_lost_its_end_gives_what_it_has(tmp_path: Path, ending: str) -> None:
    whole = record(tmp_path / f"v{ending}", frames=60, g="10").read_bytes()
    cut = tmp_path / f"cut{ending}"
    cut.write_bytes(whole[: len(whole) * 2 // 3])
    frames, problem = read(cut)
    assert 5 < len(frames) < 60
    assert [frame.number for frame in frames] == list(range(len(frames)))
    assert problem is not None
    assert "\n" not in problem
    assert "of 2.4 s; copy or download it again" in problem


def test_damaged_parts_are_left_out_and_counted(tmp_path: Path) -> None:
    path = record(tmp_path / "v.mp4", frames=60, g="10")
    data = bytearray(path.read_bytes())
    middle = data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 2
    data[middle : middle + 40] = b"\xff" * 40
    path.write_bytes(data)
    frames, problem = read(path)
    assert 10 < len(frames) < 60
    assert frames[-1].time_s == pytest.approx(59 / _RATE)
    assert problem is not None
    assert "damaged and left out" in problem


def _sound(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda path: None, "cannot be read: no such file or directory"),
        (lambda path: path.mkdir(), "not a regular file"),
        (lambda path: path.write_bytes(b""), "empty file; copy or download it again"),
        (lambda path: path.write_bytes(b"no video" * 99), "not a readable video: .*; copy or download it again"),
        (_sound, "sound without a video"),
        (
            lambda path: path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1/a.ts\n"),
            "not a readable video",
        ),
    ],
    ids=["missing", "folder", "empty", "text", "sound", "playlist"],
)
def test_what_is_no_video_is_one_line(tmp_path: Path, make: Callable[[Path], object], line: str) -> None:
    path = tmp_path / "v.mp4"
    make(path)
    with pytest.raises(ImageError, match=line) as error, open_video(str(path)):
        pass
    assert "\n" not in str(error.value)


def test_more_pixels_than_the_limit_are_refused(tmp_path: Path) -> None:
    path = record(tmp_path / "v.mp4", frames=2)
    with (
        pytest.raises(ImageError, match="64 x 48 pixels is more than the limit of 3,000"),
        open_video(str(path), limits=Limits(pixels=3000)),
    ):
        pass


def test_a_camera_is_opened_by_its_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    path = record(tmp_path / "v.mp4", frames=3)
    really = av.open

    def opening(name: str, **options: Any) -> Any:
        opened.append((name, options))
        return really(str(path))

    monkeypatch.setattr(av, "open", opening)
    for system in ("linux", "darwin"):
        monkeypatch.setattr(sys, "platform", system)
        with open_video("camera:1") as camera:
            assert len(list(camera.frames())) == 3
    assert opened == [
        ("/dev/video1", {"format": "v4l2"}),
        ("1", {"format": "avfoundation", "options": {"framerate": "30"}}),
    ]


def test_a_camera_that_has_no_frame_yet_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "_WAIT_S", 0)
    with open_video(str(record(tmp_path / "v.mp4", frames=3))) as opened:
        container = opened._container
        waits = [1, 1]

        class Slow:
            streams, duration = container.streams, container.duration

            def demux(self, stream: Any) -> Any:
                if waits:
                    waits.pop()
                    raise av.error.BlockingIOError(35, "Resource temporarily unavailable")
                return container.demux(stream)

        opened._container = Slow()  # type: ignore[assignment]
        assert len(list(opened.frames())) == 3
        assert not waits


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("camera:first", "'first' is not the number of a camera; use camera:0 for the first one"),
        ("camera:999", "cannot be opened: no such file or directory; check that it is connected"),
    ],
)
def test_no_camera_is_one_line(monkeypatch: pytest.MonkeyPatch, source: str, line: str) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(ImageError, match=line), open_video(source):
        pass


def test_videos_are_known_by_their_names() -> None:
    assert all(map(is_video, ("a.MP4", "b/c.mov", "camera:0", "camera:x", "-.webm")))
    assert not any(map(is_video, ("a.jpg", "mp4", "-", "folder/", "b.gif", "a.mp4/1.jpg")))


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".webm"])
@pytest.mark.parametrize("shape", [(48, 64), (47, 65)])
def test_frames_that_are_written_are_read_again(tmp_path: Path, ending: str, shape: tuple[int, int]) -> None:
    times = [0.0, 0.04, 0.5, 0.5, 1.25]
    file = VideoFile(tmp_path / "new" / f"v{ending}", Fraction(25))
    for number, time_s in enumerate(times):
        file.add(picture(10 * number, *shape), time_s)
    assert not (tmp_path / "new" / f"v{ending}").exists()
    file.finish()
    frames, problem = read(tmp_path / "new" / f"v{ending}")
    assert problem is None
    np.testing.assert_allclose([frame.time_s for frame in frames], times, atol=0.002)
    for number, frame in enumerate(frames):
        assert frame.pixels.shape == (48, 64 if shape == (48, 64) else 66, 3)
        # Away from the edges, whose colours are those of their neighbours: the same to a few steps of 255.
        for part in (np.s_[4:20, 4:28], np.s_[4:20, 36:60], np.s_[28:44, 36:60]):
            difference = frame.pixels[part].astype(int) - picture(10 * number, *shape)[part]
            assert np.abs(difference).mean() < 8
    assert list((tmp_path / "new").iterdir()) == [tmp_path / "new" / f"v{ending}"]


def test_frames_of_another_size_are_fitted(tmp_path: Path) -> None:
    file = VideoFile(tmp_path / "v.mp4", Fraction(25))
    file.add(picture(1), 0)
    file.add(picture(1, 96, 128), 0.04)
    file.finish()
    frames, _ = read(tmp_path / "v.mp4")
    assert [frame.pixels.shape for frame in frames] == [(48, 64, 3)] * 2


def test_no_frames_no_file(tmp_path: Path) -> None:
    VideoFile(tmp_path / "v.mp4", Fraction(25)).finish()
    assert list(tmp_path.iterdir()) == []


def test_an_ending_that_is_none_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"out is not the name of a video; use a name that ends in one of .mp4, .mov"):
        VideoFile(tmp_path / "out", Fraction(25))


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    file = VideoFile(tmp_path / "file" / "v.mp4", Fraction(25))
    with pytest.raises(StorageError, match="cannot write"):
        file.add(picture(0), 0)
    file.finish()
