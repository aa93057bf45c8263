"""Who has a turn when, for how long; and one real run. Nothing here depends on how fast the machine is."""

from pathlib import Path

import numpy as np
import pytest

from mobilenet.benchmark import Contender, Settings, measure
from mobilenet.benchmark.measure import Plan, order, plan_rounds, take_turns
from mobilenet.benchmark.worker.process import Turn
from mobilenet.errors import ConfigError, ModelError


class _Diary:
    """A worker that writes down its turns in a list that all share."""

    def __init__(self, name: str, entries: list[tuple[str, float, float]]) -> None:
        self.name, self.entries = name, entries

    def turn(self, seconds: float, warm_up: float = 0.0) -> Turn:
        """An image of as many nanoseconds as there were turns before."""
        self.entries.append((self.name, seconds, warm_up))
        return Turn(np.array([len(self.entries)]), 1, 0, 0, idles=True)


def test_turns_go_forwards_then_backwards() -> None:
    entries: list[tuple[str, float, float]] = []
    reported: list[tuple[int, int]] = []
    workers = [_Diary(name, entries) for name in "abc"]
    records = take_turns(workers, Plan(3, 0.5), lambda done, total: reported.append((done, total)))
    assert "".join(name for name, _, _ in entries) == "abccbaabc"
    assert {rest for _, *rest in map(tuple, entries) for rest in [tuple(rest)]} == {(0.5, 0.05)}
    assert [[int(turn.latencies_ns[0]) for turn in record.turns] for record in records] == [
        [1, 6, 7],
        [2, 5, 8],
        [3, 4, 9],
    ]
    assert all(record.begun_s == sorted(record.begun_s) for record in records)
    assert reported == [(done, 9) for done in range(1, 10)]


def test_over_two_rounds_everybody_comes_at_the_same_time_on_average() -> None:
    places = np.array([np.argsort(order(number, 5)) for number in range(2)])
    assert set(places.sum(axis=0).tolist()) == {4}


@pytest.mark.parametrize(
    ("seconds", "slowest_s", "expected"),
    [
        (5.0, 0.0003, Plan(50, 0.1)),
        (5.0, 0.04, Plan(25, 0.2)),
        (0.2, 0.0003, Plan(3, 0.2 / 3)),
        (5.0, 3.0, Plan(3, 5 / 3)),
        (60.0, 1.0, Plan(12, 5.0)),
    ],
)
def test_a_turn_is_a_tenth_of_a_second_or_five_images(seconds: float, slowest_s: float, expected: Plan) -> None:
    assert plan_rounds(seconds, slowest_s) == expected


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_no_time_is_no_measurement(seconds: float) -> None:
    with pytest.raises(ConfigError, match=r"seconds are out of range; use a number above 0, such as 5$"):
        Settings(seconds)


def test_a_run_has_a_figure_for_everything(tiny_tflite: Path) -> None:
    contenders = (Contender(str(tiny_tflite), "litert", 1), Contender(str(tiny_tflite), "litert", 2))
    result = measure(contenders, Settings(seconds=0.06))
    assert tuple(timing.contender for timing in result.timings) == contenders
    assert (result.rounds, result.photo, result.seconds) == (3, None, 0.06)
    assert {"ai-edge-litert", "numpy", "python", "mobilenet"} == result.environment.versions.keys()
    first, _ = result.timings
    assert (first.ratio, first.ratio_quartiles) == (1, (1, 1))
    for timing in result.timings:
        assert timing.calls >= 3
        assert 0 <= timing.waited < 1
        # Threads cannot take more of the processor than there is time for each, but for the clocks' ticks.
        assert 0 < timing.processor_ms <= 1.1 * timing.contender.threads * timing.quantiles_ms[100]
        assert timing.quantiles_ms == tuple(sorted(timing.quantiles_ms))
        assert 0 < timing.p50_ms <= timing.p95_ms <= timing.p99_ms <= timing.quantiles_ms[100]
        assert 1000 / timing.quantiles_ms[100] <= timing.images_per_second + 1e-3
        assert timing.images_per_second <= 1000 / timing.quantiles_ms[0] + 1e-3
        assert timing.file_bytes == tiny_tflite.stat().st_size


def test_one_that_cannot_be_opened_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "a.tflite").write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"a\.tflite"):
        measure([Contender(str(tmp_path / "a.tflite"), "litert", 1)])
    with pytest.raises(ConfigError, match="no contenders"):
        measure([])
