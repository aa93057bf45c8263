"""A run folder -> one self-contained HTML file: no network, no script, no other file."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from mobilenet import __version__
from mobilenet.datasets.photos import LeftOut
from mobilenet.datasets.remote.urls import short_name
from mobilenet.datasets.sources.find import photo_reader
from mobilenet.errors import DataError
from mobilenet.evaluate import Evaluation, Mistake
from mobilenet.files import atomic_write
from mobilenet.report.draw import formats
from mobilenet.report.draw.costs import run_cost
from mobilenet.report.draw.environment import environment
from mobilenet.report.draw.sections import Photo, drawn_section
from mobilenet.report.draw.thumbnails import thumbnail, thumbnail_pair
from mobilenet.report.draw.timing import shares, training_seconds
from mobilenet.report.run_facts import Run, read_run
from mobilenet.runs.folder import RunFolder
from mobilenet.spec.cost import Cost
from mobilenet.tasks import task_of_model
from mobilenet.tasks.sections import Figure, Gallery, Section, in_words
from mobilenet.tasks.task import Task
from mobilenet.training.plateau import plateau_note

__all__ = ["write_report"]


@dataclass(frozen=True, slots=True)
class _Figure:
    """One number at the head of the page."""

    name: str
    value: str
    note: str = ""


def write_report(run: Path) -> Path:
    """Write `report.html` into the run folder from its files and return its path; DataError, ModelError for an
    unknown task, StorageError.

    Sections whose files or fields are missing say so; nothing is guessed.
    """
    facts = read_run(run)
    html = _render(facts, task_of_model(facts.task, run))
    path = RunFolder(run).report
    with atomic_write(path) as file:
        # file names may contain bytes that are not UTF-8
        file.write(html.encode("utf-8", "replace"))
    return path


def _render(run: Run, task: Task) -> str:
    return environment().get_template("report.html").render(_context(run, task))


def _context(run: Run, task: Task) -> dict[str, Any]:
    evaluation, network_cost = run.evaluation, run_cost(run)
    figures, sections = _said(task, evaluation) if evaluation else ((), ())
    photos = _mistakes(run, evaluation, sections) if evaluation else ()
    return {
        "run": run,
        "version": __version__,
        "title": _title(run),
        "subtitle": _subtitle(run, task),
        "headline": [*_measured(task, evaluation, figures), *_headline(run, network_cost)],
        "evaluated": evaluation is not None,
        "sections": [drawn_section(section, photos) for section in sections],
        "curves": _curves(run, task),
        "plateau": _plateau(run),
        "cost": network_cost,
        "times": shares(run),
        "left_out": _left_out(run),
        "facts": _facts(run),
        "settings": _settings(run),
        "command": _command(run),
    }


def _said(task: Task, evaluation: Evaluation) -> tuple[tuple[Figure, ...], tuple[Section, ...]]:
    """The task's presentation of an evaluation; DataError if its figures are not those of the task."""
    try:
        return task.headline(evaluation), task.sections(evaluation)
    except KeyError as error:
        raise DataError(f"not an evaluation: it lacks {error}; run mobilenet evaluate again") from error
    except (ArithmeticError, AttributeError, IndexError, TypeError, ValueError) as error:
        raise DataError(f"not an evaluation: {error}; run mobilenet evaluate again") from error


def _title(run: Run) -> str:
    return short_name(Path(run.text("data", "root") or run.folder))


def _subtitle(run: Run, task: Task) -> str:
    names = run.section("data").get("classes")
    width, resolution = run.number("network", "width_multiplier"), run.number("network", "resolution")
    photos = run.number("data", "train_photos")
    parts = (
        run.text("network", "architecture"),
        None if width is None else f"width {width:g}",
        None if resolution is None else f"{resolution:.0f} × {resolution:.0f} pixels",
        f"{len(names)} {task.vocabulary_noun}" if isinstance(names, list) else None,
        None if photos is None else f"{photos:,.0f} training photos",
        _epochs(run),
    )
    return " · ".join(part for part in parts if part)


def _epochs(run: Run) -> str | None:
    """Line 0 is the state before the first epoch."""
    if not run.epochs:
        return None
    trained = sum(epoch["epoch"] > 0 for epoch in run.epochs)
    return f"{trained} epochs" if trained else "head only"


def _settings(run: Run) -> list[tuple[str, Any]]:
    """The chosen settings, and the values derived for those left open."""
    chosen = {name: value for name, value in run.section("settings").items() if value is not None}
    teacher = chosen.pop("teacher", {})
    chosen |= {f"teacher_{name}": value for name, value in teacher.items() if value not in (None, [])}
    return sorted({**chosen, **run.section("network"), **run.section("plan")}.items())


