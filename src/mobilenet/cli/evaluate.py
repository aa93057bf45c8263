"""`mobilenet evaluate`: how good a model is on labelled photos."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mobilenet.cli.console import shown
from mobilenet.cli.progress import progress_bar
from mobilenet.cli.sections import print_figures, print_sections
from mobilenet.errors import DataError

if TYPE_CHECKING:
    from mobilenet.datasets import Photos
    from mobilenet.evaluate import Evaluation
    from mobilenet.runtimes import Predictor
    from mobilenet.tasks import Task

__all__ = ["command"]


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--exclude", type=click.Path(path_type=Path), help="A list of photos to leave out: see mobilenet check.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the whole evaluation there, as JSON."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(*, model: Path, data: Path, exclude: Path | None, out: Path | None, as_json: bool) -> None:
    """Measure MODEL, a run folder or a model file, on DATA: a folder with one for each class, a CSV file or shards.

    Where DATA has a validation split (train/ beside validation/, valid/, val/ or test/), those photos are taken. Where
    the model was trained on DATA and the split was made then, it is made again, without the photos that were excluded.
    Otherwise every photo counts. Classes are matched by name.
    """
    from mobilenet.runtimes import open_model
    from mobilenet.tasks import task_of_model

    predictor = open_model(model)
    photos, choice = _choose(model, data, exclude, predictor.labels)
    evaluation = _measure(predictor, photos)
    if out is not None:
        evaluation.write(out)
    if as_json:
        click.echo(evaluation.to_json())
    else:
        _print(evaluation, task_of_model(evaluation.task, model), choice)


def _choose(model: Path, data: Path, exclude: Path | None, labels: tuple[str, ...]) -> tuple["Photos", str]:
    """The photos to judge, labelled by the model's classes, and in words which they are."""
    from mobilenet.datasets import given_split, open_dataset, open_photos, read_exclusions

    if split := given_split(data):
        return open_photos(data, labels, exclude=read_exclusions(exclude)), f"validation photos, {split}"
    training = _split_of_training(model, data)
    if training is None:
        return open_photos(data, labels, exclude=read_exclusions(exclude)), "all photos"
    dataset = open_dataset(data, seed=training.seed, exclude=read_exclusions(exclude or training.exclude))
    return _labelled(dataset.validation, dataset.classes, labels), f"validation photos, {dataset.split}"


@dataclass(frozen=True, slots=True)
class _Split:
    """What the split that was made for a training depended on."""

    seed: int
    exclude: Path | None


def _split_of_training(model: Path, data: Path) -> _Split | None:
    """The split that was made when the model was trained on `data`; None where that is not known."""
    from mobilenet.datasets.remote.urls import full_name
    from mobilenet.report.run_facts import read_run
    from mobilenet.runtimes import model_file

    try:
        run = read_run(model_file(model).parent)
    except DataError:
        return None
    root, seed = run.text("data", "root"), run.number("settings", "seed")
    made = (run.text("data", "split") or "").startswith("made")
    if not (made and root and seed is not None and full_name(Path(root)) == full_name(data)):
        return None
    exclude = run.text("settings", "exclude")
    return _Split(int(seed), Path(exclude) if exclude else None)


def _labelled(photos: "Photos", classes: tuple[str, ...], labels: tuple[str, ...]) -> "Photos":
    from mobilenet.tasks.classification import label_numbers

    return replace(photos, labels=label_numbers(classes, labels)[photos.labels])


def _measure(predictor: "Predictor", photos: "Photos") -> "Evaluation":
    from mobilenet.datasets.cache import load as cache
    from mobilenet.evaluate import evaluate

    wanted = predictor.preprocessing
    with progress_bar("decoding") as progress:
        images = cache.load(photos, wanted.resolution, crop_fraction=wanted.crop_fraction, progress=progress)
    left_out = images.left_out
    with progress_bar("evaluating") as progress:
        return evaluate(
            predictor, images, images.labels, images.files, root=photos.root, left_out=left_out, progress=progress
        )


def _print(evaluation: "Evaluation", task: "Task", choice: str) -> None:
    for photo in evaluation.left_out:
        click.echo(f"mobilenet: {shown(photo.file)}: {photo.reason}", err=True)
    left_out = ("photos left out", f"{len(evaluation.left_out):,}")
    print_figures(f"{evaluation.photos:,} photos: {choice}", task.headline(evaluation), [left_out])
    print_sections(task.sections(evaluation))
