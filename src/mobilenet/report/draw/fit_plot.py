"""The candidates of a search as dots, and what is to be said of them."""

from collections.abc import Iterator
from typing import Literal

from mobilenet.report.draw import formats
from mobilenet.report.draw.frontier import Dot, Kind, Lines, frontier
from mobilenet.search.candidates import Option
from mobilenet.search.result import Figures, Fitted

__all__ = ["fit_plot"]

_PAGE = 4096
"""Bytes: the least memory that a dot can stand for."""

_Axis = Literal["ms an image at p95", "file, MB", "memory on top of the engine, MB"]


def fit_plot(found: Fitted) -> tuple[str, list[str]]:
    """Accuracy against what the budget limits, as an SVG element, and sentences that explain what is drawn."""
    axis, lines = _axis(found), _lines(found)
    dots = [_dot(found, option, axis) for option in found.options]
    description = f"Accuracy against {axis} of {len(dots)} candidates; chosen: {found.winner or 'none'}"
    return frontier("frontier", description, dots, lines, axis), list(_captions(found, dots, lines, axis))


def _axis(found: Fitted) -> _Axis:
    """The first limit there is; the file where only an accuracy is asked for, and the smallest wins."""
    limits = found.limits
    if limits.latency_ms is not None:
        return "ms an image at p95"
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
    if axis == "ms an image at p95":
        return figures.p95_ms
    # Where the peak cannot be measured, all of the memory may be the engine's; a logarithm has no place for none.
    return (figures.file_bytes if axis == "file, MB" else max(figures.peak_bytes, _PAGE)) / 1e6


def _captions(found: Fitted, dots: list[Dot], lines: Lines, axis: _Axis) -> Iterator[str]:
    kinds = {dot.kind for dot in dots}
    if found.files and (found.estimated_for is None or axis == "file, MB"):
        yield "What was trained in full stands where its file was measured, all else where it is estimated."
    else:
        yield f"All stand where they are estimated{f' for {found.estimated_for}' if found.estimated_for else ''}."
    if "failed" in kinds:
        yield "A cross is a file that is outside the budget or not proven."
    if "short" in kinds:
        yield "Short trainings have their epochs beside their names, and reach less than full ones would."
    if lines.choosing is not None:
        reserve = f"{formats.percent(found.limits.reserve, 0)} of latency in reserve"
        yield f"Estimates, with their error on top, had to stay left of the lighter line: {reserve}."
    if lines.accuracy is not None:
        yield "A file had to reach the horizontal line."
