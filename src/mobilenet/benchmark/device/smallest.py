"""The smallest candidate of a grid, measured in seconds: no other one needs less."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mobilenet.benchmark.device.curve import Variant
from mobilenet.benchmark.device.grid import GridSettings, latencies
from mobilenet.benchmark.device.untrained import untrained
from mobilenet.benchmark.result import Contender
from mobilenet.benchmark.worker.process import Worker
from mobilenet.export.formats import WRITERS
from mobilenet.files import storage_errors
from mobilenet.model.card import ModelCard
from mobilenet.runtimes.c_file import device_bytes
from mobilenet.runtimes.engines import ENGINES, FORMAT_OF

__all__ = ["Least", "measure_smallest", "smallest_files"]

_TURNS, _TURN_S, _WARM_UP_S = 5, 0.08, 0.02


@dataclass(frozen=True, slots=True)
class Least:
    """What the smallest candidate needs as one variant: ms for the fastest image and at p95, bytes of memory on top of
    the engine, bytes of the file."""

    fastest_ms: float
    p95_ms: float
    peak_bytes: int
    file_bytes: int


def smallest_files(grid: GridSettings, card: ModelCard) -> dict[Variant, bytes]:
    """The files of the narrowest candidate at the lowest resolution, whose card this is, for every variant of the
    grid; nothing is measured. A trained one is as large, except for the provenance in its card."""
    graphs = {precision: untrained(card, precision) for precision in grid.precisions}
    return {
        one: WRITERS[FORMAT_OF[one.runtime]](graphs[one.precision], None, None, "smallest", grid.plan)
        for one in grid.variants
    }


def measure_smallest(files: dict[Variant, bytes], progress: Callable[[int, int], object]) -> dict[Variant, Least]:
    """Latency and memory of `smallest_files`, each in its own process; `progress(done, all)` after each."""
    found: dict[Variant, Least] = {}
    with tempfile.TemporaryDirectory(prefix="mobilenet-smallest-") as folder:
        for variant, content in files.items():
            path = Path(folder) / f"smallest{ENGINES[variant.runtime].suffix}"
            with storage_errors(path):
                path.write_bytes(content)
            with Worker() as worker:
                peak_bytes = worker.open(Contender(str(path), variant.runtime, variant.threads)).peak_bytes
                turns = [worker.turn(_TURN_S, _WARM_UP_S) for _ in range(_TURNS)]
            fastest_ms = min(float(turn.latencies_ns.min()) for turn in turns) / 1e6
            found[variant] = Least(fastest_ms, latencies(turns)[1], peak_bytes, device_bytes(path))
            progress(len(found), len(files))
    return found
