"""The process that runs one model at a time: requests on stdin, answers on stdout, one JSON object per line.

    {"open": {"file", "runtime", "threads", "photo"}}   -> {"resolution", "import_ms", "load_ms", "first_ms",
                                                            "engine_bytes", "peak_bytes", "remarks"}
    {"turn": {"seconds", "warm_up"}}                    -> {"latencies_ns": […], "wall_ns", "processor_ns",
                                                            "waited_ns", "idles"}

Errors that the user can fix are answered with {"error": line}; anything else ends the process. `process.Worker` is the
other end.
"""

import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mobilenet.benchmark.worker.foreign import is_foreign, open_foreign
from mobilenet.benchmark.worker.memory import forget_peak, peak_bytes, resident_bytes
from mobilenet.errors import DataError, ImageError, MobilenetError
from mobilenet.runtimes.engines import ENGINES
from mobilenet.runtimes.predictor import Predictor, open_model

__all__ = ["main"]

Image = NDArray[np.uint8]

_Run = Callable[[], object]

_Result = TypeVar("_Result")

_SETTLING_S = 0.5
"""How long an engine's threads may keep spinning after its turn without being reported."""

_SCHEDULED = Path("/proc/thread-self/schedstat")
"""Nanoseconds on a core, nanoseconds waiting for one, number of turns (Linux)."""

_GLANCE_S = 0.002
_IDLE_SHARE = 0.1
"""A process that uses less than this fraction of a core is idle: reading the clock costs a hundredth."""


class _Model:
    """The open model, with its input."""

    def __init__(self) -> None:
        self._run: _Run | None = None

    def open(self, file: str, runtime: str, threads: int, photo: str | None) -> dict[str, Any]:
        """Load a model and run it once; returns milliseconds and bytes of each step."""
        self._run = None
        path = Path(file)
        opener = _open_foreign if is_foreign(path) else _open_own
        before = resident_bytes()
        _, import_ms = _timed(lambda: importlib.import_module(ENGINES[runtime].module))
        forget_peak()
        with_engine = resident_bytes()
        opened, load_ms = _timed(lambda: opener(path, runtime, threads))
        _, first_ms = _timed(opened.run)
        # Some engines plan their memory only at the second image.
        opened.run()
        most = peak_bytes()
        self._run = opened.run if photo is None else opened.run_on(Path(photo))
        return {
            "resolution": opened.resolution,
            "import_ms": import_ms,
            "load_ms": load_ms,
            "first_ms": first_ms,
            "engine_bytes": max(with_engine - before, 0),
            "peak_bytes": max(most - with_engine, 0) if opened.memory_bytes is None else opened.memory_bytes,
            "remarks": opened.remarks,
        }

    def turn(self, seconds: float, warm_up: float) -> dict[str, Any]:
        """Run single images, untimed for `warm_up` seconds, then timed for `seconds`; at least one in each."""
        if self._run is None:
            raise RuntimeError("no model is open")
        _latencies_ns(self._run, warm_up)
        wall_ns, processor_ns, waited_ns = time.perf_counter_ns(), time.process_time_ns(), _waited_ns()
        latencies_ns = _latencies_ns(self._run, seconds)
        return {
            "latencies_ns": latencies_ns,
            "waited_ns": _waited_ns() - waited_ns,
            "processor_ns": time.process_time_ns() - processor_ns,
            "wall_ns": time.perf_counter_ns() - wall_ns,
            "idles": _settle(),
        }


@dataclass(frozen=True, slots=True)
class _Opened:
    """`run` computes the answers for one input; `run_on` makes such a function for a photo. `memory_bytes`: what the
    network takes by its own account, which is exact, None where it has to be measured."""

    run: _Run
    run_on: Callable[[Path], _Run]
    resolution: int | None
    remarks: tuple[str, ...] = ()
    memory_bytes: int | None = None


def _open_own(path: Path, runtime: str, threads: int) -> _Opened:
    predictor = open_model(path, runtime=runtime, threads=threads)
    side = predictor.preprocessing.resolution
    return _Opened(
        partial(predictor.predict, _noise(side)),
        lambda photo: partial(predictor.predict, _prepare(predictor, photo)),
        side,
        memory_bytes=getattr(predictor, "memory_bytes", None),
    )


def _open_foreign(path: Path, runtime: str, threads: int) -> _Opened:
    found = open_foreign(path, runtime, threads)

    def run_on(_photo: Path) -> _Run:
        raise DataError(f"{path} is a file of another tool, which does not say how photos are prepared; omit --photo")

    return _Opened(found.run, run_on, found.resolution, found.remarks)


def _latencies_ns(run: _Run, seconds: float) -> list[int]:
    now = time.perf_counter_ns
    latencies: list[int] = []
    end = now() + int(seconds * 1e9)
    while True:
        started = now()
        run()
        done = now()
        latencies.append(done - started)
        if done >= end:
            return latencies


def _waited_ns() -> int:
    """How long this thread has waited for a core; always 0 if the kernel does not count it."""
    try:
        return int(_SCHEDULED.read_text("ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def _settle() -> bool:
    """Wait until this process uses no CPU time: threads that spin for work would slow the next contender.

    False if they still do after half a second.
    """
    deadline = time.monotonic() + _SETTLING_S
    while time.monotonic() < deadline:
        wall, used = time.perf_counter(), time.process_time()
        time.sleep(_GLANCE_S)
        if time.process_time() - used < _IDLE_SHARE * (time.perf_counter() - wall):
            return True
    return False


def _noise(resolution: int) -> Image:
    return np.random.default_rng(0).integers(0, 256, (1, resolution, resolution, 3), np.uint8)


def _prepare(predictor: Predictor, photo: Path) -> Image:
    try:
        return predictor.preprocessing.prepare(photo)[None]
    except ImageError as error:
        raise DataError(f"{photo}: {error}; give another with --photo") from error


def _timed(step: Callable[[], _Result]) -> tuple[_Result, float]:
    started = time.perf_counter()
    result = step()
    return result, 1000 * (time.perf_counter() - started)


def main() -> None:
    """Answer requests until stdin ends."""
    # Ctrl-C reaches the whole group; the parent process decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Engines write messages to stdout, which is for answers: redirect it to stderr from here on.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="ascii")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    model = _Model()
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        answers.write(json.dumps(_answer(model, request)) + "\n")
        answers.flush()


def _answer(model: _Model, request: dict[str, Any]) -> dict[str, Any]:
    try:
        if "open" in request:
            return model.open(**request["open"])
        return model.turn(**request["turn"])
    except (MobilenetError, OSError) as error:
        return {"error": str(error)}


if __name__ == "__main__":
    main()
