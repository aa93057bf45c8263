"""Latencies become figures: every number here can be checked by hand."""

from pathlib import Path

import numpy as np
import pytest

from mobilenet.benchmark import Contender
from mobilenet.benchmark.summary import Record, drift, summarise
from mobilenet.benchmark.worker.process import Opening, Turn

_OPENING = Opening(32, import_ms=50.0, load_ms=2.0, first_ms=1.0, engine_bytes=7, peak_bytes=9)


def _record(*turns_ms: list[float], begun_s: list[float] | None = None, idles: bool = True) -> Record:
    record = Record()
    for number, turn_ms in enumerate(turns_ms):
        latencies_ns = np.array([round(1e6 * latency) for latency in turn_ms], np.int64)
        total_ns = int(latencies_ns.sum())
        turn = Turn(latencies_ns, total_ns, total_ns // 2, total_ns // 4, idles)
        record.add(begun_s[number] if begun_s else float(number), turn)
    return record


@pytest.fixture
def contender(tmp_path: Path) -> Contender:
    """A file of 12 bytes."""
    (tmp_path / "a.tflite").write_bytes(b"a model file")
    return Contender(str(tmp_path / "a.tflite"), "litert", 1)


def test_percentiles_are_of_all_images_of_all_rounds(contender: Contender) -> None:
    # 0, 1 … 200 ms in two turns and out of order: percentile p is 2 p.
    turns = [[float(latency) for latency in range(200, -1, -2)], [float(latency) for latency in range(1, 201, 2)]]
    timing = summarise(contender, _OPENING, record := _record(*turns), record)
    assert (timing.calls, timing.file_bytes, timing.p50_ms, timing.p95_ms, timing.p99_ms) == (201, 12, 100, 190, 198)
    assert timing.quantiles_ms == tuple(2.0 * percent for percent in range(101))
    # Between two images, as numpy: three quarters of the way from 10 to 20.
    timing = summarise(contender, _OPENING, record := _record([10.0, 20.0]), record)
    assert timing.quantiles_ms[75] == 17.5


def test_throughput_is_images_by_their_summed_time(contender: Contender) -> None:
    record = _record([1.0, 1.0, 6.0], [2.0])
    # 4 images in 10 ms; the median would say 667.
    assert summarise(contender, _OPENING, record, record).images_per_second == 400


def test_processor_time_is_per_image_and_waiting_a_share_of_all_time(contender: Contender) -> None:
    # Half and a quarter of the latencies, as _record makes them: 1 ms, 1 ms and 3 ms an image in three rounds.
    record = _record([2.0, 2.0], [1.0, 3.0], [6.0])
    timing = summarise(contender, _OPENING, record, record)
    assert (timing.processor_ms, timing.waited) == (1, 0.25)


def test_the_ratio_is_the_median_of_rounds_so_that_a_busy_half_does_not_count(contender: Contender) -> None:
    first = _record([1.0, 1.0], [1.0, 3.0], [8.0], [10.0])
    # Half as slow again in every round but the last; whoever pooled the rounds would say something else.
    second = _record([1.5], [3.0, 3.0], [12.0], [40.0])
    timing = summarise(contender, _OPENING, second, first)
    assert timing.ratio == 1.5
    # Of 1.5, 1.5, 1.5, 4.0
    assert timing.ratio_quartiles == (1.5, 2.125)
    assert summarise(contender, _OPENING, first, first).ratio == 1


def test_one_turn_that_did_not_end_is_enough_to_say_so(contender: Contender) -> None:
    quiet, loud = _record([1.0]), _record([1.0])
    loud.add(1.0, Turn(np.array([1000]), 1000, 0, 0, idles=False))
    assert summarise(contender, _OPENING, quiet, quiet).idles
    assert not summarise(contender, _OPENING, loud, loud).idles


def test_a_short_run_has_its_first_third_beside_its_last(contender: Contender) -> None:
    record = _record(*([latency] for latency in (1.0, 1.0, 1.0, 1.0, 9.0, 9.0, 9.0, 9.0, 2.0, 2.0, 2.0, 2.0)))
    timing = summarise(contender, _OPENING, record, record)
    assert (timing.opening_p50_ms, timing.steady_p50_ms, timing.drift) == (1, 2, 1)


def test_a_long_run_has_its_first_minute_beside_the_rest(contender: Contender) -> None:
    begun_s = [0.0, 15.0, 30.0, 45.0, 61.0, 90.0, 110.0, 125.0]
    record = _record([1.0], [1.0], [1.0], [1.0], [1.5], [1.5], [1.5], [1.5], begun_s=begun_s)
    timing = summarise(contender, _OPENING, record, record)
    assert (timing.opening_p50_ms, timing.steady_p50_ms, timing.drift) == (1, 1.5, 0.5)


@pytest.mark.parametrize(
    ("opening_ms", "steady_ms", "expected"),
    [
        ([1.0, 1.0, 1.0, 1.0], [1.1, 1.1, 1.1, 1.1], 0.1),
        ([1.1, 1.1, 1.1, 1.1], [0.99, 0.99, 0.99, 0.99], -0.1),
        # Too small to matter, too few rounds, and parts that reach into each other.
        ([1.0, 1.0, 1.0, 1.0], [1.02, 1.02, 1.02, 1.02], None),
        ([1.0, 1.0, 1.0], [1.1, 1.1, 1.1], None),
        ([1.0, 1.0, 2.0, 2.0], [1.0, 2.0, 2.0, 2.0], None),
    ],
)
def test_drift_is_said_only_where_it_is_clear(
    opening_ms: list[float], steady_ms: list[float], expected: float | None
) -> None:
    assert drift(np.array(opening_ms), np.array(steady_ms)) == expected
