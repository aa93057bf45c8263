"""Calibration: the values of each node's output on photos, and the range of them that 8 bits should cover.

Three methods: the whole observed range (min-max); all but the most extreme 0.01 % of the values (percentile); the range
with the smallest mean squared error after rounding (MSE; Krishnamoorthi 2018, section 3.1). Which one is best depends
on the network, so `mobilenet.quantize.calibrate` measures it.
"""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mobilenet.errors import ModelError
from mobilenet.model.graph import Graph, Quantization, walk
from mobilenet.quantize.simulator import HIGHEST, LOWEST, batches, normalised, step

__all__ = ["METHODS", "Method", "Observed", "Ranges", "choose_ranges", "observe", "quantization"]

Method = Literal["min-max", "percentile", "mse"]
METHODS: tuple[Method, ...] = get_args(Method)

Ranges = Mapping[str, Quantization]
"""Name of a node -> how its output is rounded."""

_BINS = 4096
_OUTSIDE = 1e-4
"""Fraction of the values that `percentile` clips."""

_TRIED = np.linspace(0.2, 1.0, 81)
"""Fractions of the whole range that `mse` tries."""

_STEPS = HIGHEST - LOWEST
_NOTHING = 1e-30
"""A range below this cannot be divided into steps in float32."""


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """One node's output on the calibration photos: its range, a histogram (4096,), and the maximum per channel (C,)."""

    low: float
    high: float
    counts: NDArray[np.float64]
    channel_high: NDArray[np.float32]


def observe(graph: Graph, images: NDArray[np.uint8]) -> dict[str, Observed]:
    """(N, R, R, 3) uint8 photos -> statistics of each node's output, in two passes: ranges, then histograms.

    ModelError for a node that gives NaN or infinity, which no range covers.
    """
    lows: dict[str, Tensor] = {}
    highs: dict[str, Tensor] = {}
    for name, x in _outputs(graph, images):
        low, high = x.amin((0, *range(2, x.dim()))), x.amax((0, *range(2, x.dim())))
        lows[name] = torch.minimum(lows.get(name, low), low)
        highs[name] = torch.maximum(highs.get(name, high), high)
    counts = {name: np.zeros(_BINS) for name in lows}
    spans = {name: (float(lows[name].min()), float(highs[name].max())) for name in lows}
    for name, span in spans.items():
        if not all(map(math.isfinite, span)):
            raise ModelError(
                f"layer {name} gives NaN or infinity on some photos: it has no 8-bit range; train the network again"
            )
    for name, x in _outputs(graph, images):
        least, most = spans[name]
        if most > least:
            counts[name] += torch.histc(x, _BINS, least, most).double().numpy()
    return {name: Observed(*spans[name], counts[name], highs[name].numpy()) for name in lows}


def choose_ranges(
    observed: Mapping[str, Observed], method: Method, joined: Collection[Collection[str]] = ()
) -> dict[str, Quantization]:
    """How each node's output is rounded, by `method`; 0 is always one of the steps, as padding requires.

    Each group of `joined` names (`mobilenet.model.graph.concatenated`) shares the union of its nodes' ranges.
    """
    spans = {name: _span(node, method) for name, node in observed.items()}
    for group in joined:
        lows, highs = zip(*(spans[name] for name in group), strict=True)
        spans.update(dict.fromkeys(group, (min(lows), max(highs))))
    return {name: quantization(*span) for name, span in spans.items()}


def quantization(low: float, high: float) -> Quantization:
    """256 steps from `low` to `high`, widened to include 0 and shifted so that 0 is one of them."""
    low, high = min(low, 0.0), max(high, 0.0)
    # Rounded as a file stores it. The steps of a layer that gives only zeros may have any size.
    scale = float(np.float32((high - low) / _STEPS if high - low > _NOTHING else 1.0))
    return Quantization(scale, int(np.clip(round(LOWEST - low / scale), LOWEST, HIGHEST)))


def _outputs(graph: Graph, images: NDArray[np.uint8]) -> Iterator[tuple[str, Tensor]]:
    """(name, output) of every node, batch by batch."""
    for pixels in batches(images):
        with torch.inference_mode():
            for node, x in walk(graph.nodes, normalised(pixels, graph.card.preprocessing), step):
                yield node.name, x


def _span(node: Observed, method: Method) -> tuple[float, float]:
    if node.high <= node.low:
        return node.low, node.high
    match method:
        case "min-max":
            return node.low, node.high
        case "percentile":
            return _percentile(node)
        case "mse":
            return _least_error(node)


def _percentile(node: Observed) -> tuple[float, float]:
    """The range without the most extreme values; clipped at the top only if no value is negative."""
    share = np.cumsum(node.counts) / node.counts.sum()
    edges = np.linspace(node.low, node.high, _BINS + 1)
    high = edges[1 + int(np.searchsorted(share, 1 - _OUTSIDE))]
    low = node.low if node.low >= 0 else edges[int(np.searchsorted(share, _OUTSIDE, "right"))]
    return float(low), float(high)


def _least_error(node: Observed) -> tuple[float, float]:
    """The fraction of the range, shrunk towards 0 from both ends, with the least squared error (rounding, clipping)."""
    edges = np.linspace(node.low, node.high, _BINS + 1)
    values = (edges[1:] + edges[:-1]) / 2
    best, least = 1.0, np.inf
    for share in _TRIED:
        low, high = min(node.low * share, 0.0), max(node.high * share, 0.0)
        outside = np.maximum(values - high, 0) + np.maximum(low - values, 0)
        rounding = ((high - low) / _STEPS) ** 2 / 12
        # A value of exactly 0, frequent after ReLU, has no rounding error.
        inside = (outside == 0) & (np.abs(values) > (edges[1] - edges[0]))
        error = float(node.counts @ (outside**2 + rounding * inside))
        if error < least:
            best, least = float(share), error
    return node.low * best, node.high * best
