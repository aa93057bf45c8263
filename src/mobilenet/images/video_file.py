"""Frames -> a video file that any player shows, by FFmpeg's libraries in the package av."""

import contextlib
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ConfigError
from mobilenet.files import atomic_path, storage_errors

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import OutputContainer
    from av.video.stream import VideoStream

__all__ = ["VideoFile", "check_video_ending"]

_H264 = ("libx264", "h264_videotoolbox", "libopenh264", "mpeg4")
_ENCODERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    ".mp4": ("mp4", _H264),
    ".mov": ("mov", _H264),
    ".mkv": ("matroska", _H264),
    ".webm": ("webm", ("libvpx-vp9", "libvpx")),
}
"""Container and encoders by the ending of the name. FFmpeg may be built without some: the first one there encodes."""

_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "libx264": {"preset": "veryfast", "crf": "20"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "crf": "30", "b:v": "0"},
    "mpeg4": {"q:v": "3"},
}
_TIME_BASE = Fraction(1, 90_000)
_COLOURS, _RANGE = 1, 1
"""BT.709 and 16…235, as players assume for most sizes, and stated for the others."""


def check_video_ending(path: Path) -> None:
    """ConfigError if a name does not end as a video that can be written."""
    if path.suffix.lower() not in _ENCODERS:
        known = ", ".join(_ENCODERS)
        raise ConfigError(f"{path} is not the name of a video; use a name that ends in one of {known}")


class VideoFile:
    """A video that gets its name when it is finished, with H.264 or, as .webm, VP9; silent.

    Frames are shown at their own times. All get the size of the first one; an odd side grows by a pixel, as the codecs
    demand. ConfigError for a name with another ending, StorageError where it cannot be written.
    """

    def __init__(self, path: Path, frames_per_second: Fraction) -> None:
        check_video_ending(path)
        self._path, self._rate = path, frames_per_second
        self._open = contextlib.ExitStack()
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._last = -1

    def add(self, pixels: NDArray[np.uint8], time_s: float) -> None:
        """Appends a frame, (H, W, 3) uint8 RGB, that is shown from `time_s` on; StorageError."""
        from av import VideoFrame

        even = np.pad(pixels, ((0, pixels.shape[0] % 2), (0, pixels.shape[1] % 2), (0, 0)), "edge")
        with storage_errors(self._path):
            stream = self._begun(even.shape[1], even.shape[0]) if self._stream is None else self._stream
            frame = VideoFrame.from_ndarray(even, format="rgb24")
            frame = frame.reformat(
                stream.width, stream.height, "yuv420p", dst_colorspace=_COLOURS, dst_color_range=_RANGE
            )
            self._last = max(self._last + 1, round(time_s / _TIME_BASE))
            frame.pts, frame.time_base = self._last, _TIME_BASE
            self._write(frame)

    def finish(self) -> None:
        """Ends the video and gives it its name; no frames, no file. StorageError."""
        with self._open:
            if self._stream is not None:
                self._write(None)

    def _begun(self, width: int, height: int) -> "VideoStream":
        import av

        container, encoders = _ENCODERS[self._path.suffix.lower()]
        encoder = next(name for name in encoders if name in av.codecs_available)
        temporary = self._open.enter_context(atomic_path(self._path))
        self._container = self._open.enter_context(av.open(str(temporary), "w", format=container))
        options = dict(_OPTIONS.get(encoder, {}))
        stream = cast("VideoStream", self._container.add_stream(encoder, rate=self._rate, options=options))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = _COLOURS, _RANGE
        stream.time_base = stream.codec_context.time_base = _TIME_BASE
        self._stream = stream
        return stream

    def _write(self, frame: "VideoFrame | None") -> None:
        """Encodes a frame, or with None what the encoder still holds."""
        if self._stream is None or self._container is None:
            raise RuntimeError("the video has not begun")
        self._container.mux(self._stream.encode(frame))
