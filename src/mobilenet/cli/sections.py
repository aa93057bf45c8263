"""A task's presentation of an evaluation, on a terminal."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mobilenet.cli.console import print_table

if TYPE_CHECKING:
    from mobilenet.tasks.sections import Figure, Section, Table

__all__ = ["print_figures", "print_sections", "sentence"]

_NOTHING = "-"


def print_figures(title: str, figures: Iterable["Figure"], more: Sequence[tuple[str, str]] = ()) -> None:
    """Print a table of figures with their intervals, followed by the rows of `more`."""
    rows = [(_lower_case(figure.name), _figure(figure)) for figure in figures]
    print_table(title, ("figure", "value"), [*rows, *more], left=2)


def print_sections(sections: Iterable["Section"]) -> None:
    """Print the tables that are meant for a terminal."""
    from mobilenet.tasks.sections import Table

    for section in sections:
        for part in section.parts:
            if isinstance(part, Table) and part.on_terminal:
                _print(part, part.caption or section.title)


def sentence(title: str, figure: "Figure", photos: int) -> str:
    """'top-1 91.2% on 341 validation photos (95 % interval 87.7% to 93.8%)'."""
    value = _NOTHING if figure.value is None else f"{figure.value:.1%}"
    interval = ""
    if figure.interval is not None:
        interval = " (95 % interval {:.1%} to {:.1%})".format(*figure.interval)
    return f"{title} {value} on {photos} validation photos{interval}"


def _figure(figure: "Figure") -> str:
    from mobilenet.tasks.sections import in_words

    value = in_words(figure.value, figure.unit) or _NOTHING
    return value if figure.interval is None else f"{value}  ({in_words(figure.interval)})"


def _print(table: "Table", title: str) -> None:
    from mobilenet.tasks.sections import in_words

    rows = [
        [
            in_words(cell, column.kind, column.digits) or _NOTHING
            for cell, column in zip(row, table.columns, strict=True)
        ]
        for row in table.rows
    ]
    words = [number == 0 or column.kind == "text" for number, column in enumerate(table.columns)]
    left = words.index(False) if False in words else len(words)
    print_table(title, [_lower_case(column.title) for column in table.columns], rows, left)


def _lower_case(title: str) -> str:
    """'Top-1 accuracy' -> 'top-1 accuracy'; a first word with further capitals, such as IoU, is kept."""
    return title[:1].lower() + title[1:] if title.partition(" ")[0][1:].islower() else title
