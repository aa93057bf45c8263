"""The candidates of a search as dots, with captions."""

from collections.abc import Iterator
from typing import Literal

from mobilenet.report.draw import formats
from mobilenet.report.draw.frontier import Dot, Kind, Lines, frontier
from mobilenet.search.candidates import Option
from mobilenet.search.result import Figures, Fitted

__all__ = ["fit_plot"]

_PAGE = 4096
"""Smallest memory that is plotted, in bytes."""

_Axis = Literal["ms per image at p95", "file, MB", "memory on top of the engine, MB"]


def fit_plot(found: Fitted) -> tuple[str, list[str]]:
    """Accuracy, or what the task has in its place, against what the budget limits, as an SVG element, and the sentences
    of its caption."""
    axis, lines = _axis(found), _lines(found)
    dots = [_dot(found, option, axis) for option in found.options]
    noun = found.goal.noun
    description = (
        f"{formats.capitalised(noun)} against {axis} of {len(dots)} candidates; chosen: {found.winner or 'none'}"
    )
    return frontier("frontier", description, dots, lines, axis, noun), list(_captions(found, dots, lines, axis))


def _axis(found: Fitted) -> _Axis:
    """The first limit of the budget; file size where only an accuracy is required, and the smallest file wins."""
    limits = found.limits
    if limits.latency_ms is not None:
        return "ms per image at p95"
    only_memory = limits.size_bytes is None and limits.memory_bytes is not None
    return "memory on top of the engine, MB" if only_memory else "file, MB"


def _lines(found: Fitted) -> Lines:
    limits, axis = found.limits, _axis(found)
    if limits.latency_ms is not None:
        choosing = limits.latency_ms / (1 + limits.reserve) if limits.reserve else None
        return Lines(limits.latency_ms, choosing, limits.accuracy)
    limit = limits.size_bytes if axis == "file, MB" else limits.memory_bytes
    return Lines(None if limit is None else limit / 1e6, None, limits.accuracy)


def _dot(found: Fitted, option: Option, axis: _Axis) -> Dot:
    kind, x = _kind(found, option), _across(found.figures(option), axis)
    if kind == "untried":
        return Dot(str(option.candidate), x, None, kind)
    last = found.trials_of(option.candidate)[-1]
    file = found.file_of(option.candidate)
    accuracy = last.accuracy if file is None or file.accuracy is None else file.accuracy
    note = formats.epochs(last.epochs) if kind == "short" else ""
    return Dot(str(option.candidate), x, accuracy, kind, note)


def _kind(found: Fitted, option: Option) -> Kind:
    tried, file = found.trials_of(option.candidate), found.file_of(option.candidate)
    if not tried:
        return "untried"
    if option.candidate == found.winner:
        return "chosen"
    if tried[-1].epochs < found.epochs:
        return "short"
    return "failed" if file is not None and not file.usable else "beaten"


def _across(figures: Figures, axis: _Axis) -> float:
    if axis == "ms per image at p95":
        return figures.p95_ms
    # Where the peak cannot be measured, all memory may count as the engine's; a logarithmic axis has no zero.
    return (figures.file_bytes if axis == "file, MB" else max(figures.peak_bytes, _PAGE)) / 1e6


def _captions(found: Fitted, dots: list[Dot], lines: Lines, axis: _Axis) -> Iterator[str]:
    kinds = {dot.kind for dot in dots}
    if found.files and (found.estimated_for is None or axis == "file, MB"):
        yield "Fully trained candidates are at the measured values of their files, all others at estimates."
    else:
        yield f"All candidates are at estimates{f' for {found.estimated_for}' if found.estimated_for else ''}."
    if "failed" in kinds:
        yield "A cross marks a file that is over budget or not proven."
    if "short" in kinds:
        yield "Short trainings are labelled with their epochs, and reach less than full ones would."
    if lines.choosing is not None:
        reserve = f"{formats.percent(found.limits.reserve, 0)} of latency in reserve"
        yield f"Estimates plus their error had to stay left of the lighter line: {reserve}."
    if lines.accuracy is not None:
        yield f"The horizontal line is the {found.goal.noun} that a file had to reach."
