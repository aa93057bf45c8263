"""`mobilenet evaluate`: evaluates a model on labelled photos."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mobilenet.cli.console import shown
from mobilenet.cli.progress import progress_bar
from mobilenet.cli.sections import print_figures, print_sections

if TYPE_CHECKING:
    from mobilenet.datasets.photos import Photos
    from mobilenet.evaluate import Evaluation
    from mobilenet.images.resize import ResizeMethod
    from mobilenet.runtimes.predictor import Predictor
    from mobilenet.tasks import Task

__all__ = ["command"]


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--exclude", type=click.Path(path_type=Path), help="List of photos to leave out; see mobilenet check.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the full evaluation there as JSON.")
@click.option(
    "--resize",
    default="area",
    show_default=True,
    help="How photos are shrunk: area, or as apps do: bilinear, asymmetric, nearest.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(*, model: Path, data: Path, exclude: Path | None, out: Path | None, resize: str, as_json: bool) -> None:
    """Evaluate MODEL, a run folder or a model file, on DATA: a tree of folders (one per class), a CSV file or shards.

    If DATA has a validation split (folders such as train/ and val/, see docs/data.md), its validation photos are used.
    If the model was trained on DATA and the run made the split, the validation photos that the run recorded are used;
    otherwise, all photos. Photos that the model was trained on are left out. Classes are matched by name.
    """
    from mobilenet.images.resize import check_resize_method
    from mobilenet.runs.judging import photos_to_judge
    from mobilenet.runs.origin import read_origin
    from mobilenet.runtimes.predictor import open_model
    from mobilenet.tasks import task_of_model

    method = check_resize_method(resize)
    predictor = open_model(model)
    task = task_of_model(predictor.task, model)
    judging = photos_to_judge(data, task, predictor.card.vocabulary, read_origin(model, predictor.card), exclude)
    for note in judging.notes:
        click.echo(f"mobilenet: {shown(note)}", err=True)
    evaluation = _measure(predictor, task, judging.photos, method)
    if out is not None:
        evaluation.write(out)
    if as_json:
        click.echo(evaluation.to_json())
    else:
        _print(evaluation, task, judging.says)


def _measure(predictor: "Predictor", task: "Task", photos: "Photos", method: "ResizeMethod") -> "Evaluation":
    from mobilenet.datasets.cache import load as cache
    from mobilenet.evaluate import evaluate

    wanted = predictor.preprocessing
    with progress_bar("decoding") as progress:
        images = cache.load(
            photos, wanted.resolution, crop_fraction=wanted.crop_fraction, methods=(method,), progress=progress
        )
    left_out = images.left_out
    with progress_bar("evaluating") as progress:
        evaluation = evaluate(
            predictor,
            task,
            images,
            images.targets,
            images.files,
            root=photos.root,
            left_out=left_out,
            progress=progress,
        )
    return replace(evaluation, resize=method)


def _print(evaluation: "Evaluation", task: "Task", choice: str) -> None:
    for photo in evaluation.left_out:
        click.echo(f"mobilenet: {shown(photo.file)}: {photo.reason}", err=True)
    left_out = ("photos left out", f"{len(evaluation.left_out):,}")
    shrunk = "" if evaluation.resize == "area" else f"; shrunk by {evaluation.resize}"
    print_figures(f"{evaluation.photos:,} photos: {choice}{shrunk}", task.headline(evaluation), [left_out])
    print_sections(task.sections(evaluation))
