"""Progress of `mobilenet fit`: a line for each step, and bars on a terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from mobilenet.cli.console import shown
from mobilenet.cli.progress import still_bars

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from mobilenet.search.settings import FitListener
    from mobilenet.training.tracking.listener import Listener

__all__ = ["fit_progress"]

_PAUSE_S = 0.1
"""Least time between redraws; the end of a bar is drawn at once."""


@contextmanager
def fit_progress() -> Iterator["FitListener"]:
    """A listener that writes a line for each step, and shows bars on a terminal."""
    with still_bars() as bars:
        yield _Shown(bars)


class _Shown:
    """Listener of a search. Parts of it are timed, so bars are drawn on events only, never in between."""

    def __init__(self, bars: "Progress") -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        self._over: set[str] = set()
        self._drawn_s = 0.0
        self._said: set[str] = set()

    def training_of(self, name: str, epochs: int) -> "Listener":
        """The listener for the training of a candidate."""
        return _Training(self, name, epochs)

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        if sys.stderr.isatty():
            self._bars.console.print(shown(text), markup=False, highlight=False)
        else:
            click.echo(shown(text), err=True)

    def say_once(self, text: str) -> None:
        """Print a note that every training of a search repeats."""
        if text not in self._said:
            self._said.add(text)
            self.say(text)

    def working(self, what: str, done: int, total: int) -> None:
        """Draw the bar of a step."""
        self.draw(what, what, done, total)

    def draw(self, bar: str, title: str, done: int, total: int) -> None:
        """Draw one bar; a step that starts again after its end is timed anew."""
        if bar not in self._tasks:
            self._tasks[bar] = self._bars.add_task(title, total=total)
        elif bar in self._over and done < total:
            self._over.remove(bar)
            self._bars.reset(self._tasks[bar], total=total)
        over, now = done >= total, self._bars.get_time()
        due = over or now >= self._drawn_s + _PAUSE_S
        if over:
            self._over.add(bar)
        if due:
            self._drawn_s = now
        self._bars.update(
            self._tasks[bar], description=title, completed=done, total=total, visible=not over, refresh=due
        )


class _Training:
    """Listener of one training of a search."""

    def __init__(self, shown_on: _Shown, name: str, epochs: int) -> None:
        self._shown, self._name, self._epochs = shown_on, name, epochs
        self._epoch = 1

    def caching(self, done: int, total: int) -> None:
        self._shown.working("decoding photos", done, total)

    def reading(self, done: int, total: int) -> None:
        self._shown.draw("features", f"{self._name}, network outputs", done, total)

    def stepping(self, done: int, total: int) -> None:
        self._shown.draw("epoch", f"{self._name}, epoch {self._epoch}/{self._epochs}", done, total)

    def epoch(self, line: dict[str, Any]) -> None:
        """Only counts: a line for the whole training follows."""
        self._epoch = line["epoch"] + 1

    def note(self, text: str) -> None:
        self._shown.say_once(text)
