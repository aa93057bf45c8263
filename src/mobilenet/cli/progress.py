"""A bar on stderr for work that takes a while; nothing where nobody watches."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mobilenet.cli.console import progress_console

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["progress_bar", "progress_bars"]


def progress_bars() -> "Progress":
    """Bars with the time left, on stderr where somebody watches, removed at the end; for several tasks at once."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=progress_console(), transient=True)


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """Gives `progress(done, total)`: a bar with the time left, which is removed at the end."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    with progress_bars() as bars:
        bar = bars.add_task(title, total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total)
