"""`mobilenet predict`: answers for photos."""

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import click

from mobilenet.cli.console import shown
from mobilenet.cli.params import Named, Share
from mobilenet.errors import ConfigError, DataError
from mobilenet.files import check_writable

if TYPE_CHECKING:
    from mobilenet.cli.video import Clip
    from mobilenet.model.card import ModelCard
    from mobilenet.runtimes.predictor import Predictor
    from mobilenet.tasks.task import Answer, Options, Task, Writer

__all__ = ["command", "paths_of"]

_SHARE = Share("confidence", "0.6 or 60%")


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("photos", nargs=-1, required=True)
@click.option(
    "--top", type=click.IntRange(1), help="Answers per photo.  [default: 5 classes, or every box above the threshold]"
)
@click.option(
    "--min-confidence",
    type=_SHARE,
    help="Mark a photo as uncertain if its best answer is less probable than this, such as 0.6 or 60%; leave out boxes "
    "that are.",
)
@click.option(
    "--save",
    "saved",
    multiple=True,
    type=Named(example="drawn=out"),
    help="Also write the answers to a new file or folder, such as drawn=FOLDER, coco=FILE or yolo=FOLDER for boxes, "
    "or drawn=FILE.mp4 for a video; repeat for several.",
)
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write an HTML page with the answers drawn on the photos, and maps where they are places.",
)
@click.option("--every", type=click.IntRange(1), help="Answer for every Nth frame of a video.  [default: 1]")
@click.option("--show", is_flag=True, help="Show a video with its answers in a window.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document, or one per frame of a video, and nothing else."
)
def command(
    *,
    model: Path,
    photos: tuple[str, ...],
    top: int | None,
    min_confidence: float | None,
    saved: tuple[tuple[str, str], ...],
    html: Path | None,
    every: int | None,
    show: bool,
    as_json: bool,
) -> None:
    """Answer for PHOTOS with MODEL, a run folder or a model file: classes, attributes or boxes.

    PHOTOS are files and folders (searched recursively); - reads paths from stdin, one per line. Photos that cannot be
    read and folders without photos are named on stderr and skipped; the exit code is 2 if no photo could be read.
    Instead of photos, it may be one video file, or a camera: camera:0 is the first one.
    """
    from mobilenet.runtimes.predictor import open_model
    from mobilenet.tasks import task_of_model
    from mobilenet.tasks.task import Options

    clip = _clip(photos, saved, html, every, shown=show, as_json=as_json)
    predictor = open_model(model)
    task = task_of_model(predictor.task, model)
    if clip is not None:
        from mobilenet.cli.video import predict_video

        predict_video(predictor, task, Options(top, min_confidence), clip)
        return
    answered: list[dict[str, Any] | Path] = []
    with _writing([*_writers(task, predictor.card, saved), *_pages(html, model)]) as writers:
        names = _Names(photos)
        for path, answer in _answers(predictor, task, photos, Options(top, min_confidence)):
            answered.append({"file": str(path), **answer.to_json()} if as_json else path)
            name = names.of(path)
            for writer in writers:
                writer.add(name, path, answer)
            if not as_json:
                click.echo("\n  ".join((str(path), *answer.lines())))
    if not answered:
        raise DataError("no photo could be read; the reason for each is above")
    if as_json:
        click.echo(json.dumps(answered, allow_nan=False))
    elif html is not None:
        click.echo(f"page  {html}")


def _clip(
    photos: Sequence[str],
    saved: Sequence[tuple[str, str]],
    html: Path | None,
    every: int | None,
    *,
    shown: bool,
    as_json: bool,
) -> "Clip | None":
    """The video among the arguments, None if they are photos; ConfigError for options that do not go with it."""
    from mobilenet.images.video import is_video

    source = next(filter(is_video, photos), None)
    if source is None:
        if every is not None or shown:
            raise ConfigError(f"{'--show' if shown else '--every'} is for a video or a camera, such as camera:0")
        return None
    if html is not None:
        raise ConfigError("--html is for photos; use --save drawn=FILE.mp4 for a video")
    if len(photos) > 1:
        raise ConfigError(f"{source} is a video, of which predict takes one at a time and without photos")
    from mobilenet.cli.video import Clip

    return Clip(source, every or 1, as_json, tuple(_new_video(kind, Path(place)) for kind, place in saved), shown)


