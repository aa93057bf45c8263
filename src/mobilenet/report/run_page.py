"""A run folder -> one HTML file that needs nothing else: no network, no script, no other file."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobilenet import __version__
from mobilenet.datasets import LeftOut, photo_reader
from mobilenet.evaluate import Evaluation, Mistake
from mobilenet.files import atomic_write
from mobilenet.report.draw import formats
from mobilenet.report.draw.confusion import matrix, most_confused
from mobilenet.report.draw.costs import run_cost
from mobilenet.report.draw.environment import environment
from mobilenet.report.draw.families import drawn_families
from mobilenet.report.draw.thumbnails import thumbnail
from mobilenet.report.draw.timing import shares, training_seconds
from mobilenet.report.run_facts import Run, read_run
from mobilenet.runs import RunFolder
from mobilenet.spec.cost import Cost
from mobilenet.training.plateau import plateau_note

__all__ = ["write_report"]

_THUMBNAILS = 24


@dataclass(frozen=True, slots=True)
class _Figure:
    """One headline number."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Shown:
    """A mistake with its thumbnail, a `data:` URL; None when the photo has vanished."""

    mistake: Mistake
    image: str | None


def write_report(run: Path) -> Path:
    """Write `report.html` into the run folder from its files and give its path; DataError, StorageError.

    Sections whose files or fields are absent say so; nothing is invented.
    """
    html = _render(read_run(run))
    path = RunFolder(run).report
    with atomic_write(path) as file:
        # names of files may hold bytes that are no UTF-8
        file.write(html.encode("utf-8", "replace"))
    return path


def _render(run: Run) -> str:
    return environment().get_template("report.html").render(_context(run))


def _context(run: Run) -> dict[str, Any]:
    evaluation, network_cost = run.evaluation, run_cost(run)
    return {
        "run": run,
        "version": __version__,
        "title": _title(run),
        "subtitle": _subtitle(run),
        "headline": _headline(run, network_cost),
        "evaluation": evaluation,
        "curves": _curves(run),
        "plateau": _plateau(run),
        "matrix": matrix(evaluation.labels, evaluation.confusion) if evaluation else None,
        "confused": most_confused(evaluation) if evaluation else (),
        "classes": sorted(evaluation.per_class, key=_recall) if evaluation else (),
        "mistakes": _shown_mistakes(run),
        "families": drawn_families(evaluation.families) if evaluation else (),
        "reliability": _reliability(evaluation),
        "cost": network_cost,
        "times": shares(run),
        "left_out": _left_out(run),
        "facts": _facts(run),
        "settings": _settings(run),
        "command": _command(run),
    }


def _title(run: Run) -> str:
    return Path(run.text("data", "root") or run.folder.resolve()).name


def _subtitle(run: Run) -> str:
    classes = run.section("data").get("classes")
    width, resolution = run.number("network", "width_multiplier"), run.number("network", "resolution")
    photos = run.number("data", "train_photos")
    parts = (
        run.text("network", "architecture"),
        None if width is None else f"width {width:g}",
        None if resolution is None else f"{resolution:.0f} × {resolution:.0f} pixels",
        f"{len(classes)} classes" if isinstance(classes, list) else None,
        None if photos is None else f"{photos:,.0f} training photos",
        _epochs(run),
    )
    return " · ".join(part for part in parts if part)


def _epochs(run: Run) -> str | None:
    """Line 0 is what came before the first epoch."""
    if not run.epochs:
        return None
    trained = sum(epoch["epoch"] > 0 for epoch in run.epochs)
    return f"{trained} epochs" if trained else "classifier alone"


def _settings(run: Run) -> list[tuple[str, Any]]:
    """What was chosen, and what followed where it was left open."""
    chosen = {name: value for name, value in run.section("settings").items() if value is not None}
    return sorted({**chosen, **run.section("network"), **run.section("plan")}.items())


def _headline(run: Run, network_cost: Cost | None) -> list[_Figure]:
    mult_adds = network_cost.mult_adds if network_cost else run.number("cost", "mult_adds")
    params = network_cost.params if network_cost else run.number("cost", "params")
    return [
        *_accuracy(run.evaluation),
        _Figure("Mult-adds", formats.count(mult_adds), "for one photo"),
        _Figure("Parameters", formats.count(params), "learnt numbers"),
        _Figure("Model file", *_file_size(RunFolder(run.folder).model)),
        _Figure("Training time", formats.duration(training_seconds(run)), _machine(run)),
    ]


