"""`mobilenet demo`: the commands that a user runs, one after the other, on scenes that it draws itself."""

import contextlib
import json
import os
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mobilenet.cli.console import print_json
from mobilenet.cli.progress import progress_bar
from mobilenet.errors import ConfigError
from mobilenet.tasks.default import DEFAULT

if TYPE_CHECKING:
    from mobilenet.scenes.folder import Objects, SceneSettings

__all__ = ["command"]

_CANDIDATES = ("--widths", "0.125,0.25", "--resolutions", "64,96", "--runtime", "litert")
"""Few, small and quickly trained; the largest of them tells the scenes apart."""

_PREDICTED = ("fish", "scissors", "umbrella")

_DETECTOR = ("--width", "0.35", "--resolution", "160")
"""Narrow, so that there is time for many steps from random weights."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """Scenes of one kind: what they show, how many to train on, their side in pixels, epochs of the full training
    (minutes on two cores), and what else the search for a network is told; None where one is trained without a budget.
    """

    objects: "Objects"
    scenes: int
    side: int
    epochs: int
    recipe: tuple[str, ...] | None

    @property
    def folder(self) -> str:
        return "scenes" if self.objects == "one" else f"scenes-{self.objects}"


_KINDS: dict[str, _Kind] = {
    kind.objects: kind
    for kind in (
        # The objects are in full view, so that crops need not be small.
        _Kind("one", 6000, 128, 14, ("--crop-area", "0.8")),
        _Kind("several", 2000, 160, 30, None),
        _Kind("land", 8000, 128, 20, ("--crop-area", "0.8")),
    )
}


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default="mobilenet-demo", show_default=True, help="Folder.")
@click.option(
    "--scenes",
    type=int,
    help="To train on; a sixth more to validate.  [default: 6000; 2000 with several objects; 8000 with land]",
)
@click.option("--latency", help="The budget: see mobilenet fit.  [default: 2ms, none with several objects]")
@click.option("--task", default=DEFAULT, show_default=True, help="What to learn of the scenes.")
@click.option("--epochs", type=int, help="Of the full training.  [default: 14; 30 with several objects; 20 with land]")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(
    *,
    out: Path,
    scenes: int | None,
    latency: str | None,
    task: str,
    epochs: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Draw labelled scenes of ten kinds of object, fit a model to a latency budget, and label scenes with its file.

    The scenes know the kind of their object, its colour and pattern, and whether it is large or partly hidden: --task
    chooses what is learned. A task of several objects in a photo gets such scenes, with the box of each object, and is
    trained from random weights, without a budget. A task of places gets views of land from above, on an Earth that is
    drawn as well.

    Each step but the drawing is a command as anybody would type it, printed before it runs. Everything stays in --out;
    scenes that are there already are used again, and each demo has a search of its own.
    """
    from mobilenet.scenes.folder import SceneSettings
    from mobilenet.tasks import task_named

    start = time.perf_counter()
    kind = _KINDS[task_named(task).scenes]
    if kind.recipe is None and latency is not None:
        raise click.UsageError(f"the demo of {task} has no budget; leave out --latency")
    count = kind.scenes if scenes is None else scenes
    settings = SceneSettings(count, max(count // 6, 10), seed, kind.side, kind.objects)
    length = ("--epochs", str(kind.epochs if epochs is None else epochs), "--seed", str(seed))
    # With --json nothing but the document may reach stdout.
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        data = _draw(out / kind.folder, settings)
        if kind.recipe is None:
            found = _train(data, out, task, (*_DETECTOR, *length))
        else:
            found = _fit(data, out, task, kind, (latency or "2ms", *_CANDIDATES, *kind.recipe, *length))
    document = {**found, "scenes": str(data), "seconds": round(time.perf_counter() - start, 1)}
    if as_json:
        print_json(document)
    else:
        _show(document, task)


def _fit(data: Path, out: Path, task: str, kind: _Kind, options: Sequence[str]) -> dict[str, Any]:
    """The best file within a budget, and what it says of a few scenes."""
    fit = _new_folder(out / "fit")
    _say_and_run("fit", *_labels(data, task), "--latency", *options, "--out", str(fit))
    found = _found(fit, task)
    if kind.objects == "land":
        page = fit / "places.html"
        _say_and_run("predict", str(found["model"]), *_first_photos(data), "--html", str(page))
        return {**found, "page": str(page)}
    photos = [str(min((data / "validation" / name).iterdir())) for name in _PREDICTED]
    if _gives_vectors(task):
        _say_and_run("similar", str(found["model"]), *photos, str(data / "train"), "--top", "2")
    else:
        _say_and_run("predict", str(found["model"]), *photos, "--top", "2")
    return found


def _train(data: Path, out: Path, task: str, options: Sequence[str]) -> dict[str, Any]:
    """A network from random weights, and what it says of a few scenes, drawn on them."""
    run = _new_folder(out / "run")
    _say_and_run("train", *_labels(data, task), *options, "--out", str(run))
    drawn = _new_folder(run / "drawn")
    _say_and_run("predict", str(run), *_first_photos(data), "--save", f"drawn={drawn}")
    return {**_trained(run, task), "drawn": str(drawn)}


def _first_photos(data: Path) -> list[str]:
    return [str(photo) for photo in sorted((data / "validation").iterdir())[: len(_PREDICTED)]]


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


def _new_folder(wanted: Path) -> Path:
    folder, number = wanted, 2
    while folder.exists():
        folder, number = wanted.with_name(f"{wanted.name}-{number}"), number + 1
    return folder


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


def _trained(run: Path, task: str) -> dict[str, Any]:
    """What the run wrote about its network."""
    from mobilenet.evaluate import Evaluation
    from mobilenet.runs.folder import RunFolder
    from mobilenet.tasks import task_named

    folder = RunFolder(run)
    evaluation = Evaluation.read(folder.evaluation)
    return {
        **{name: evaluation.figures[name] for _, name in task_named(task).curves},
        "validation_photos": evaluation.photos,
        "model": str(folder.model),
        "size_bytes": folder.model.stat().st_size,
        "run": str(run),
        "report": str(folder.report),
    }


def _show(found: dict[str, Any], task: str) -> None:
    from mobilenet.tasks import task_named

    what = "exported file" if "p95_ms" in found else "trained network"
    click.echo(f"\nDone in {found['seconds']:.0f} s. The {what}:")
    for title, name in task_named(task).curves:
        if name in found:
            click.echo(f"  {title:8} {found[name]:.1%} on {found['validation_photos']:,} validation scenes")
    if "p95_ms" in found:
        budget = f"the budget is {found['latency_limit_ms']:g} ms"
        click.echo(f"  latency  {found['p95_ms']:.3g} ms at p95, {budget}")
    click.echo(f"  size     {found['size_bytes']:,} bytes")
    for name in ("scenes", "model", "drawn", "page", "report"):
        if name in found:
            click.echo(f"  {name:8} {found[name]}")
