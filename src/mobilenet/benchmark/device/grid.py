"""Measures a grid of candidates on this device: part of it, in turns; the rest is estimated. Does not need torch.

Networks have random weights, because latency, memory and size depend only on the shape. A turn opens a file in a
process that holds nothing else and times single images; every candidate has several turns, forwards and backwards over
the grid, so that a busy moment affects one of its turns but not its figure. Memory is measured in separate processes,
since a model would reuse what a previous one has freed.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mobilenet.benchmark import environment
from mobilenet.benchmark.device.curve import Curve, Point, Variant
from mobilenet.benchmark.device.design import for_latency, for_memory
from mobilenet.benchmark.device.profile import MOST_CLASSES, DeviceProfile
from mobilenet.benchmark.device.untrained import untrained
from mobilenet.benchmark.result import Contender, Environment
from mobilenet.benchmark.worker.process import Turn, Worker
from mobilenet.errors import ConfigError
from mobilenet.export.formats import WRITERS
from mobilenet.extras import pip_install
from mobilenet.files import storage_errors
from mobilenet.images.preprocessing import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.model.precision import PRECISIONS, Precision
from mobilenet.runtimes.c_file import device_bytes
from mobilenet.runtimes.engines import ENGINES, FORMAT_OF, FORMATS, MOST_THREADS, Plan
from mobilenet.tasks.default import DEFAULT

__all__ = [
    "RESOLUTIONS",
    "WIDTHS",
    "GridSettings",
    "grid_environment",
    "installed_runtimes",
    "latencies",
    "measure_grid",
    "resolved",
]

WIDTHS = (0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)
RESOLUTIONS = (96, 128, 160, 192, 224)

_TURN_S, _WARM_UP_S = 0.08, 0.02
_FEWEST_PASSES, _USUAL_PASSES, _MOST_PASSES = 2, 5, 8
_SETTLED, _LONGEST = 0.05, 4 / 3
"""A larger error of estimates means that other programs were running: more turns are taken, for up to this factor of
the time."""


@dataclass(frozen=True, slots=True)
class GridSettings:
    """The candidates, and about how many `seconds` for all of them; ConfigError for values out of range.

    Without `runtimes`, every installed engine that runs exported files is used. `plan` is that of C files.
    """

    widths: tuple[float, ...] = WIDTHS
    resolutions: tuple[int, ...] = RESOLUTIONS
    classes: int = 10
    runtimes: tuple[str, ...] = ()
    precisions: tuple[Precision, ...] = PRECISIONS
    threads: tuple[int, ...] = (1,)
    seconds: float = 90.0
    plan: Plan = "speed"

    def __post_init__(self) -> None:
        if len(self.widths) < 2 or len(self.resolutions) < 2:
            raise ConfigError("a grid needs at least two widths and two resolutions")
        if not 2 <= self.classes <= MOST_CLASSES:
            raise ConfigError(f"{self.classes} classes are out of range; use 2 to {MOST_CLASSES:,}")
        for number in self.threads:
            if not 1 <= number <= MOST_THREADS:
                raise ConfigError(f"{number} threads are out of range; use 1 to {MOST_THREADS}")
        if not 0 < self.seconds <= 7 * 24 * 3600:
            raise ConfigError(f"{self.seconds:g} seconds are out of range; use a number above 0, such as 90")
        for width in self.widths:
            for resolution in self.resolutions:
                _card(self, width, resolution).network()

    @property
    def variants(self) -> tuple[Variant, ...]:
        """How each candidate is run, on `runtimes`."""
        return tuple(
            Variant(runtime, precision, threads)
            for runtime in self.runtimes
            for precision in self.precisions
            for threads in self.threads
        )


@dataclass(slots=True)
class _Seen:
    """The turns of one candidate as one variant."""

    turns: list[Turn] = field(default_factory=list)
    file_bytes: int = 0
    peak_bytes: int | None = None

    def add(self, turn: Turn, size: int) -> None:
        self.turns.append(turn)
        self.file_bytes = size


_Key = tuple[Variant, float, int]


def installed_runtimes() -> tuple[str, ...]:
    """The engines that are installed and whose files can be written here, of formats that are written unasked."""
    return tuple(name for name in _usual_runtimes() if FORMATS[FORMAT_OF[name]].writable)


def measure_grid(settings: GridSettings, progress: Callable[[int, int], object] | None = None) -> DeviceProfile:
    """Measure this device; `progress(done, all)` after each turn. ConfigError if an engine is not installed."""
    settings = resolved(settings)
    began = time.monotonic()
    points = for_latency(settings.widths, settings.resolutions)
    seen = {(variant, *point): _Seen() for variant in settings.variants for point in points}
    with tempfile.TemporaryDirectory(prefix="mobilenet-grid-") as folder, ExitStack() as stack:
        workers = {
            (runtime, threads): stack.enter_context(Worker())
            for runtime in settings.runtimes
            for threads in settings.threads
        }
        work = _Work(settings, Path(folder), workers, seen, progress or (lambda *_: None))
        work.memory(for_memory(points))
        memory_s = time.monotonic() - began
        passes = _FEWEST_PASSES
        for number in range(_MOST_PASSES):
            work.once_over(points if number % 2 == 0 else points[::-1], (number, passes))
            pass_s = (time.monotonic() - began - memory_s) / (number + 1)
            if number == 0:
                wanted = (settings.seconds - memory_s) / max(pass_s, 1e-3)
                passes = int(np.clip(wanted, _FEWEST_PASSES, _USUAL_PASSES))
            if number + 1 < passes:
                continue
            curves = _curves(settings, points, seen)
            late = memory_s + pass_s * (number + 2) > settings.seconds * _LONGEST
            if late or all(curve.error <= _SETTLED for curve in curves):
                break
            passes = number + 2
    return DeviceProfile(
        environment=grid_environment(settings),
        classes=settings.classes,
        widths=settings.widths,
        resolutions=settings.resolutions,
        seconds=round(time.monotonic() - began, 1),
        curves=curves,
    )


def resolved(settings: GridSettings) -> GridSettings:
    """The settings with the engines to measure, and each number of threads once; ConfigError for a missing engine."""
    return replace(settings, runtimes=_runtimes(settings.runtimes), threads=tuple(dict.fromkeys(settings.threads)))


def grid_environment(settings: GridSettings) -> Environment:
    """This machine, with the versions that figures depend on: of the engines, and of the packages that call them."""
    packages = sorted({name for runtime in settings.runtimes for name in ENGINES[runtime].distributions})
    return environment.describe(["mobilenet", "numpy", *packages])


def _curves(settings: GridSettings, points: Sequence[tuple[float, int]], seen: dict[_Key, _Seen]) -> tuple[Curve, ...]:
    return tuple(
        Curve(
            variant,
            settings.classes,
            tuple(_point(width, side, seen[variant, width, side]) for width, side in points),
        )
        for variant in settings.variants
    )


@dataclass(frozen=True, slots=True)
class _Work:
    settings: GridSettings
    folder: Path
    workers: dict[tuple[str, int], Worker]
    seen: dict[_Key, _Seen]
    progress: Callable[[int, int], object]

    def once_over(self, points: Sequence[tuple[float, int]], place: tuple[int, int]) -> None:
        """One turn for each candidate in each variant."""
        number, passes = place
        done, total = number * len(self.seen), passes * len(self.seen)
        for width, side in points:
            for precision, runtime, file in self._files(width, side):
                for threads in self.settings.threads:
                    worker = self.workers[runtime, threads]
                    _ = worker.open(Contender(str(file), runtime, threads))
                    turn = worker.turn(_TURN_S, _WARM_UP_S)
                    self.seen[Variant(runtime, precision, threads), width, side].add(turn, device_bytes(file))
                    done += 1
                    self.progress(done, total)

    def memory(self, points: Sequence[tuple[float, int]]) -> None:
        """The peak of some candidates, each in its own process."""
        for width, side in points:
            for precision, runtime, file in self._files(width, side):
                for threads in self.settings.threads:
                    with Worker() as worker:
                        peak = worker.open(Contender(str(file), runtime, threads)).peak_bytes
                    self.seen[Variant(runtime, precision, threads), width, side].peak_bytes = peak

    def _files(self, width: float, side: int) -> Iterator[tuple[Precision, str, Path]]:
        """Each precision on each engine, as a file that exists until the next one is requested."""
        card = _card(self.settings, width, side)
        for precision in self.settings.precisions:
            graph = untrained(card, precision)
            for name, kind in FORMATS.items():
                runtimes = [runtime for runtime in self.settings.runtimes if FORMAT_OF[runtime] == name]
                if not runtimes:
                    continue
                file = self.folder / f"candidate{kind.suffix}"
                with storage_errors(file):
                    file.write_bytes(WRITERS[name](graph, None, None, "candidate", self.settings.plan))
                for runtime in runtimes:
                    yield precision, runtime, file


def _point(width: float, side: int, seen: _Seen) -> Point:
    p50_ms, p95_ms = latencies(seen.turns)
    return Point(width, side, round(p50_ms, 6), round(p95_ms, 6), seen.file_bytes, seen.peak_bytes)


def latencies(turns: Sequence[Turn]) -> tuple[float, float]:
    """p50 and p95 in ms: the median of the fastest turn, as other programs never make an image faster, and that times
    the median over the turns of their ratio of 95th percentile to median."""
    in_ms = [turn.latencies_ns / 1e6 for turn in turns]
    medians = np.array([np.median(turn) for turn in in_ms])
    tails = np.array([np.quantile(turn, 0.95) for turn in in_ms]) / medians
    return float(medians.min()), float(medians.min() * max(np.median(tails), 1.0))


def _card(settings: GridSettings, width: float, resolution: int) -> ModelCard:
    labels = tuple(f"class {number}" for number in range(settings.classes))
    return ModelCard("mobilenet_v1", width, resolution, labels, Preprocessing(resolution), task=DEFAULT)


def _usual_runtimes() -> tuple[str, ...]:
    return tuple(name for name, kind in FORMAT_OF.items() if ENGINES[name].installed and FORMATS[kind].usual)


def _runtimes(wanted: Sequence[str]) -> tuple[str, ...]:
    if unknown := [name for name in wanted if name not in FORMAT_OF]:
        raise ConfigError(f"{unknown[0]} does not run exported files; use {', '.join(FORMAT_OF)}")
    if missing := [name for name in wanted if not ENGINES[name].installed]:
        raise ConfigError(f"{missing[0]} is not installed; {ENGINES[missing[0]].remedy}")
    installed = wanted or _usual_runtimes()
    if not installed:
        raise ConfigError(f"no engine is installed; {ENGINES['litert'].remedy}")
    able = tuple(dict.fromkeys(name for name in installed if FORMATS[FORMAT_OF[name]].writable))
    mute = [name for name in installed if name not in able]
    if mute and (wanted or not able):
        package = FORMATS[FORMAT_OF[mute[0]]].package or ""
        raise ConfigError(f"writing files for {mute[0]} needs {package}; {pip_install(package)}")
    return able
