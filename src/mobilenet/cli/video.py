"""`mobilenet predict` with a video or a camera: answers for its frames, printed, drawn and shown."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click
import numpy as np
from numpy.typing import NDArray

from mobilenet.cli.console import print_json, shown
from mobilenet.cli.window import Window, WindowClosedError
from mobilenet.errors import DataError, ImageError
from mobilenet.images.video import Frame, Video, open_video
from mobilenet.images.video_file import VideoFile
from mobilenet.runtimes.frames import predict_frames

if TYPE_CHECKING:
    from mobilenet.runtimes.predictor import Predictor
    from mobilenet.tasks.task import Answer, Options, Task

__all__ = ["Clip", "predict_video"]


@dataclass(frozen=True, slots=True)
class Clip:
    """What is read: every `every`th frame of `source`, a file or a camera; and what becomes of the answers: printed as
    JSON or as text, drawn in new video files, and `shown` in a window."""

    source: str
    every: int
    as_json: bool
    drawn: tuple[Path, ...]
    shown: bool


class _Screen(Protocol):
    """Where frames with their answers go."""

    def add(self, pixels: NDArray[np.uint8], time_s: float) -> None: ...

    def finish(self) -> None: ...


def predict_video(predictor: "Predictor", task: "Task", options: "Options", clip: Clip) -> None:
    """Answers for a video; what is interrupted has written the frames that there are. DataError if it has none, or
    cannot be opened."""
    with _opened(clip.source) as video, contextlib.ExitStack() as ends:
        screens = list(_screens(clip, video.frames_per_second / clip.every))
        for screen in screens:
            ends.callback(screen.finish)
        printed = _print_line if clip.as_json else _print_text
        answered = 0
        with contextlib.suppress(WindowClosedError):
            for frame, outputs in predict_frames(predictor, video.frames(clip.every)):
                answer = task.decode(outputs, predictor.card, np.array([frame.pixels.shape[:2]]), options)[0]
                printed(frame, answer)
                answered += 1
                _draw(frame, answer, screens)
        _report(clip.source, video, answered)


@contextlib.contextmanager
def _opened(source: str) -> Iterator[Video]:
    try:
        with open_video(source) as video:
            yield video
    except ImageError as error:
        raise DataError(f"{shown(source)}: {error}") from error


def _screens(clip: Clip, frames_per_second: Fraction) -> Iterator[_Screen]:
    yield from (VideoFile(path, frames_per_second) for path in clip.drawn)
    if clip.shown:
        yield Window(clip.source)


def _draw(frame: Frame, answer: "Answer", screens: list[_Screen]) -> None:
    if screens:
        pixels = answer.drawn(frame.pixels)
        for screen in screens:
            screen.add(pixels, frame.time_s)


def _print_line(frame: Frame, answer: "Answer") -> None:
    numbers: dict[str, Any] = {"frame": frame.number, "time_s": round(frame.time_s, 6)}
    print_json({**numbers, **answer.to_json()})


def _print_text(frame: Frame, answer: "Answer") -> None:
    click.echo(f"frame {frame.number}, {frame.time_s:.2f} s")
    for line in answer.lines():
        click.echo(f"  {line}")


def _report(source: str, video: Video, answered: int) -> None:
    problem = video.problem()
    if not answered:
        raise DataError(f"{shown(source)}: no frame could be read{f': {problem}' if problem else ''}")
    if problem:
        click.echo(f"mobilenet: {shown(source)}: {problem}", err=True)
