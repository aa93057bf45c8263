"""Progress bars on stderr for long work; nothing unless stderr is a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mobilenet.cli.console import progress_console

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

__all__ = ["progress_bar", "progress_bars", "still_bars", "turn_bar"]


def progress_bars() -> "Progress":
    """Bars with the time left for several tasks, on stderr if it is a terminal, removed at the end."""
    from rich.progress import Progress

    return Progress(*_columns(), console=progress_console(), transient=True)


def still_bars() -> "Progress":
    """As `progress_bars`, for work that is being timed: drawn on request only, without a refresh thread."""
    from rich.progress import Progress

    return Progress(*_columns(), console=progress_console(), transient=True, auto_refresh=False)


def _columns() -> "tuple[ProgressColumn, ...]":
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    return TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """Yield `progress(done, total)`, which draws a bar with the time left; it is removed at the end."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    with progress_bars() as bars:
        bar = bars.add_task(title, total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total)


@contextmanager
def turn_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """As `progress_bar`, with `still_bars`."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    with still_bars() as bars:
        bar = bars.add_task(title, total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total, refresh=True)
