"""A bar on stderr for work that takes a while; nothing where nobody watches."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mobilenet.cli.console import progress_console

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

__all__ = ["progress_bar", "progress_bars", "still_bars", "turn_bar"]


def progress_bars() -> "Progress":
    """Bars with the time left, on stderr where somebody watches, removed at the end; for several tasks at once."""
    from rich.progress import Progress

    return Progress(*_columns(), console=progress_console(), transient=True)


def still_bars() -> "Progress":
    """As `progress_bars`, for work that is being timed: drawn when told, never in between by a thread of its own."""
    from rich.progress import Progress

    return Progress(*_columns(), console=progress_console(), transient=True, auto_refresh=False)


def _columns() -> "tuple[ProgressColumn, ...]":
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    return TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """Gives `progress(done, total)`: a bar with the time left, which is removed at the end."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    with progress_bars() as bars:
        bar = bars.add_task(title, total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total)


@contextmanager
def turn_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """As `progress_bar`, on `still_bars`."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    with still_bars() as bars:
        bar = bars.add_task(title, total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total, refresh=True)
