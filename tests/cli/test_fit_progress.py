"""What a search shows, on a terminal that is a string and by a clock that stands until it is moved."""

import io
import re
import threading

import pytest
from rich.console import Console
from rich.progress import Progress

from mobilenet.cli.fit.progress import _Shown, fit_progress
from mobilenet.cli.progress import _columns


class _Terminal:
    """Bars as `fit_progress` makes them."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.text = io.StringIO()
        console = Console(file=self.text, force_terminal=True, width=100, _environ={"TERM": "xterm"})
        self.bars = Progress(
            *_columns(), console=console, transient=True, auto_refresh=False, get_time=lambda: self.now_s
        )
        self.shown = _Shown(self.bars)

    def lines(self) -> list[str]:
        """Every line that was drawn since the last call, without colours."""
        text, _ = self.text.getvalue(), self.text.truncate(self.text.seek(0))
        return [
            line for line in re.split(r"\x1b\[[0-9;?]*[A-Za-ln-z]|[\r\n]", re.sub(r"\x1b\[[0-9;]*m", "", text)) if line
        ]


@pytest.fixture
def terminal() -> _Terminal:
    return _Terminal()


def test_a_bar_names_the_training_and_its_epoch_and_each_epoch_has_a_time_of_its_own(terminal: _Terminal) -> None:
    """Ten steps of a second each: after three of them seven seconds are left, in every epoch."""
    with terminal.bars:
        listener = terminal.shown.training_of("0.5-160", 12)
        for epoch in (1, 2, 3):
            for step in range(1, 4):
                terminal.now_s += 1
                listener.stepping(step, 10)
            last = terminal.lines()[-1]
            assert last.startswith(f"0.5-160, epoch {epoch}/12 ")
            assert last.rstrip().endswith(" 3/10 0:00:07")
            for step in range(4, 11):
                terminal.now_s += 1
                listener.stepping(step, 10)
            listener.epoch({"epoch": epoch})
            terminal.lines()


def test_the_next_training_begins_with_its_first_epoch(terminal: _Terminal) -> None:
    with terminal.bars:
        first = terminal.shown.training_of("0.5-160", 3)
        first.stepping(2, 2)
        first.epoch({"epoch": 1})
        terminal.lines()
        terminal.now_s += 1
        terminal.shown.training_of("0.25-224", 12).stepping(1, 2)
        assert terminal.lines()[-1].startswith("0.25-224, epoch 1/12 ")


def test_bars_are_drawn_when_told_and_ten_times_a_second_at_most(
    terminal: _Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[float] = []
    monkeypatch.setattr(terminal.bars, "refresh", lambda: drawn.append(terminal.now_s))
    for number in range(1, 1001):
        terminal.now_s += 0.001
        terminal.shown.working("measuring", number, 1000)
    # One of rich itself, for a bar that is new.
    assert 9 <= len(drawn) <= 12
    assert drawn[-1] == terminal.now_s


def test_no_thread_draws_in_between() -> None:
    before = threading.active_count()
    with fit_progress() as listener:
        listener.working("measuring", 1, 2)
        assert threading.active_count() == before


def test_where_nobody_watches_there_are_lines_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with fit_progress() as listener:
        heard = listener.training_of("0.5-160", 2)
        for text in ("a photo is broken", "a photo is broken"):
            heard.caching(1, 2)
            heard.reading(1, 2)
            heard.stepping(1, 2)
            heard.epoch({"epoch": 1})
            heard.note(text)
        listener.working("measuring", 1, 2)
        listener.say("done")
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "a photo is broken\ndone\n"
