"""The 8-bit graph of a network, from photos alone: every choice is made by its cost on held-out photos.

Half of the photos are for calibration; the others are held out to measure the divergence of the 8-bit network's outputs
from the float32 network's, as the task defines it (for classes Kullback-Leibler, in nats per photo). The choices are
the method for ranges, then whether equalisation helps, then whether bias correction does.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mobilenet.errors import ConfigError, ModelError
from mobilenet.model.graph import Graph, QuantizedGraph, concatenated
from mobilenet.quantize.bias import corrected
from mobilenet.quantize.calibrated import Calibrated, Distance
from mobilenet.quantize.equalise import equalised
from mobilenet.quantize.ranges import METHODS, Method, Observed, Ranges, choose_ranges, observe
from mobilenet.quantize.simulator import batches, quantized_outputs, raw_outputs
from mobilenet.quantize.weights import quantized

__all__ = ["FEWEST_PHOTOS", "calibrate", "divergence"]

FEWEST_PHOTOS = 8
_MOST_FOR_BIASES = 128
"""Activations of all of them are held in memory at once."""


@dataclass(frozen=True, slots=True, eq=False)
class _Try:
    """A float32 graph and ranges for it, and the divergence after rounding."""

    graph: Graph
    ranges: Ranges
    error: float


def calibrate(
    graph: Graph,
    images: NDArray[np.uint8],
    distance: Distance,
    progress: Callable[[int, int], object] | None = None,
) -> Calibrated:
    """The best 8-bit graph for photos like `images` (N, R, R, 3) uint8: at least 8, some hundreds for good ranges.

    The best has the smallest `distance` from `graph` on held-out photos. `progress(done, all)` is called after each
    step. ConfigError for too few photos; ModelError if the network, or every 8-bit candidate, gives NaN or infinity.
    """
    if len(images) < FEWEST_PHOTOS:
        raise ConfigError(f"{len(images)} photos are too few for calibration; give at least {FEWEST_PHOTOS}")
    steps = iter(range(1, len(METHODS) + 4))

    def tell() -> None:
        if progress is not None:
            progress(next(steps), len(METHODS) + 3)

    judge = _Judge(graph, images[1::2], distance)
    seen = images[::2]
    observed = observe(graph, seen)
    tell()
    tries: dict[str, _Try] = {}
    for method in METHODS:
        tries[method] = judge.try_out(graph, choose_ranges(observed, method, concatenated(graph.nodes)))
        tell()
    method = min(METHODS, key=lambda name: tries[name].error)
    best = tries[method]
    level = _equalised(graph, observed, method, seen, judge)
    tries["equalised"] = level
    tell()
    helps_to_equalise = level.error < best.error
    best = level if helps_to_equalise else best
    moved = judge.try_out(corrected(best.graph, best.ranges, seen[:_MOST_FOR_BIASES]), best.ranges)
    tries["bias corrected"] = moved
    tell()
    helps_to_correct = moved.error < best.error
    best = moved if helps_to_correct else best
    if not math.isfinite(best.error):
        raise ModelError(
            f"all {len(tries)} 8-bit candidates output NaN or infinity on some of the {len(judge.images)} held-out "
            "photos; use --precision float32"
        )
    errors = {name: tried.error for name, tried in tries.items()} | {"chosen": best.error}
    whole = quantized(best.graph, best.ranges)
    return Calibrated(whole, best.graph, best.ranges, method, helps_to_equalise, helps_to_correct, errors)


def divergence(graph: Graph, whole: QuantizedGraph, images: NDArray[np.uint8], distance: Distance) -> float:
    """Mean `distance` per photo of the 8-bit graph from the float32 one on `images` (N, R, R, 3) uint8; infinite if the
    former gives NaN or infinity. ConfigError without photos, ModelError if `graph` gives NaN or infinity."""
    return _Judge(graph, images, distance).error(whole)


def _equalised(
    graph: Graph, observed: dict[str, Observed], method: Method, seen: NDArray[np.uint8], judge: "_Judge"
) -> _Try:
    level = equalised(graph, observed)
    return judge.try_out(level, choose_ranges(observe(level, seen), method, concatenated(level.nodes)))


class _Judge:
    """The outputs of the float32 network on held-out photos, and the divergence of 8-bit ones from them."""

    def __init__(self, graph: Graph, images: NDArray[np.uint8], distance: Distance) -> None:
        if not len(images):
            raise ConfigError("no photos to measure the 8-bit network on; give at least one")
        self.images, self.distance = images, distance
        with torch.inference_mode():
            self.wanted = [raw_outputs(graph, pixels) for pixels in batches(images)]
        if not all(bool(torch.isfinite(raw).all()) for wanted in self.wanted for raw in wanted.values()):
            raise ModelError("the network outputs NaN or infinity: its training has diverged; lower --learning-rate")

    def error(self, whole: QuantizedGraph) -> float:
        """Divergence per photo; infinite for NaN, which is worse than any other."""
        with torch.inference_mode():
            sums = [
                self.distance(quantized_outputs(whole, pixels), wanted)
                for pixels, wanted in zip(batches(self.images), self.wanted, strict=True)
            ]
        found = float(torch.stack(sums).sum()) / len(self.images)
        return found if math.isfinite(found) else math.inf

    def try_out(self, graph: Graph, ranges: Ranges) -> _Try:
        return _Try(graph, ranges, self.error(quantized(graph, ranges)))
