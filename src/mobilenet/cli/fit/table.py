"""The result of a search on a terminal: a row for each candidate that fits the budget, and the file to use."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mobilenet.cli.console import megabytes, print_table

if TYPE_CHECKING:
    from mobilenet.search.candidates import Option
    from mobilenet.search.result import Fitted
    from mobilenet.search.trial.files import MeasuredFile

__all__ = ["print_fitted"]

_LONGEST = 80
"""Characters of a reason; the report has it in full."""


def print_fitted(found: "Fitted", page: Path) -> None:
    """Print the table, the chosen file if there is one, the paths of model and report, and the time taken."""
    trained = (f"{found.goal.title} (epochs)", "promise (epochs)")
    header = ("candidate", "verdict", "variant", "p95 ms", "MB", "memory MB", *trained)
    compared = bool(found.short_trials) and found.limits.accuracy is None
    columns = len(header) if compared else len(header) - 1
    rows = [_row(found, option)[:columns] for option in found.options if option.inside]
    within = f"Within {found.limits.while_choosing}: " if found.limits.while_choosing else ""
    title = f"{within}{len(rows)} of {len(found.options)} candidates; ~ marks estimates"
    print_table(title, header[:columns], rows, left=3)
    if found.chosen is not None:
        threads = f"{found.chosen.threads} thread{'s' * (found.chosen.threads > 1)}"
        variant = f"{found.chosen.precision} on {found.chosen.runtime} with {threads}"
        click.echo(f"{found.winner}, {variant}: {', '.join(_chosen(found, found.chosen))}")
        if found.chosen.estimated:
            options = f"--threads {found.chosen.threads} --runtime {found.chosen.runtime}"
            click.echo(f"confirm on that device with: mobilenet benchmark {found.model.name} {options}")
        click.echo(f"model   {found.model}")
    click.echo(f"report  {page}")
    times = found.seconds / found.training_seconds if found.training_seconds else None
    winner = "" if times is None else f", {times:.1f} times the winner's training time"
    click.echo(f"{found.seconds:.0f} s of training, export and proof{winner}")


def _row(found: "Fitted", option: "Option") -> tuple[str, ...]:
    figures, trials = found.figures(option), found.trials_of(option.candidate)
    about = "" if figures.measured else "~"
    about_size = "" if found.file_of(option.candidate) else "~"
    return (
        str(option.candidate),
        _brief(found.verdict(option)),
        figures.variant,
        f"{about}{figures.p95_ms:.2f}",
        f"{about_size}{figures.file_bytes / 1e6:.2f}",
        f"{about}{megabytes(figures.peak_bytes)}",
        _last(f"{one.accuracy:.1%} ({one.epochs})" for one in trials),
        _last(f"{one.promise:.1%} ({one.epochs})" for one in trials if one in found.short_trials),
    )


def _last(words: Iterable[str]) -> str:
    """The value of the longest training; the report has all of them."""
    return ("-", *words)[-1]


def _brief(reason: str) -> str:
    """The first clause, which holds no advice, cut where it is long."""
    from mobilenet.search.trial.files import first_clause

    words = whole = first_clause(reason)
    while len(words) > _LONGEST and ", " in words:
        words = words.rpartition(", ")[0]
    return words if words == whole else f"{words} …"


def _chosen(found: "Fitted", file: "MeasuredFile") -> Iterator[str]:
    from mobilenet.search.result import shown_accuracy

    bounds = found.interval(file.accuracy)
    of = f"of {found.photos:,} validation photos, 95 % interval {bounds[0]:.1%} to {bounds[1]:.1%}; " if bounds else ""
    yield f"{found.goal.noun} {shown_accuracy(file.accuracy)} ({of}network {shown_accuracy(file.network_accuracy)})"
    yield f"{file.size_bytes:,} bytes"
    where = f" (estimated for {found.estimated_for}, not measured there)" if file.estimated else ""
    yield f"{file.p95_ms:.3g} ms at p95 and {megabytes(file.peak_bytes)} MB of memory{where}"
