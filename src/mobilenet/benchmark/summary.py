"""Latencies by round -> the figures of one contender."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobilenet.benchmark.result import Contender, Timing
from mobilenet.benchmark.worker.process import Opening, Turn
from mobilenet.runtimes.c_file import device_bytes
from mobilenet.runtimes.predictor import model_file

__all__ = ["Record", "drift", "summarise"]

Floats = NDArray[np.float64]

_MINUTE_S = 60.0
_LEAST_ROUNDS, _LEAST_DRIFT = 4, 0.03
"""Quartiles of fewer rounds are meaningless; a smaller drift does not matter."""


@dataclass(slots=True)
class Record:
    """The turns of one contender, in order; `begun_s` are seconds since the first turn of the run."""

    begun_s: list[float] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)

    def add(self, begun_s: float, turn: Turn) -> None:
        """Add a turn."""
        self.begun_s.append(begun_s)
        self.turns.append(turn)

    def medians_ms(self) -> Floats:
        """(rounds,) median latency of each turn."""
        return np.array([np.median(turn.latencies_ns) for turn in self.turns]) / 1e6

    def processor_ms(self) -> Floats:
        """(rounds,) mean CPU time per image of each turn, over all threads."""
        return np.array([turn.processor_ns / len(turn.latencies_ns) for turn in self.turns]) / 1e6

    def waited(self) -> float:
        """The fraction of its time (0…1) spent waiting for a core."""
        return sum(turn.waited_ns for turn in self.turns) / sum(turn.wall_ns for turn in self.turns)

    def latencies_ms(self) -> Floats:
        """(calls,) all latencies, in order."""
        return np.concatenate([turn.latencies_ns for turn in self.turns]) / 1e6


def summarise(contender: Contender, opening: Opening, record: Record, first: Record) -> Timing:
    """The figures of one contender relative to the `first` of the run, which had a turn in the same rounds."""
    latencies = record.latencies_ms()
    quantiles: list[float] = np.quantile(latencies, np.linspace(0, 1, 101)).round(6).tolist()
    ratios = record.medians_ms() / first.medians_ms()
    lower, ratio, upper = np.quantile(ratios, (0.25, 0.5, 0.75)).round(6).tolist()
    opening_ms, steady_ms = _opening_and_steady(record)
    return Timing(
        contender=contender,
        resolution=opening.resolution,
        file_bytes=device_bytes(model_file(Path(contender.file))),
        calls=len(latencies),
        p50_ms=quantiles[50],
        p95_ms=quantiles[95],
        p99_ms=quantiles[99],
        images_per_second=round(1000 / float(latencies.mean()), 3),
        processor_ms=round(float(np.median(record.processor_ms())), 6),
        waited=round(record.waited(), 6),
        ratio=ratio,
        ratio_quartiles=(lower, upper),
        opening_p50_ms=round(float(np.median(opening_ms)), 6),
        steady_p50_ms=round(float(np.median(steady_ms)), 6),
        drift=drift(opening_ms, steady_ms),
        import_ms=round(opening.import_ms, 3),
        load_ms=round(opening.load_ms, 3),
        first_ms=round(opening.first_ms, 3),
        engine_bytes=opening.engine_bytes,
        peak_bytes=opening.peak_bytes,
        idles=all(turn.idles for turn in record.turns),
        quantiles_ms=tuple(quantiles),
        remarks=opening.remarks,
    )


def drift(opening_ms: Floats, steady_ms: Floats) -> float | None:
    """Relative slowdown (speed-up if below 0) between medians of rounds, (rounds,) each; None if small or unclear.

    It is clear if the interquartile ranges of the two do not overlap.
    """
    if min(len(opening_ms), len(steady_ms)) < _LEAST_ROUNDS:
        return None
    change = round(float(np.median(steady_ms) / np.median(opening_ms)) - 1, 6)
    low, high = np.quantile(opening_ms, (0.25, 0.75)), np.quantile(steady_ms, (0.25, 0.75))
    apart = low[1] < high[0] or high[1] < low[0]
    return change if apart and abs(change) >= _LEAST_DRIFT else None


def _opening_and_steady(record: Record) -> tuple[Floats, Floats]:
    """Medians of rounds in the first minute and after it; in a shorter run, in its first and last third."""
    medians, begun = record.medians_ms(), np.array(record.begun_s)
    if begun[-1] >= 2 * _MINUTE_S:
        return medians[begun < _MINUTE_S], medians[begun >= _MINUTE_S]
    third = max(len(medians) // 3, 1)
    return medians[:third], medians[-third:]
