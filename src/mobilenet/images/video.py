"""Video files and cameras -> upright RGB frames, one by one, by FFmpeg's libraries in the package av.

Only one frame is held in memory. What is damaged is left out and counted, and a file that ends early gives the frames
that it has: unlike in a photo, the others are whole.
"""

import contextlib
import os
import stat
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ImageError
from mobilenet.images.decode import Limits

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.error import FFmpegError
    from av.video.stream import VideoStream

__all__ = ["ENDINGS", "Frame", "Video", "is_video", "open_video"]

ENDINGS = frozenset(
    {".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts"}
    | {".webm", ".wmv"}
)
"""Of the names of files that are taken for videos, in lower case."""

_CAMERA = "camera:"
_WAIT_S = 0.005
_USUAL_RATE = Fraction(30)
_MISSING_S = 0.5
"""A file that ends earlier than it says, by more than this and by more than two frames, has lost its end."""

_DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a video: its `number` from 0, seconds since the first one, upright `pixels` (H, W, 3) uint8."""

    number: int
    time_s: float
    pixels: NDArray[np.uint8]


def is_video(source: str) -> bool:
    """Whether a source is a camera, such as `camera:0`, or the name of a video file, by its ending."""
    return source.startswith(_CAMERA) or Path(source).suffix.lower() in ENDINGS


@contextlib.contextmanager
def open_video(source: str, *, limits: Limits = _DEFAULT_LIMITS) -> "Iterator[Video]":
    """A video file by its path, or the camera `camera:0`, open while this lasts; ImageError says why it cannot be.

    Needs the package av: ModuleNotFoundError without it.
    """
    import av

    try:
        container = _camera(source.removeprefix(_CAMERA)) if source.startswith(_CAMERA) else _file(Path(source))
    except av.error.FFmpegError as error:
        raise ImageError(_not_opened(source, error)) from error
    with container:
        yield Video(container, limits)


class Video:
    """An open video; ImageError if it has no pictures or more pixels than the limit."""

    def __init__(self, container: "InputContainer", limits: Limits = _DEFAULT_LIMITS) -> None:
        if not container.streams.video:
            what = "sound without a video" if container.streams.audio else "no video in it; copy or download it again"
            raise ImageError(what)
        self._container, self._stream = container, container.streams.video[0]
        width, height = self._stream.codec_context.width, self._stream.codec_context.height
        if width * height > limits.pixels:
            raise ImageError(f"{width} x {height} pixels is more than the limit of {limits.pixels:,}")
        self._stream.thread_type = "AUTO"
        self._limits = limits
        self._damaged = 0
        self._stopped: str | None = None
        self._end_s = 0.0

    @property
    def frames_per_second(self) -> Fraction:
        """The average that the file states, 30 if it states none."""
        return self._stream.average_rate or self._stream.guessed_rate or _USUAL_RATE

    def frames(self, every: int = 1) -> Iterator[Frame]:
        """The frames in their order, from the first one on every `every`th; to be called once."""
        first = None
        for number, picture in enumerate(self._pictures()):
            at = float(number / self.frames_per_second) if picture.time is None else picture.time
            first = at if first is None else first
            self._end_s = at + self._shown_s(picture)
            if number % every == 0:
                yield Frame(number, at - first, _upright(picture))

    def problem(self) -> str | None:
        """What was wrong with the frames that have been read to the end, in words; None if all were there."""
        found = []
        if self._damaged:
            parts = "part is" if self._damaged == 1 else "parts are"
            found.append(f"{self._damaged:,} {parts} damaged and left out")
        if self._stopped is not None:
            found.append(self._stopped)
        elif (whole_s := self._stated_s()) - self._end_s > max(_MISSING_S, float(2 / self.frames_per_second)):
            found.append(f"it ends after {self._end_s:.1f} s of {whole_s:.1f} s; copy or download it again")
        return "; ".join(found) or None

    def _shown_s(self, picture: "VideoFrame") -> float:
        """How long a frame is shown: that of a drawing or of the last one may be seconds."""
        if picture.duration and picture.time_base is not None:
            return float(picture.duration * picture.time_base)
        return float(1 / self.frames_per_second)

    def _pictures(self) -> "Iterator[VideoFrame]":
        from av.error import FFmpegError

        try:
            for packet in self._packets():
                yield from self._decoded(packet)
        except FFmpegError as error:
            self._stopped = f"it cannot be read any further: {_reason(error)}"
            yield from self._decoded(None)

    def _packets(self) -> "Iterator[Packet[VideoStream]]":
        """The parts of the file, and an empty one at its end, on which a decoder gives the frames that it still has."""
        from av.error import BlockingIOError as NotReady

        while True:
            try:
                yield from self._container.demux(self._stream)
            except NotReady:
                # A camera of macOS that has no new frame yet.
                time.sleep(_WAIT_S)
            else:
                return

    def _decoded(self, packet: "Packet[VideoStream] | None") -> "Iterator[VideoFrame]":
        from av.error import EOFError as Finished
        from av.error import FFmpegError

        try:
            pictures = self._stream.codec_context.decode(packet)
        except Finished:
            return
        except FFmpegError:
            self._damaged += 1
            return
        for picture in pictures:
            # What a decoder makes up in place of a damaged frame is no answer to what was there.
            if picture.is_corrupt or picture.width * picture.height > self._limits.pixels:
                self._damaged += 1
            else:
                yield picture

    def _stated_s(self) -> float:
        """How long the file says that the video is; 0 where it does not."""
        import av

        stream = self._stream
        if stream.duration is not None and stream.time_base is not None:
            return float(stream.duration * stream.time_base)
        only = len(self._container.streams) == 1
        return self._container.duration / av.time_base if only and self._container.duration else 0.0


def _file(path: Path) -> "InputContainer":
    import av

    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise ImageError(f"cannot be read: {(reason or str(error)).lower()}") from error
    if not stat.S_ISREG(status.st_mode):
        raise ImageError("not a regular file")
    if not status.st_size:
        raise ImageError("empty file; copy or download it again")
    # A playlist may name other files and addresses: none of them is opened.
    return av.open(f"file:{os.fspath(path)}", options={"protocol_whitelist": "file"}, metadata_errors="replace")


def _camera(name: str) -> "InputContainer":
    import av

    if not name.isdecimal():
        raise ImageError(f"{name!r} is not the number of a camera; use camera:0 for the first one")
    if sys.platform == "darwin":
        # AVFoundation opens a camera only with a rate that the camera has, and all of Apple's have this one.
        return av.open(name, format="avfoundation", options={"framerate": "30"})
    return av.open(f"/dev/video{name}", format="v4l2")


def _not_opened(source: str, error: "FFmpegError") -> str:
    if not source.startswith(_CAMERA):
        return f"not a readable video: {_reason(error)}; copy or download it again"
    if isinstance(error, PermissionError):
        return "cannot be opened: permission denied; add the user to the group video, or allow it in the settings"
    return f"cannot be opened: {_reason(error)}; check that it is connected and that no other program uses it"


def _reason(error: "FFmpegError") -> str:
    return (error.strerror or str(error)).lower()


def _upright(picture: "VideoFrame") -> NDArray[np.uint8]:
    """RGB, turned as the file says: a phone that is held upright writes pictures that lie on their side."""
    pixels = np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)
    return np.ascontiguousarray(np.rot90(pixels, round(picture.rotation / 90)))
