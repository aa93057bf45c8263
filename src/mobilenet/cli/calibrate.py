"""`mobilenet calibrate`: a model's temperature and thresholds, fitted anew."""

import json
from pathlib import Path

import click

from mobilenet.cli.console import print_json, shown
from mobilenet.cli.params import Named
from mobilenet.cli.progress import progress_bar
from mobilenet.cli.sections import print_figures

__all__ = ["command"]


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--exclude", type=click.Path(path_type=Path), help="List of photos to leave out; see mobilenet check.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The model file to write.  [default: MODEL-calibrated.safetensors]",
)
@click.option(
    "--task-option",
    "task_options",
    multiple=True,
    type=Named(),
    help="Option of the task, such as false_accept_rate=0.001; repeat for several.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(
    *,
    model: Path,
    data: Path,
    exclude: Path | None,
    out: Path | None,
    task_options: tuple[tuple[str, str], ...],
    as_json: bool,
) -> None:
    """Fit the confidence and the thresholds of MODEL, a run folder or a .safetensors file, to DATA.

    Training fits them to its validation photos; photos from the place where the model will work are a better guide. The
    weights stay the same but for one factor in the last layer; no answer changes but by its threshold. Writes a new
    model file. Photos that the model was trained on are left out.

    \b
    mobilenet calibrate runs/photos shop-photos/
    mobilenet calibrate runs/vectors pairs.csv --task-option false_accept_rate=0.001
    """
    from mobilenet.datasets.cache import load as cache
    from mobilenet.errors import DataError
    from mobilenet.nn.model_file import read_model, write_model
    from mobilenet.runs.judging import photos_to_judge
    from mobilenet.runs.origin import read_origin
    from mobilenet.tasks import configured, task_of_model
    from mobilenet.training.finish import finish

    file, written = _files(model, out)
    network, card = read_model(file)
    task = configured(task_of_model(card.task, model), task_options)
    judging = photos_to_judge(data, task, card.vocabulary, read_origin(model, card), exclude)
    for note in judging.notes:
        click.echo(f"mobilenet: {shown(note)}", err=True)
    wanted = card.preprocessing
    with progress_bar("decoding") as progress:
        photos = cache.load(judging.photos, wanted.resolution, crop_fraction=wanted.crop_fraction, progress=progress)
    for photo in photos.left_out:
        click.echo(f"mobilenet: {shown(photo.file)}: {photo.reason}", err=True)
    found = finish(network, card, task, photos, file)
    if found.note:
        click.echo(f"mobilenet: {found.note}", err=True)
    if not found.fitted:
        raise DataError("; ".join(("nothing was fitted, and nothing written", *task.summary(found.evaluation))))
    write_model(written, found.network, found.card)
    if as_json:
        fitted = {"temperatures": dict(found.card.temperatures), "decoding": dict(found.card.decoding)}
        print_json({"model": str(written), **fitted, "evaluation": json.loads(found.evaluation.to_json())})
        return
    evaluation = found.evaluation
    print_figures(f"{evaluation.photos:,} photos: {judging.says}", task.headline(evaluation))
    for line in task.summary(evaluation):
        click.echo(line)
    click.echo(f"model   {shown(str(written))}")


def _files(model: Path, out: Path | None) -> tuple[Path, Path]:
    """The model file to read and the one to write; ConfigError, StorageError."""
    from mobilenet.errors import ConfigError
    from mobilenet.files import check_writable
    from mobilenet.runtimes.predictor import model_file

    if out is not None and out.suffix.lower() != ".safetensors":
        raise ConfigError(f"{out} would be a model file; use a name that ends in .safetensors")
    file = model_file(model)
    if file.suffix.lower() != ".safetensors":
        raise ConfigError(f"{file} is an exported file; calibrate the run or the .safetensors file, and export again")
    written = out or file.with_name(f"{file.stem}-calibrated.safetensors")
    check_writable(written.parent)
    return file, written
