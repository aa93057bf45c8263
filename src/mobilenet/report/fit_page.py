"""The result of a search -> one self-contained HTML file."""

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobilenet import __version__
from mobilenet.datasets.remote.urls import short_name
from mobilenet.files import atomic_write
from mobilenet.report.draw import formats
from mobilenet.report.draw.environment import environment
from mobilenet.search.candidates import Option
from mobilenet.search.result import Fitted
from mobilenet.search.trial.files import MeasuredFile
from mobilenet.spec.architectures import build
from mobilenet.spec.cost import Cost, cost

__all__ = ["write_fit_page"]

_ABOUT = "≈\u202f"
"""Marks estimates."""


@dataclass(frozen=True, slots=True)
class _Compared:
    """A network that the chosen one is compared with, and its cost as a multiple of the chosen one's."""

    name: str
    cost: Cost
    mult_adds_ratio: float
    params_ratio: float


@dataclass(frozen=True, slots=True)
class _Table:
    """Candidates in rows; the first column names them, the second gives the verdict."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def write_fit_page(found: Fitted, path: Path, command: Sequence[str] = ()) -> None:
    """Write the page of a search, started by `command`, to `path`, completely or not at all; StorageError."""
    html = environment().get_template("fit.html").render(_context(found, command))
    with atomic_write(path) as file:
        # file names may contain bytes that are not UTF-8
        file.write(html.encode("utf-8", "replace"))


def _context(found: Fitted, command: Sequence[str]) -> dict[str, Any]:
    from mobilenet.report.draw.fit_plot import fit_plot

    plot, captions = fit_plot(found)
    tried = [option for option in found.options if found.trials_of(option.candidate)]
    others = [option for option in found.options if not found.trials_of(option.candidate)]
    return {
        "found": found,
        "version": __version__,
        "title": short_name(found.data),
        "chosen": found.chosen,
        "headline": list(_headline(found)),
        "plot": plot,
        "captions": captions,
        "tried": _table([*_taken(found), *_told(found)], tried),
        "others": _table(list(_taken(found)), others),
        "files": [(Path(file.file).name, file) for files in found.files.values() for file in files],
        "resized": _resized(found),
        "compared": list(_compared(found)),
        "command": shlex.join(_again(command, found.folder)),
    }


def _headline(found: Fitted) -> Iterator[tuple[str, str, str]]:
    file = found.chosen
    if file is None:
        yield "Fits the budget", "none", "of the files"
        return
    estimated = f"; estimated for {found.estimated_for}" if file.estimated else ""
    yield formats.capitalised(found.goal.noun), formats.known(file.accuracy), "; ".join(_accuracy_notes(found, file))
    yield "Latency", f"{file.p95_ms:.3g}\u202fms", f"at p95, {_threads(file)}, {file.runtime}{estimated}"
    yield "Model file", formats.size(file.size_bytes), f"{file.precision}, {Path(file.file).suffix[1:]}"
    yield "Memory", formats.size(file.peak_bytes), f"on top of the engine{estimated}"
    yield "Agreement", formats.percent(file.agreement), "with the trained network"
    yield "Search", formats.duration(found.seconds), _effort(found)


def _resized(found: Fitted) -> _Table:
    """The score of each file on photos shrunk by every method, and agreement with itself on photos shrunk by area."""
    files = [file for files in found.files.values() for file in files if file.proof.get("resized")]
    methods = [one["method"] for one in files[0].proof["resized"]] if files else []
    rows = (
        (
            Path(file.file).name,
            *(
                f"{formats.known(one['accuracy'])} ({formats.percent(one['agreement'])})"
                for one in file.proof["resized"]
            ),
        )
        for file in files
    )
    return _Table(("File", *methods), tuple(rows))


def _accuracy_notes(found: Fitted, file: MeasuredFile) -> Iterator[str]:
    if (bounds := found.interval(file.accuracy)) is not None:
        yield f"on {found.photos:,} validation photos"
        yield f"95\u202f% interval {formats.percent(bounds[0])} to {formats.percent(bounds[1])}"
    yield f"network {formats.known(file.network_accuracy)}"


def _threads(file: MeasuredFile) -> str:
    return "1 thread" if file.threads == 1 else f"{file.threads} threads"


def _effort(found: Fitted) -> str:
    whole = found.training_seconds
    times = f"; {found.seconds / whole:.1f} times the winner's training time" if whole else ""
    return f"training, export and proof{times}"


_Column = tuple[str, Callable[[Option], str]]


def _table(columns: Sequence[_Column], options: Iterable[Option]) -> _Table:
    return _Table(
        tuple(name for name, _ in columns),
        tuple(tuple(formats.spaced(shown(option)) for _, shown in columns) for option in options),
    )


def _taken(found: Fitted) -> Iterator[_Column]:
    """The verdict on a candidate and what it takes; latency and memory of a file may be estimated, its size is
    known."""

    def about(option: Option) -> str:
        return "" if found.figures(option).measured else _ABOUT

    def about_size(option: Option) -> str:
        return "" if found.file_of(option.candidate) else _ABOUT

    yield "Width-resolution", lambda option: str(option.candidate)
    yield "Verdict", found.verdict
    yield "Variant", lambda option: found.figures(option).variant
    yield "p95", lambda option: f"{about(option)}{found.figures(option).p95_ms:.3g}\u202fms"
    yield "File", lambda option: f"{about_size(option)}{formats.size(found.figures(option).file_bytes)}"
    yield "Memory", lambda option: f"{about(option)}{formats.size(found.figures(option).peak_bytes)}"


def _told(found: Fitted) -> Iterator[_Column]:
    """Results of the trainings; short ones are compared by their promise, unless an accuracy is required."""

    def accuracies(option: Option) -> str:
        told = [f"{formats.percent(one.accuracy)} ({one.epochs})" for one in found.trials_of(option.candidate)]
        file = found.file_of(option.candidate)
        return "\n".join(told if file is None else [*told, f"file {formats.known(file.accuracy)}"])

    def promises(option: Option) -> str:
        short = [one for one in found.trials_of(option.candidate) if one in found.short_trials]
        return "\n".join(f"{formats.percent(one.promise)} ({one.epochs})" for one in short) or formats.NOTHING

    yield f"{formats.capitalised(found.goal.title)} (epochs)", accuracies
    if found.short_trials and found.limits.accuracy is None:
        yield "Promise (epochs)", promises


def _compared(found: Fitted) -> Iterator[_Compared]:
    """The chosen network, the same body of standard convolutions (Table 4), the network at full size, and VGG16."""
    if found.winner is None:
        return
    width, side = found.winner.width_multiplier, found.winner.resolution
    own = cost(build("mobilenet_v1", width, side, found.classes))
    others = (
        (f"MobileNet {found.winner}", own),
        (f"standard convolutions {found.winner}", cost(build("mobilenet_v1_standard", width, side, found.classes))),
        ("MobileNet 1-224", cost(build("mobilenet_v1", 1.0, 224, found.classes))),
        ("VGG16 at 224", cost(build("vgg16", classes=found.classes))),
    )
    for name, other in others:
        yield _Compared(name, other, other.mult_adds / own.mult_adds, other.params / own.params)


def _again(command: Sequence[str], folder: Path) -> Iterator[str]:
    """The command with a new output folder: in the old one it only prints the stored result."""
    words = iter(command)
    for word in words:
        if word == "--out":
            next(words, None)
        elif word != "--json" and not word.startswith("--out="):
            yield word
    yield from ("--out", str(folder.parent / f"{folder.resolve().name}-again"))