def _new_video(kind: str, path: Path) -> Path:
    from mobilenet.images.video_file import check_video_ending

    if kind != "drawn":
        raise ConfigError(f"a video cannot be saved as {kind!r}; use drawn=FILE.mp4, or --json to keep its answers")
    check_video_ending(path)
    return _unused(path)


def _answers(
    predictor: "Predictor", task: "Task", photos: Iterable[str], options: "Options"
) -> Iterator[tuple[Path, "Answer"]]:
    import numpy as np

    from mobilenet.runtimes.photos import predict_photos

    for photo in predict_photos(predictor, paths_of(photos)):
        if photo.outputs is None:
            click.echo(f"mobilenet: {shown(str(photo.path))}: {photo.reason}", err=True)
        else:
            yield photo.path, task.decode(photo.outputs, predictor.card, np.array([photo.size]), options)[0]


def _writers(task: "Task", card: "ModelCard", saved: Sequence[tuple[str, str]]) -> list["Writer"]:
    """What the answers are written by; ConfigError for a format that the task doesn't have, and for what exists."""
    for kind, _ in saved:
        if kind not in task.writers:
            known = ", ".join(task.writers)
            raise ConfigError(
                f"unknown format {kind!r} for --save; use one of {known}"
                if known
                else f"{task.name} has no format for --save; use --json to keep its answers"
            )
    return [task.writers[kind](_unused(Path(place)), card) for kind, place in saved]


def _pages(html: Path | None, model: Path) -> list["Writer"]:
    if html is None:
        return []
    from mobilenet.report.answers_page import AnswersPage

    return [AnswersPage(html, model)]


def _unused(place: Path) -> Path:
    if place.is_dir() and any(place.iterdir()):
        raise ConfigError(f"{place} is not empty; give --save a new folder")
    if place.exists() and not place.is_dir():
        raise ConfigError(f"{place} already exists; give --save a new name")
    check_writable(place.parent)
    return place


@contextlib.contextmanager
def _writing(writers: list["Writer"]) -> Iterator[list["Writer"]]:
    """What is interrupted has written the answers that there are."""
    try:
        yield writers
    finally:
        for writer in writers:
            writer.finish()


class _Names:
    """What answers are written under: a photo's path below the folder that was given, or its name alone, with a number
    where another photo had it already."""

    def __init__(self, photos: Iterable[str]) -> None:
        self._folders = [Path(photo) for photo in photos if photo != "-"]
        self._used: set[PurePosixPath] = set()

    def of(self, path: Path) -> PurePosixPath:
        folder = next((one for one in self._folders if one != path and path.is_relative_to(one)), path.parent)
        plain = PurePosixPath(path.relative_to(folder))
        name, number = plain, 1
        while name.with_suffix("") in self._used:
            number += 1
            name = plain.with_stem(f"{plain.stem}-{number}")
        self._used.add(name.with_suffix(""))
        return name


def paths_of(photos: Iterable[str]) -> Iterator[Path]:
    """Files as given; the photos of a folder in the order of their names."""
    for photo in photos:
        if photo == "-":
            yield from paths_of(line for line in map(str.strip, sys.stdin) if line not in {"", "-"})
        # Unlike Path.is_dir, it is false for a path that cannot be looked up; reading it says why.
        elif os.path.isdir(photo):  # noqa: PTH112
            yield from _photos_in(Path(photo))
        else:
            yield Path(photo)


def _photos_in(folder: Path) -> Iterator[Path]:
    """The photos of a folder; one without photos is named on stderr, and the others are still answered."""
    from mobilenet.datasets.sources.folders import find_photos

    try:
        names = find_photos(folder, _note)
    except DataError as error:
        _note(str(error))
        return
    yield from (folder / name for name in names)


def _note(text: str) -> None:
    click.echo(f"mobilenet: {shown(text)}", err=True)
