"""`mobilenet check`: finds faults in a data set before a long training run."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mobilenet.cli.console import print_json, print_table, shown
from mobilenet.cli.progress import progress_bars
from mobilenet.errors import GateError

if TYPE_CHECKING:
    from mobilenet.datasets.check.findings import Check, Copies

__all__ = ["command"]

_LISTED = 20
"""Findings printed per kind; --json prints all."""


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--val", "validation", type=click.Path(path_type=Path), help="Validation photos: folder, CSV file or shards."
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the split, where DATA has none."
)
@click.option("--exclude", type=click.Path(path_type=Path), help="List of photos to leave out.")
@click.option(
    "--write-exclusions",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write a list of photos to leave out, for train --exclude.",
)
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write an HTML page with the photos.",
)
@click.option("--task", help="Task of the data.  [default: detected from DATA]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def command(
    *,
    data: Path,
    validation: Path | None,
    seed: int,
    exclude: Path | None,
    write_exclusions: Path | None,
    html: Path | None,
    task: str | None,
    as_json: bool,
) -> None:
    """Decode every photo of DATA, compare all pairs, and report what is wrong. Nothing in DATA is changed.

    Reported are unreadable files, also those in other formats; parts of a split that are read as classes; copies of a
    picture across the split, under two labels or within a class, including re-encoded, resized and slightly cropped
    ones; classes with few photos; odd sizes; names that differ only in case.
    Exit code 0: sound; 1: something affects results; 2: DATA cannot be used.

    \b
    mobilenet check photos/ --write-exclusions leave-out.txt --html check.html
    mobilenet train photos/ --exclude leave-out.txt
    """
    from mobilenet.datasets.check.check import check
    from mobilenet.datasets.exclusions import read_exclusions
    from mobilenet.datasets.exclusions import write_exclusions as write_list
    from mobilenet.tasks import task_of

    if html is not None:
        from mobilenet.report.draw.environment import check_page

        check_page(html)
    excluded = read_exclusions(exclude)
    with progress_bars() as bars:
        work = {name: bars.add_task(name, visible=False) for name in ("decoding", "comparing")}
        found = check(
            data,
            task_of(data, task),
            validation=validation,
            seed=seed,
            exclude=excluded,
            progress=lambda name, done, total: bars.update(
                work[name], completed=done, total=total, visible=done < total
            ),
        )
    if write_exclusions is not None:
        already = [(name, "already excluded") for name in sorted(excluded.names)]
        write_list(write_exclusions, already + found.excluded())
    if html is not None:
        from mobilenet.report.check_page import write_check_page

        write_check_page(found, html)
    if as_json:
        print_json(found.to_json())
    else:
        _print(found)
    if found.faults():
        raise GateError(f"{'; '.join(found.faults())}{_remedy(found, write_exclusions)}")


def _remedy(found: "Check", written: Path | None) -> str:
    if not found.excluded():
        return ""
    if written is None:
        return "; --write-exclusions FILE lists the photos to leave out"
    return f"; leave them out with mobilenet train --exclude {written}"


def _print(found: "Check") -> None:
    listed = {*found.mixed, *found.alike, *found.doubtful, *found.peculiar}
    for note in (note for note in found.notes if note not in listed):
        click.echo(f"mobilenet: {shown(note)}", err=True)
    rows = [(shown(size.name), f"{size.train:,}", f"{size.validation:,}") for size in found.classes]
    counted = f", {len(found.classes)} {found.noun}" if found.classes else ""
    title = f"{found.photos:,} files{counted}; split {found.split}"
    if found.classes:
        print_table(title, (found.one, "training", "validation"), rows)
    else:
        click.echo(shown(title))
    for kind, lines in _findings(found).items():
        _print_lines(kind, lines)
    for remark in found.remarks():
        click.echo(remark)
    if not found.faults():
        click.echo("found nothing that affects results")


def _print_lines(kind: str, lines: list[str]) -> None:
    if not lines:
        return
    click.echo(f"{kind}: {len(lines):,}")
    for line in lines[:_LISTED]:
        click.echo(f"  {shown(line)}")
    if len(lines) > _LISTED:
        click.echo(f"  … and {len(lines) - _LISTED:,} more")


def _findings(found: "Check") -> dict[str, list[str]]:
    return {
        "cannot be read": [f"{item.photo.file}: {item.reason}" for item in found.broken],
        "on both sides of the split": [_line(group) for group in found.leaks],
        "named like a split but read as classes": list(found.mixed),
        f"with {found.contradiction}": [_line(group) for group in found.conflicts],
        "without training photos": list(found.missing),
        f"{found.noun} in two spellings": [" = ".join(names) for names in found.same_names],
        "wrong with the labels": list(found.doubtful),
        "peculiar about the labels": list(found.peculiar),
        "the same classes in several folders": list(found.alike),
        "duplicates": [_line(group) for group in found.repeats],
        "unusual": [f"{item.photo.file}: {item.width} x {item.height}, {item.reason}" for item in found.odd],
        "file names that differ only in case": [" = ".join(names) for names in found.clashes],
    }


def _line(group: "Copies") -> str:
    return " = ".join(islice(_names(group), _LISTED)) + (" (the same file)" if group.exact else "")


def _names(group: "Copies") -> Iterator[str]:
    for photo in group.photos:
        yield f"{photo.file} ({photo.label})" if group.conflict else photo.file