def _headline(run: Run, network_cost: Cost | None) -> list[_Figure]:
    mult_adds = network_cost.mult_adds if network_cost else run.number("cost", "mult_adds")
    params = network_cost.params if network_cost else run.number("cost", "params")
    return [
        _Figure("Mult-adds", formats.count(mult_adds), "per photo"),
        _Figure("Parameters", formats.count(params), "trainable"),
        _Figure("Model file", *_file_size(RunFolder(run.folder).model)),
        _Figure("Training time", formats.duration(training_seconds(run)), _machine(run)),
    ]


def _file_size(model: Path) -> tuple[str, str]:
    if not model.is_file():
        return formats.NOTHING, "not written yet"
    return formats.size(model.stat().st_size), "float32"


def _measured(task: Task, evaluation: Evaluation | None, figures: Sequence[Figure]) -> list[_Figure]:
    if evaluation is None:
        return [_Figure(formats.capitalised(task.goal.noun), formats.NOTHING, "not evaluated")]
    goal, *others = [figure for figure in figures if figure.prominent]
    return [
        _figure(goal, f"on {evaluation.photos:,} photos"),
        *(_figure(figure) for figure in others),
    ]


def _figure(figure: Figure, *remarks: str) -> _Figure:
    interval = ""
    if figure.interval is not None:
        lower, upper = (f"{100 * bound:.1f}" for bound in figure.interval)
        interval = f"95 % interval {lower} to {upper} %"
    note = ", ".join(part for part in (interval, *remarks, figure.note) if part)
    value = in_words(figure.value, figure.unit)
    return _Figure(figure.name, formats.narrow(value or formats.NOTHING), formats.narrow(note))


def _machine(run: Run) -> str:
    for name in ("processor", "cpu", "device"):
        if text := run.text("machine", name):
            return text
    return ""


def _curves(run: Run, task: Task) -> list[tuple[str, str]]:
    from mobilenet.report.draw.plots import Series, curves

    plots: list[tuple[str, str]] = []
    for name, title, unit, lines in (
        ("loss", "Loss", "", (("training", "train_loss"), ("validation", "validation_loss"))),
        ("goal", f"Validation {task.goal.noun}", "%", task.curves),
        ("rate", "Learning rate", "", (("learning rate", "learning_rate"),)),
    ):
        series = [Series(label, *run.curve(field)) for label, field in lines]
        series = [line for line in series if line.values]
        if series:
            last = ", ".join(f"{line.name} {line.values[-1]:.4g}" for line in series)
            description = f"{title} over {series[0].epochs[-1]} epochs; final values: {last}"
            plots.append((title, curves(name, description, series, unit=unit)))
    return plots


def _plateau(run: Run) -> str | None:
    """A warning about a run that has learned nothing, else None."""
    note = plateau_note(run.config.values, run.epochs)
    return None if note is None else f"{note[0].upper()}{note[1:]}."


def _mistakes(run: Run, evaluation: Evaluation, sections: Sequence[Section]) -> tuple[Photo, ...]:
    """The worst mistakes that each gallery shows, with their photos, in the order of the evaluation."""
    read = photo_reader(Path(evaluation.root or run.text("data", "root") or "."))
    galleries = [part for section in sections for part in section.parts if isinstance(part, Gallery)]
    shown: set[int] = set()
    for gallery in galleries:
        fitting = (
            number
            for number, mistake in enumerate(evaluation.mistakes)
            if gallery.shows(mistake.label, mistake.predicted)
        )
        shown.update(islice(fitting, gallery.most))
    chosen = (evaluation.mistakes[number] for number in sorted(shown))
    return tuple(Photo(mistake, _picture(read, mistake)) for mistake in chosen)


def _picture(read: Callable[[str], bytes], mistake: Mistake) -> str | None:
    """The photo of a mistake, twice where it is about parts of it: as labelled and as predicted."""
    if not mistake.labelled_regions and not mistake.predicted_regions:
        return thumbnail(read, mistake.file)
    return thumbnail_pair(read, mistake.file, mistake.labelled_regions, mistake.predicted_regions)


def _left_out(run: Run) -> list[LeftOut]:
    """Those of the whole data set or, if the run does not list them, those of its validation photos."""
    recorded = run.section("data").get("left_out")
    if not isinstance(recorded, list):
        return list(run.evaluation.left_out) if run.evaluation else []
    rows = [row for row in recorded if isinstance(row, dict)]
    return [LeftOut(str(row.get("file", "")), str(row.get("reason", ""))) for row in rows]


def _facts(run: Run) -> list[tuple[str, str]]:
    facts = [
        ("Seed", run.text("settings", "seed")),
        ("Initial weights", run.text("settings", "weights")),
        ("Teacher", _teacher(run)),
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


def _teacher(run: Run) -> str | None:
    name, seen = run.text("teacher", "name"), run.number("teacher", "validation_photos_seen")
    if name is None:
        return None
    if seen is None:
        return f"{name}, whose training photos are unknown"
    return f"{name}, trained on {seen:,.0f} of the validation photos" if seen else name


def _command(run: Run) -> str | None:
    command = run.config.values.get("command")
    if isinstance(command, str):
        return command
    return shlex.join(map(str, command)) if isinstance(command, list) else None
