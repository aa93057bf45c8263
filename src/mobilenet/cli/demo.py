"""`mobilenet demo`: the commands that a user runs, one after the other, on scenes that it draws itself."""

import contextlib
import os
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mobilenet.cli.console import print_json
from mobilenet.cli.progress import progress_bar
from mobilenet.runs.folder import RunFolder

if TYPE_CHECKING:
    from mobilenet.scenes.folder import SceneSettings

__all__ = ["command"]

_NETWORK = ("--width", "0.25", "--resolution", "96")
_RECIPE = ("--optimizer", "adamw", "--learning-rate", "0.006", "--crop-area", "0.8", "--warmup-epochs", "2")
"""Small and fast to train; the objects are in full view, so that crops need not be small."""

_PREDICTED = ("fish", "scissors", "umbrella")


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default="mobilenet-demo", show_default=True, help="Folder.")
@click.option("--scenes", type=int, default=6000, show_default=True, help="To train on; a sixth more to validate.")
@click.option("--minutes", type=float, default=2.5, show_default=True, help="Training time.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(*, out: Path, scenes: int, minutes: float, seed: int, as_json: bool) -> None:
    """Draw labelled scenes of ten kinds of object, train on them, evaluate, predict and report.

    Each step but the drawing is a command as anybody would type it, printed before it runs. Everything stays in --out;
    scenes that are there already are used again, and each demo is a run of its own.
    """
    from mobilenet.scenes.folder import SceneSettings

    start = time.perf_counter()
    settings = SceneSettings(train=scenes, validation=max(scenes // 6, 10), seed=seed)
    # With --json nothing but the document may reach stdout.
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        data = _draw(out / "scenes", settings)
        run = _new_run(out)
        _train(data, run, minutes, seed)
        _say_and_run("evaluate", str(run), str(data))
        _say_and_run("predict", str(run), *_photos(data), "--top", "2")
        _say_and_run("report", str(run))
    seconds = time.perf_counter() - start
    if as_json:
        print_json(_document(data, run, seconds))
    else:
        _show(data, run, seconds)


def _draw(folder: Path, settings: "SceneSettings") -> Path:
    from mobilenet.scenes.folder import write_scenes

    total = settings.train + settings.validation
    with progress_bar("drawing scenes") as progress:
        drawn = write_scenes(folder, settings, workers=_cores(), progress=progress)
    click.echo(f"{'drew' if drawn else 'found'} {total:,} scenes in {folder}")
    return folder


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _new_run(out: Path) -> Path:
    run, number = out / "run", 2
    while run.exists():
        run, number = out / f"run-{number}", number + 1
    return run


def _train(data: Path, run: Path, minutes: float, seed: int) -> None:
    length = ("--minutes", f"{minutes:g}", "--seed", str(seed))
    _say_and_run("train", str(data), *_NETWORK, *length, *_RECIPE, "--out", str(run))


def _photos(data: Path) -> list[str]:
    """The first validation photo of a few kinds."""
    return [str(min((data / "validation" / kind).iterdir())) for kind in _PREDICTED]


def _say_and_run(*words: str) -> None:
    """Print a command as a user types it, and run it; where it fails, so does the demo, with its exit code."""
    from mobilenet.cli.main import main

    click.echo(f"\n$ mobilenet {shlex.join(words)}")
    exit_code = main(words)
    if exit_code:
        raise click.exceptions.Exit(exit_code)


def _document(data: Path, run: Path, seconds: float) -> dict[str, object]:
    from mobilenet.evaluate import Evaluation
    from mobilenet.tasks import task_of_model

    evaluation = Evaluation.read(RunFolder(run).evaluation)
    goal = task_of_model(evaluation.task, run).goal.name
    return {
        goal: evaluation.figures[goal],
        "validation_photos": evaluation.photos,
        "scenes": str(data),
        "run": str(run),
        "model": str(RunFolder(run).model),
        "report": str(RunFolder(run).report),
        "seconds": round(seconds, 1),
    }


def _show(data: Path, run: Path, seconds: float) -> None:
    click.echo(f"\nAll done in {seconds:.0f} s. Everything is in {run.parent}:")
    places = {"scenes": data, "model": RunFolder(run).model, "report": RunFolder(run).report}
    for name, path in places.items():
        click.echo(f"  {name:7} {path}")