def _file_size(model: Path) -> tuple[str, str]:
    if not model.is_file():
        return formats.NOTHING, "not written yet"
    return formats.size(model.stat().st_size), "float32"


def _accuracy(evaluation: Evaluation | None) -> list[_Figure]:
    if evaluation is None:
        return [_Figure("Top-1 accuracy", formats.NOTHING, "not evaluated")]
    lower, upper = (f"{100 * bound:.1f}" for bound in evaluation.top1_interval)
    note = f"95\u202f% interval {lower} to {upper}\u202f%, on {evaluation.photos:,} photos"
    top1 = _Figure("Top-1 accuracy", formats.percent(evaluation.top1), note)
    if evaluation.top5 is None:
        return [top1]
    return [top1, _Figure("Top-5 accuracy", formats.percent(evaluation.top5), "right class among five")]


def _machine(run: Run) -> str:
    for name in ("processor", "cpu", "device"):
        if text := run.text("machine", name):
            return text
    return ""


def _curves(run: Run) -> list[tuple[str, str]]:
    from mobilenet.report.draw.plots import Series, curves

    plots: list[tuple[str, str]] = []
    for name, title, unit, lines in (
        ("loss", "Loss", "", (("training", "train_loss"), ("validation", "validation_loss"))),
        ("accuracy", "Validation accuracy", "%", (("top-1", "top1"), ("top-5", "top5"))),
        ("rate", "Learning rate", "", (("learning rate", "learning_rate"),)),
    ):
        series = [Series(label, *run.curve(field)) for label, field in lines]
        series = [line for line in series if line.values]
        if series:
            last = ", ".join(f"{line.name} {line.values[-1]:.4g}" for line in series)
            description = f"{title} over {series[0].epochs[-1]} epochs; at the end: {last}"
            plots.append((title, curves(name, description, series, unit=unit)))
    return plots


def _plateau(run: Run) -> str | None:
    """A sentence on a run that has learned nothing."""
    note = plateau_note(run.config, run.epochs)
    return None if note is None else f"{note[0].upper()}{note[1:]}."


def _reliability(evaluation: Evaluation | None) -> str | None:
    from mobilenet.report.draw.plots import reliability

    if evaluation is None:
        return None
    description = f"Accuracy by confidence; expected calibration error {formats.percent(evaluation.ece)}"
    return reliability("reliability", description, evaluation.reliability)


def _shown_mistakes(run: Run) -> list[_Shown]:
    if run.evaluation is None:
        return []
    root = Path(run.evaluation.root or run.text("data", "root") or ".")
    read = photo_reader(root)
    return [_Shown(mistake, thumbnail(read, mistake.file)) for mistake in run.evaluation.mistakes[:_THUMBNAILS]]


def _left_out(run: Run) -> list[LeftOut]:
    """Those of the whole data set, or, where the run does not list them, those of its validation photos."""
    recorded = run.section("data").get("left_out")
    if not isinstance(recorded, list):
        return list(run.evaluation.left_out) if run.evaluation else []
    rows = [row for row in recorded if isinstance(row, dict)]
    return [LeftOut(str(row.get("file", "")), str(row.get("reason", ""))) for row in rows]


def _facts(run: Run) -> list[tuple[str, str]]:
    facts = [
        ("Seed", run.text("settings", "seed")),
        ("Weights to start from", run.text("settings", "weights")),
        ("Data", run.text("data", "root")),
        ("Split", run.text("data", "split")),
        ("Training photos", run.text("data", "train_photos")),
        ("Validation photos", run.text("data", "validation_photos")),
        ("Data hash", run.text("data", "hash")),
        *(("Damaged", note) for note in run.notes),
        *((name, run.text("versions", name)) for name in run.section("versions")),
        *((name.replace("_", " ").capitalize(), run.text("machine", name)) for name in run.section("machine")),
    ]
    return [(name, text) for name, text in facts if text]


def _command(run: Run) -> str | None:
    command = run.config.values.get("command")
    if isinstance(command, str):
        return command
    return shlex.join(map(str, command)) if isinstance(command, list) else None


def _recall(row: Any) -> tuple[float, str]:
    return (2.0 if row.recall is None else row.recall, row.label)
