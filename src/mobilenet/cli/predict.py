"""`mobilenet predict`: name what is on photos."""

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mobilenet.errors import DataError

if TYPE_CHECKING:
    from mobilenet.runtimes import Predictor
    from mobilenet.tasks.classification import Answer

__all__ = ["command"]


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("photos", nargs=-1, required=True)
@click.option("--top", default=5, show_default=True, type=click.IntRange(1), help="Answers for each photo.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(*, model: Path, photos: tuple[str, ...], top: int, as_json: bool) -> None:
    """Name what is on PHOTOS with MODEL, a run folder or a model file.

    PHOTOS are files and folders (with all folders below); a - reads their paths from stdin, one a line. Photos that
    cannot be read are named on stderr and the others are answered; the exit code is 2 when none could be read.
    """
    from mobilenet.runtimes import open_model

    predictor = open_model(model)
    answered = []
    for photo in _answers(predictor, photos, top):
        answered.append(photo.document() if as_json else photo.path)
        if not as_json:
            _print(photo)
    if not answered:
        raise DataError("no photo could be read; each is named above with its reason")
    if as_json:
        click.echo(json.dumps(answered, allow_nan=False))


@dataclass(frozen=True, slots=True)
class _Answered:
    """`parents` are the groups of the first answer; none in models whose classes are flat."""

    path: Path
    predictions: list["Answer"]
    parents: list["Answer"]

    def document(self) -> dict[str, object]:
        parents = {"parents": [asdict(parent) for parent in self.parents]} if self.parents else {}
        return {"file": str(self.path), "predictions": [asdict(answer) for answer in self.predictions], **parents}


def _answers(predictor: "Predictor", photos: Iterable[str], top: int) -> Iterator[_Answered]:
    from mobilenet.runtimes.photos import predict_photos
    from mobilenet.tasks import classification

    labels = predictor.labels
    for photo in predict_photos(predictor, _paths(photos)):
        if photo.outputs is None:
            click.echo(f"mobilenet: {photo.path}: {photo.reason}", err=True)
            continue
        batch = {name: values[None] for name, values in photo.outputs.items()}
        probabilities = classification.checked_probabilities(batch, 1, len(labels))
        predictions = classification.answers(probabilities, labels, top)[0]
        yield _Answered(photo.path, predictions, classification.parents(probabilities[0], labels))


def _paths(photos: Iterable[str]) -> Iterator[Path]:
    """Files as they are named; the photos of a folder in the order of their names."""
    from mobilenet.datasets import find_photos

    for photo in photos:
        if photo == "-":
            yield from _paths(line for line in map(str.strip, sys.stdin) if line not in {"", "-"})
        elif Path(photo).is_dir():
            yield from (Path(photo) / name for name in find_photos(Path(photo)))
        else:
            yield Path(photo)


def _print(photo: _Answered) -> None:
    click.echo(photo.path)
    for answer in photo.predictions:
        click.echo(f"  {100 * answer.probability:5.1f} %  {answer.label}")
    for parent in photo.parents:
        click.echo(f"  {100 * parent.probability:5.1f} %  {parent.label} in all")
