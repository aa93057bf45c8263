"""The overhead of our Python: `predict` of one photo against the engine's own call, alternating.

python benchmarks/predict_overhead.py FILE...    files written by `mobilenet export`
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.runtimes import Predictor, engines_of, open_model

Image = NDArray[np.uint8]

_ROUNDS, _CALLS = 200, 10


def engine_call(runtime: str, predictor: Predictor, image: Image) -> Callable[[], Any]:
    """The minimal call that runs the network on pixels already set; ONNX Runtime takes them as an argument."""
    inside = vars(predictor)
    if runtime == "onnxruntime":
        session, pixels = inside["_session"], {inside["_input"]: image}
        return lambda: session.run(None, pixels)
    bare: Callable[[], Any] = inside["_engine"].invoke if runtime == "litert" else inside["_request"].infer
    return bare


def latencies_us(
    calls: dict[str, Callable[[], Any]], clock_ns: Callable[[], int] = time.perf_counter_ns
) -> dict[str, float]:
    """The lower quartile of each in microseconds, which other processes hardly affect; `clock_ns` is in nanoseconds."""
    found: dict[str, list[int]] = {name: [] for name in calls}
    for _ in range(_ROUNDS):
        for name, call in calls.items():
            call()
            for _ in range(_CALLS):
                started = clock_ns()
                call()
                found[name].append(clock_ns() - started)
    return {name: float(np.quantile(values, 0.25)) / 1000 for name, values in found.items()}


def overhead(latencies: dict[str, float]) -> str:
    """Both latencies (µs), and what `predict` adds to the engine's, in words."""
    engine, predict = latencies["engine"], latencies["predict"]
    extra = predict - engine
    return f"engine {engine:8.1f} µs, predict {predict:8.1f} µs: {extra:+5.1f} µs, {100 * extra / engine:+.1f} %"


def main() -> None:
    """Print one line for each file and engine."""
    for path in map(Path, sys.argv[1:]):
        for runtime in engines_of(path.suffix):
            predictor = open_model(path, runtime, 1)
            side = predictor.preprocessing.resolution
            image = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), np.uint8)
            calls = {
                "engine": engine_call(runtime, predictor, image),
                "predict": lambda predict=predictor.predict, image=image: predict(image),
            }
            print(f"{path.name:24} {runtime:12} {overhead(latencies_us(calls))}")


if __name__ == "__main__":
    main()
