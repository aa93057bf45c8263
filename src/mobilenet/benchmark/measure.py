"""Times contenders against each other: single images, in turns, in one run.

Every contender has a process of its own, and they take turns of a tenth of a second, forwards and then backwards, so
that a machine that slows down or is busy for a while slows all of them alike: ratios hold even if times do not.
Separate processes, because several engines in one cannot be measured: they share allocators and thread pools (torch and
OpenMP have one number of threads per process), and peak memory could not be attributed. They do not disturb each other:
a waiting process blocks on a pipe, and a turn ends only when the process is idle, so that threads that spin for a while
after the last image are not charged to the next contender; if they never stop, the result says so. The first images of
a turn, a tenth of it and at least one, are not timed: they bring the model back into the processor's caches.
"""

import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from mobilenet.benchmark import environment
from mobilenet.benchmark.result import Benchmark, Contender
from mobilenet.benchmark.summary import Record, summarise
from mobilenet.benchmark.worker.process import Worker
from mobilenet.errors import ConfigError
from mobilenet.runtimes.engines import ENGINES

__all__ = ["Plan", "Settings", "measure", "order", "plan_rounds", "take_turns"]

Progress = Callable[[int, int], object]

_TURN_S = 0.1
_CALLS_IN_TURN = 5
_FEWEST_ROUNDS = 3
_WARM_UP_SHARE = 0.1
_LONGEST_WARM_UP_S = 1.0
_LONGEST_S = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Settings:
    """Time each contender for `seconds`, on `photo`, or random pixels if None; ConfigError for seconds out of range."""

    seconds: float = 5.0
    photo: str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= _LONGEST_S:
            raise ConfigError(f"{self.seconds:g} seconds are out of range; use a number above 0, such as 5")


@dataclass(frozen=True, slots=True)
class Plan:
    """How the time is divided: `rounds` in which each contender has one turn of `turn_s` seconds."""

    rounds: int
    turn_s: float


def measure(
    contenders: Sequence[Contender], settings: Settings | None = None, progress: Progress | None = None
) -> Benchmark:
    """Time all contenders in one run; each stays loaded until the end. `progress(done, total)` is called between turns.

    ModelError if one cannot be opened or its process crashes; ConfigError without contenders.
    """
    settings = settings or Settings()
    if not contenders:
        raise ConfigError("no contenders to measure; give at least one model file")
    load, clocks, temperatures = _load(), [environment.clock_mhz()], [environment.temperature_c()]
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker()) for _ in contenders]
        openings = [
            worker.open(contender, settings.photo) for worker, contender in zip(workers, contenders, strict=True)
        ]
        plan = plan_rounds(settings.seconds, _warm_up(workers, settings.seconds))
        records = take_turns(workers, plan, progress)
    clocks.append(environment.clock_mhz())
    temperatures.append(environment.temperature_c())
    packages = sorted({name for contender in contenders for name in ENGINES[contender.runtime].distributions})
    return Benchmark(
        seconds=settings.seconds,
        rounds=plan.rounds,
        photo=settings.photo,
        environment=environment.describe(
            ["mobilenet", "numpy", *packages], (clocks[0], clocks[1]), (temperatures[0], temperatures[1]), load
        ),
        timings=tuple(
            summarise(contender, opening, record, records[0])
            for contender, opening, record in zip(contenders, openings, records, strict=True)
        ),
    )


def plan_rounds(seconds: float, slowest_s: float) -> Plan:
    """Turns of a tenth of a second or five images of the slowest contender, but at least three rounds."""
    turn_s = min(max(_TURN_S, _CALLS_IN_TURN * slowest_s), seconds / _FEWEST_ROUNDS)
    return Plan(max(_FEWEST_ROUNDS, math.ceil(seconds / turn_s - 1e-6)), turn_s)


def order(number: int, contenders: int) -> range:
    """The order of turns in round `number`: first to last, then last to first, so that no position is favoured."""
    return range(contenders) if number % 2 == 0 else range(contenders - 1, -1, -1)


def take_turns(workers: Sequence[Worker], plan: Plan, progress: Progress | None = None) -> list[Record]:
    """Run the rounds of the plan with workers whose models are open; one record per worker, in order."""
    records = [Record() for _ in workers]
    started, total = time.monotonic(), plan.rounds * len(workers)
    for number in range(plan.rounds):
        for place, index in enumerate(order(number, len(workers)), 1):
            begun = time.monotonic() - started
            turn = workers[index].turn(plan.turn_s, _WARM_UP_SHARE * plan.turn_s)
            records[index].add(begun, turn)
            if progress is not None:
                progress(number * len(workers) + place, total)
    return records


def _warm_up(workers: Sequence[Worker], seconds: float) -> float:
    """Run every model for a while; returns the seconds per image of the slowest."""
    warm_up_s = min(_WARM_UP_SHARE * seconds, _LONGEST_WARM_UP_S)
    return max(float(np.median(worker.turn(warm_up_s).latencies_ns)) for worker in workers) / 1e9


def _load() -> float:
    """The load average of the last minute."""
    return os.getloadavg()[0]
