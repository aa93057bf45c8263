"""The measurements of one variant, and the estimates for all networks that follow from them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mobilenet.benchmark.device.estimate import (
    Fit,
    Floats,
    fit,
    latency_features,
    left_out_errors,
    memory_features,
    size_features,
)
from mobilenet.model.precision import Precision
from mobilenet.spec.mobilenet import MOBILENETS
from mobilenet.spec.rows import Network

__all__ = ["Curve", "Estimate", "Point", "Variant"]

_ERROR_QUANTILE = 0.9
_LEAST_ERROR = 0.01
"""The error of an estimate is at least this, as latencies change by as much from hour to hour."""

_LEAST_MEMORY_ERROR = 0.02
"""Peaks of the same file differ by a hundredth between processes."""

_PAGE_BYTES = 4096


@dataclass(frozen=True, slots=True, order=True)
class Variant:
    """How a network runs: on which engine, in which precision, with how many threads."""

    runtime: str
    precision: Precision
    threads: int

    def __str__(self) -> str:
        plural = "" if self.threads == 1 else "s"
        return f"{self.precision} on {self.runtime} with {self.threads} thread{plural}"


@dataclass(frozen=True, slots=True)
class Point:
    """One measured candidate: latencies of single images in ms, bytes of the file; `peak_bytes` as in `result.Timing`,
    None if memory was not measured."""

    width_multiplier: float
    resolution: int
    p50_ms: float
    p95_ms: float
    file_bytes: int
    peak_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """Estimates for a network: ms per image, bytes of memory on top of the engine, bytes of the file.

    `error` is the 90th percentile of the relative error of latencies in leave-one-out cross-validation; `memory_error`
    is that of memory.
    """

    variant: Variant
    p50_ms: float
    p95_ms: float
    peak_bytes: int
    file_bytes: int
    error: float
    memory_error: float


@dataclass(frozen=True)
class Curve:
    """All measurements of one variant, with networks of `classes` classes."""

    variant: Variant
    classes: int
    points: tuple[Point, ...]

    def estimate(self, network: Network) -> Estimate:
        """Estimates for `network`, any MobileNet V1, as this variant."""
        p50_ms = self._latency(latency_features(network), network.width_multiplier)
        tail, precision = self.tail, self.variant.precision
        return Estimate(
            variant=self.variant,
            p50_ms=p50_ms,
            p95_ms=p50_ms * tail,
            peak_bytes=round(self._memory(memory_features(network, precision), network.width_multiplier)),
            file_bytes=round(self._size(size_features(network, precision), network.width_multiplier)),
            error=self.error,
            memory_error=self.memory_error,
        )

    @cached_property
    def tail(self) -> float:
        """The ratio of the 95th percentile of latency to its median: the median over the points."""
        return float(np.median([point.p95_ms / point.p50_ms for point in self.points]))

    @cached_property
    def error(self) -> float:
        """The 90th percentile of the error of latency of points that are estimated from all the others."""
        return max(_nine_of_ten(left_out_errors(*self._latencies())), _LEAST_ERROR)

    @cached_property
    def memory_error(self) -> float:
        """As `error`, for memory, over the points whose memory was measured."""
        return max(_nine_of_ten(left_out_errors(*self._peaks())), _LEAST_MEMORY_ERROR)

    @cached_property
    def _latency(self) -> Fit:
        return fit(*self._latencies())

    def _latencies(self) -> tuple[list[tuple[float, ...]], list[float], list[float]]:
        features = [latency_features(self._network(point)) for point in self.points]
        return features, [point.p50_ms for point in self.points], [point.width_multiplier for point in self.points]

    @cached_property
    def _memory(self) -> Fit:
        return fit(*self._peaks())

    def _peaks(self) -> tuple[list[tuple[float, ...]], list[float]]:
        seen = [(point, point.peak_bytes) for point in self.points if point.peak_bytes is not None]
        features = [memory_features(self._network(point), self.variant.precision) for point, _ in seen]
        # An engine with memory to spare grows by less than a page.
        return features, [max(peak, _PAGE_BYTES) for _, peak in seen]

    @cached_property
    def _size(self) -> Fit:
        features = [size_features(self._network(point), self.variant.precision) for point in self.points]
        return fit(features, [point.file_bytes for point in self.points])

    def _network(self, point: Point) -> Network:
        return MOBILENETS["mobilenet_v1"](point.width_multiplier, point.resolution, self.classes)


def _nine_of_ten(errors: Floats) -> float:
    return float(np.quantile(errors, _ERROR_QUANTILE))
