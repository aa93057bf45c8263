"""`mobilenet predict`: classifies photos."""

import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mobilenet.cli.console import shown
from mobilenet.cli.params import Share
from mobilenet.errors import DataError

if TYPE_CHECKING:
    from mobilenet.runtimes.predictor import Predictor
    from mobilenet.tasks.task import Answer, Options, Task

__all__ = ["command", "paths_of"]

_SHARE = Share("confidence", "0.6 or 60%")


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("photos", nargs=-1, required=True)
@click.option("--top", default=5, show_default=True, type=click.IntRange(1), help="Answers per photo.")
@click.option(
    "--min-confidence",
    type=_SHARE,
    help="Mark a photo as uncertain if its best answer is less probable than this, such as 0.6 or 60%.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(*, model: Path, photos: tuple[str, ...], top: int, min_confidence: float | None, as_json: bool) -> None:
    """Classify PHOTOS with MODEL, a run folder or a model file.

    PHOTOS are files and folders (searched recursively); - reads paths from stdin, one per line. Photos that cannot be
    read and folders without photos are named on stderr and skipped; the exit code is 2 if no photo could be read.
    """
    from mobilenet.runtimes.predictor import open_model
    from mobilenet.tasks import task_of_model
    from mobilenet.tasks.task import Options

    predictor = open_model(model)
    task = task_of_model(predictor.task, model)
    answered: list[dict[str, Any] | Path] = []
    for path, answer in _answers(predictor, task, photos, Options(top, min_confidence)):
        answered.append({"file": str(path), **answer.to_json()} if as_json else path)
        if not as_json:
            click.echo(path)
            for line in answer.lines():
                click.echo(f"  {line}")
    if not answered:
        raise DataError("no photo could be read; the reason for each is above")
    if as_json:
        click.echo(json.dumps(answered, allow_nan=False))


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
