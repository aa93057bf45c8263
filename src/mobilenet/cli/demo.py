"""`mobilenet demo`: the commands that a user runs, one after the other, on scenes that it draws itself."""

import contextlib
import json
import os
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mobilenet.cli.console import print_json
from mobilenet.cli.progress import progress_bar
from mobilenet.errors import ConfigError
from mobilenet.tasks.default import DEFAULT

if TYPE_CHECKING:
    from mobilenet.scenes.folder import SceneSettings

__all__ = ["command"]

_CANDIDATES = ("--widths", "0.125,0.25", "--resolutions", "64,96", "--runtime", "litert")
"""Few, small and quickly trained; the largest of them tells the scenes apart."""

_RECIPE = ("--crop-area", "0.8")
"""The objects are in full view, so that crops need not be small."""

_PREDICTED = ("fish", "scissors", "umbrella")


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default="mobilenet-demo", show_default=True, help="Folder.")
@click.option("--scenes", type=int, default=6000, show_default=True, help="To train on; a sixth more to validate.")
@click.option("--latency", default="2ms", show_default=True, help="The budget: see mobilenet fit.")
@click.option("--task", default=DEFAULT, show_default=True, help="What to learn of the scenes.")
@click.option("--epochs", type=int, default=14, show_default=True, help="Of the full training.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(*, out: Path, scenes: int, latency: str, task: str, epochs: int, seed: int, as_json: bool) -> None:
    """Draw labelled scenes of ten kinds of object, fit a model to a latency budget, and label scenes with its file.

    The scenes know the kind of their object, its colour and pattern, and whether it is large or partly hidden: --task
    chooses what is learned.

    Each step but the drawing is a command as anybody would type it, printed before it runs. Everything stays in --out;
    scenes that are there already are used again, and each demo has a search of its own.
    """
    from mobilenet.scenes.folder import SceneSettings

    start = time.perf_counter()
    settings = SceneSettings(train=scenes, validation=max(scenes // 6, 10), seed=seed)
    # With --json nothing but the document may reach stdout.
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        data = _draw(out / "scenes", settings)
        fit = _new_folder(out)
        length = ("--epochs", str(epochs), "--seed", str(seed))
        labels = _labels(data, task)
        _say_and_run("fit", *labels, "--latency", latency, *_CANDIDATES, *_RECIPE, *length, "--out", str(fit))
        found = _found(fit, task)
        if _gives_vectors(task):
            _say_and_run("similar", str(found["model"]), *_photos(data), str(data / "train"), "--top", "2")
        else:
            _say_and_run("predict", str(found["model"]), *_photos(data), "--top", "2")
    document = {**found, "scenes": str(data), "seconds": round(time.perf_counter() - start, 1)}
    if as_json:
        print_json(document)
    else:
        _show(document, task)


def _draw(folder: Path, settings: "SceneSettings") -> Path:
    from mobilenet.scenes.folder import write_scenes

    total = settings.train + settings.validation
    with progress_bar("drawing scenes") as progress:
        drawn = write_scenes(folder, settings, workers=_cores(), progress=progress)
    click.echo(f"{'drew' if drawn else 'found'} {total:,} scenes in {folder}")
    return folder


def _labels(data: Path, task: str) -> tuple[str, ...]:
    """The scenes as data of that task, in words of a command: their folder, or a table in it. ConfigError if they have
    no labels for it."""
    from mobilenet.tasks import task_named, task_of

    wanted = task_named(task)
    found = next((place for place in (data, *sorted(data.glob("*.csv"))) if task_of(place) is wanted), None)
    if found is not None:
        return (str(found),)
    if _gives_vectors(task):
        # Classes say which photos are alike; they are read so only for a task that is named.
        return (str(data), "--task", task)
    raise ConfigError(f"the scenes have no labels for {task}; use another --task")


def _gives_vectors(task: str) -> bool:
    """Whether a network for this task answers with vectors, which are compared, instead of names."""
    from mobilenet.model.vocabulary import Vocabulary
    from mobilenet.spec.mobilenet import mobilenet_v1
    from mobilenet.tasks import task_named

    head = task_named(task).head(mobilenet_v1(0.25, 64, 0), Vocabulary(("one", "two")))
    return head is not None and any(output.ending == "l2" for output in head.outputs)


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _new_folder(out: Path) -> Path:
    folder, number = out / "fit", 2
    while folder.exists():
        folder, number = out / f"fit-{number}", number + 1
    return folder


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


def _found(fit: Path, task: str) -> dict[str, Any]:
    """What the search wrote about the file that it chose, all of it proven or measured."""
    from mobilenet.tasks import task_named

    found = json.loads((fit / "fit.json").read_text("ascii"))
    chosen, winner = found["chosen"], found["winner"]
    return {
        task_named(task).goal.name: chosen["accuracy"],
        "validation_photos": chosen["proof"]["photos"],
        "width_multiplier": winner["width_multiplier"],
        "resolution": winner["resolution"],
        "precision": chosen["precision"],
        "p95_ms": chosen["p95_ms"],
        "latency_limit_ms": found["limits"]["latency_ms"],
        "size_bytes": chosen["size_bytes"],
        "fit": str(fit),
        "model": found["model"],
        "report": str(fit / "report.html"),
    }


def _show(found: dict[str, Any], task: str) -> None:
    from mobilenet.tasks import task_named

    goal = task_named(task).goal
    click.echo(f"\nDone in {found['seconds']:.0f} s. The exported file:")
    for name, value in (
        (goal.title, f"{found[goal.name]:.1%} on {found['validation_photos']:,} validation scenes"),
        ("latency", f"{found['p95_ms']:.3g} ms at p95, the budget is {found['latency_limit_ms']:g} ms"),
        ("size", f"{found['size_bytes']:,} bytes"),
        ("scenes", found["scenes"]),
        ("model", found["model"]),
        ("report", found["report"]),
    ):
        click.echo(f"  {name:8} {value}")
