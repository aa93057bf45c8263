"""Output of commands: results on stdout, everything else on stderr."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["megabytes", "print_json", "print_table", "progress_console", "shown"]

_WIDEST = 10_000
"""In characters; wider than any table."""


def print_json(document: Mapping[str, object]) -> None:
    """Print a JSON document on one line of stdout, in ASCII for pipes of any encoding; ValueError for NaN."""
    click.echo(json.dumps(document, allow_nan=False))


def shown(text: str) -> str:
    """`text` on one line: unprintable characters, such as a line break in a file name, are escaped."""
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    # A byte that is not UTF-8 is shown as that byte.
    return f"\\x{ord(letter) - 0xDC00:02x}" if 0xDC80 <= ord(letter) <= 0xDCFF else ascii(letter)[1:-1]


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> None:
    """Print a table on stdout, ruled and coloured on a terminal, plain aligned columns in a pipe.

    The first `left` columns are text, the others right-aligned numbers.
    """
    title, rows = shown(title), [[shown(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_ruled(title, header, rows, left)
    else:
        _print_bare(title, header, rows, left)


def progress_console() -> "Console":
    """A rich console on stderr for progress bars and notes; silent unless stderr is a terminal."""
    from rich.console import Console

    return Console(stderr=True, quiet=not sys.stderr.isatty())


def _print_ruled(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> None:
    # Rich takes longer to import than everything else here combined.
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for number, cells in enumerate(zip(header, *rows, strict=True)):
        words = number < left
        table.add_column(
            Text(cells[0]),
            justify="left" if words else "right",
            style="cyan" if number == 0 else "",
            overflow="fold",
            # A narrow terminal may wrap names and headings, never numbers.
            width=None if words else max(map(len, (*cells[0].split(), *cells[1:]))),
        )
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console()
    # On an even narrower terminal, wrapped lines are better than missing columns.
    unlimited = console.options.update(max_width=_WIDEST)
    console.width = max(console.width, console.measure(table, options=unlimited).minimum)
    console.print(Text(title, style="bold"))
    console.print(table, "")


def _print_bare(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> None:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    click.echo(title)
    for row in (header, *rows):
        cells = (
            cell.ljust(width) if number < left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        click.echo("  ".join(cells).rstrip())
    click.echo()


def megabytes(size: float) -> str:
    """Bytes in MB of 1,000,000: '5.3', and with the digits of a microcontroller's memory '0.038'."""
    return f"{size / 1e6:.1f}" if size >= 1e6 else f"{size / 1e6:.3f}"
