"""C files against LiteRT on the same networks with random weights: ms of one photo on one thread, taking turns.

    python benchmarks/c_speed.py [--seconds 10] [--precision int8] [--tier avx2] [--option -march=native]

`--tier` chooses kernels, by default the fastest that the processor has; `--option` is one more for the C compiler.
"""

import argparse
import ctypes
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np

from mobilenet.benchmark.device.untrained import untrained
from mobilenet.export.c.model import c_model
from mobilenet.export.litert.model import litert_model
from mobilenet.images import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.model.precision import PRECISIONS, Precision
from mobilenet.runtimes.c import build
from mobilenet.runtimes.c_file import read_c_file
from mobilenet.runtimes.litert import interpreter

NETWORKS = ((0.25, 96, 2), (0.25, 128, 1000), (0.5, 160, 1000), (1.0, 224, 1000))
"""Width, resolution, classes."""

TIERS = {"plain": 0, "avx2": 1, "avx-vnni": 2, "avx512": 3}
"""What the macro NETWORK_TIER of a C file chooses."""

TARGETS = {
    ("int8", 0.25, 128): 0.30,
    ("int8", 1.0, 224): 0.65,
    ("float32", 0.25, 128): 0.70,
    ("float32", 1.0, 224): 1.0,
}
"""Of the ratio of medians, with AVX-512 VNNI; with AVX2 alone it is 1.5 for every network."""

_IN_TURN = 10

Run = Callable[[], object]


def compare(
    ours: Run, theirs: Run, seconds: float, clock: Callable[[], float] = time.perf_counter
) -> tuple[float, float]:
    """Median ms of each: ten runs of one, ten of the other, in an order that turns around."""
    sides = ours, theirs
    times: tuple[list[float], list[float]] = ([], [])
    for run in sides:
        run()
    begin, number = clock(), 0
    while number < 2 or clock() - begin < seconds:
        for place in ((0, 1), (1, 0))[number % 2]:
            for _ in range(_IN_TURN):
                started = clock()
                sides[place]()
                times[place].append(1000 * (clock() - started))
        number += 1
    return median(times[0]), median(times[1])


def described(name: str, ours_ms: float, theirs_ms: float, target: float | None) -> str:
    """One line."""
    wanted = "" if target is None else f" (target {target:g})"
    return f"{name:24} C {ours_ms:.3f} ms, LiteRT {theirs_ms:.3f} ms, ratio {ours_ms / theirs_ms:.3f}{wanted}"


def sides(card: ModelCard, precision: Precision, options: Sequence[str]) -> tuple[Run, Run]:
    """Runs of the C file, compiled with these options, and of the LiteRT file, of one photo of noise."""
    graph = untrained(card, precision)
    data = c_model(graph)
    says, library = read_c_file(data, Path("network.c")), build(data, Path("network.c"), options)
    pixels = np.random.default_rng(0).integers(0, 256, (card.resolution, card.resolution, 3), np.uint8)
    memory, answer = np.zeros(says.arena_bytes + 64, np.uint8), np.zeros(len(card.labels), np.float32)
    arena = memory.ctypes.data + -memory.ctypes.data % 64
    arguments = [ctypes.c_void_p(place) for place in (arena, pixels.ctypes.data, answer.ctypes.data)]
    engine = interpreter(litert_model(graph), 1)
    engine.set_tensor(engine.get_input_details()[0]["index"], pixels[None])
    kept = pixels, memory, answer

    def ours() -> object:
        return library.network_run_in(*arguments), kept

    return ours, engine.invoke


def main() -> None:
    """Print a line for each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--precision", choices=PRECISIONS, action="append")
    parser.add_argument("--tier", choices=TIERS)
    parser.add_argument("--option", action="append", default=[])
    chosen = parser.parse_args()
    options = [*chosen.option, *([f"-DNETWORK_TIER={TIERS[chosen.tier]}"] if chosen.tier else [])]
    for precision in chosen.precision or PRECISIONS:
        for width, resolution, classes in NETWORKS:
            labels = tuple(f"class {number}" for number in range(classes))
            card = ModelCard(
                "mobilenet_v1", width, resolution, labels, Preprocessing(resolution), task="classification"
            )
            found = compare(*sides(card, precision, options), chosen.seconds)
            target = TARGETS.get((precision, width, resolution))
            print(described(f"{width:g}-{resolution} {precision}", *found, target), flush=True)


if __name__ == "__main__":
    main()
