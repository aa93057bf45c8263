"""When a run is said to have learned nothing: curves by hand, any curves, and a real run."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenet.report import write_report
from mobilenet.training.plateau import new_plateau_note, plateau_note
from mobilenet.training.run import resume, train
from mobilenet.training.settings import TrainingSettings
from mobilenet.training.tracking.listener import Silence

LN10 = math.log(10)


def _config(*, epochs: int | None = 48, chance: float = LN10, **changes: Any) -> dict[str, Any]:
    """A run on 1,024 photos of ten classes in batches of 32: 32 steps an epoch."""
    return {
        "plan": {"epochs": epochs, "learning_rate": 0.096, "batch_size": 32},
        "settings": {"learning_rate": None, "minutes": None},
        "data": {"classes": list("abcdefghij"), "train_photos": 1024},
        "loss_range": {"chance": chance, "perfect": 0.5},
        **changes,
    }


def _lines(*losses: float) -> list[dict[str, Any]]:
    return [{"epoch": number, "train_loss": loss} for number, loss in enumerate(losses, 1)]


def test_a_quarter_of_the_run_at_chance_is_a_line() -> None:
    assert plateau_note(_config(), _lines(*[2.301] * 11)) is None
    assert plateau_note(_config(), _lines(*[2.301] * 12)) == (
        "after 12 of 48 epochs the training loss is 2.301, no better than guessing among 10 classes (2.303): "
        "the learning rate of 0.096 is probably too high; try --learning-rate 0.0096"
    )


def test_guesses_are_about_what_the_task_calls_them() -> None:
    config = _config(data={"classes": ["red", "round"], "noun": "attributes", "train_photos": 1024})
    note = plateau_note(config, _lines(*[2.301] * 12))
    assert note is not None
    assert "no better than guessing among 2 attributes (2.303)" in note


def test_a_rate_that_was_given_is_better_left_out() -> None:
    note = plateau_note(_config(settings={"learning_rate": 0.096}), _lines(*[2.4] * 20))
    assert note is not None
    assert note.endswith("0.096 is probably wrong; omit --learning-rate to use the default")


def test_a_run_of_few_steps_is_told_at_its_end_and_to_be_longer() -> None:
    config = _config(epochs=3)
    assert plateau_note(config, _lines(2.3, 2.3)) is None
    assert plateau_note(_config(epochs=2), _lines(2.3, 2.3)) is None
    assert plateau_note(config, _lines(2.3, 2.3, 2.3)) == (
        "after 3 of 3 epochs the training loss is 2.300, no better than guessing among 10 classes (2.303): "
        "96 steps may be too few; try more --epochs or a smaller --batch-size"
    )


def test_by_the_clock_a_quarter_of_the_time_counts() -> None:
    """One minute; validation and checkpoints are not training."""
    config = _config(epochs=None, settings={"learning_rate": None, "minutes": 1})
    seconds = {"input": 1.0, "step": 3.0, "validation": 50.0, "checkpoint": 9.0}
    lines = [{**line, "seconds": seconds} for line in _lines(2.3, 2.3, 2.3, 2.3)]
    assert plateau_note(config, lines[:3]) is None
    note = plateau_note(config, lines)
    assert note is not None
    assert note.startswith("after 4 epochs the training loss is 2.300")


def test_what_counts_as_lower_goes_by_what_perfect_answers_cost() -> None:
    """Smoothing by 0.9 leaves 0.04 nats to learn: a loss of 2.27 is nearly perfect then, and nothing without it."""
    smoothed = _config(loss_range={"chance": LN10, "perfect": 2.266})
    assert plateau_note(smoothed, _lines(*[2.27] * 48)) is None
    assert plateau_note(_config(), _lines(*[2.27] * 48)) is not None
    assert plateau_note(_config(loss_range={"chance": 0.5, "perfect": 0.5}), _lines(*[0.5] * 48)) is None


@given(st.lists(st.floats(0, 0.01), min_size=48, max_size=48), st.floats(0.2, 7))
def test_flat_at_chance_is_told_once_whatever_the_noise(noise: list[float], range_: float) -> None:
    lines = _lines(*(0.5 + range_ + wobble for wobble in noise))
    config = _config(chance=0.5 + range_)
    told = [count for count in range(1, 49) if new_plateau_note(config, lines[:count])]
    assert told == [12]
    assert plateau_note(config, lines)


@given(st.floats(1.5, 7), st.floats(0.05, 3), st.integers(8, 400))
def test_a_curve_that_falls_is_never_told(start: float, speed: float, epochs: int) -> None:
    """From guessing or worse towards perfect answers, a twentieth of the way or more by a quarter of the run."""
    quarter = math.ceil(epochs / 4)
    losses = [0.5 + (start - 0.5) * math.exp(-speed * number / quarter) for number in range(epochs)]
    config = _config(epochs=epochs, chance=start * 1.02)
    assert not any(plateau_note(config, _lines(*losses[:count])) for count in range(1, epochs + 1))


@given(st.integers(1, 47))
def test_what_was_learned_and_lost_again_was_learned(epoch: int) -> None:
    losses = [2.31] * 48
    losses[epoch] = 1.9
    assert plateau_note(_config(), _lines(*losses)) is None


@pytest.mark.parametrize("value", [None, [], "text", 3, True, {"epochs": "x", "chance": [], "classes": 5}])
def test_files_that_say_nothing_say_nothing(value: object) -> None:
    assert plateau_note(dict.fromkeys(_config(), value), _lines(*[2.4] * 48)) is None
    odd = [{"epoch": value, "train_loss": 2.4, "seconds": value} for _ in range(2)]
    assert plateau_note(_config(epochs=None, settings=value), odd) is None
    assert plateau_note(_config(), [{"epoch": 48, "train_loss": None}]) is None


class _StopsAtRemark(Silence):
    """Keeps the remarks, and presses Ctrl-C at the first one."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)
        raise KeyboardInterrupt


def test_a_run_at_an_absurd_rate_says_so_once_and_so_does_its_report(photos: Path, tmp_path: Path) -> None:
    """100 steps are made after 20 of the 21 epochs of 5; what resumes does not say it again.

    The rate is absurdly small: one that is absurdly large learns two classes now and then.
    """
    listener = _StopsAtRemark()
    quick: dict[str, Any] = {"width_multiplier": 0.1, "resolution": 32, "batch_size": 8, "device": "cpu"}
    settings = TrainingSettings(photos, **quick, epochs=21, learning_rate=1e-9, track=())
    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path / "run", listener=listener)
    (note,) = listener.notes
    assert note.startswith("after 20 of 21 epochs the training loss is ")
    assert "no better than guessing among 2 classes (0.693): the learning rate of 1e-09 is probably wrong" in note
    resume(tmp_path / "run", listener=listener)
    assert listener.notes == [note]
    page = write_report(tmp_path / "run").read_text("utf-8")
    assert page.count("After 21 of 21 epochs the training loss is ") == 1
    assert page.count("no better than guessing among 2 classes") == 1


def test_a_run_that_learns_does_not_say_so(photos: Path, tmp_path: Path) -> None:
    settings = TrainingSettings(photos, width_multiplier=0.1, resolution=32, epochs=8, batch_size=8, device="cpu")
    listener = _StopsAtRemark()
    still = {"brightness": 0, "contrast": 0, "colour_balance": 0}
    train(replace(settings, learning_rate=0.1, augmentation=still), tmp_path / "run", listener=listener)
    assert not listener.notes
    assert "no better than" not in write_report(tmp_path / "run").read_text("utf-8")
