"""What `mobilenet fit` shows while it works: a line for each step, and bars where somebody watches."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from mobilenet.cli.console import shown
from mobilenet.cli.progress import progress_bars

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from mobilenet.search.settings import FitListener
    from mobilenet.training.listener import Listener

__all__ = ["fit_progress"]


@contextmanager
def fit_progress() -> Iterator["FitListener"]:
    """A listener that writes a line for each step, and shows bars where somebody watches."""
    with progress_bars() as bars:
        yield _Shown(bars)


class _Shown:
    """Hears of a search, and of its trainings."""

    def __init__(self, bars: "Progress") -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        self._said: set[str] = set()

    @property
    def training(self) -> "Listener":
        return self

    def say(self, text: str) -> None:
        if sys.stderr.isatty():
            self._bars.console.print(shown(text), markup=False, highlight=False)
        else:
            click.echo(shown(text), err=True)

    def working(self, what: str, done: int, total: int) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=total)
        self._bars.update(self._tasks[what], completed=done, total=total, visible=done < total)

    def caching(self, done: int, total: int) -> None:
        self.working("decoding photos", done, total)

    def reading(self, done: int, total: int) -> None:
        self.working("features", done, total)

    def stepping(self, done: int, total: int) -> None:
        self.working("epoch", done, total)

    def epoch(self, line: dict[str, Any]) -> None:
        """The line of a whole training follows."""

    def note(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self.say(text)
