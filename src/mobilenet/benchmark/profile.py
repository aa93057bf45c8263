"""What a device can do: every width and resolution in every precision, engine and number of threads, as JSON.

Some candidates were measured, the rest is estimated from them (`estimate`). Estimates hold for any number of classes.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mobilenet.architectures import MOBILENETS
from mobilenet.benchmark.estimate import Fit, fit, latency_features, left_out_errors, memory_features, size_features
from mobilenet.benchmark.result import Environment, read_environment
from mobilenet.errors import DataError
from mobilenet.export.formats import Precision
from mobilenet.files import atomic_write
from mobilenet.spec import Network

__all__ = ["FORMAT", "Curve", "DeviceProfile", "Estimate", "Point", "Variant"]

FORMAT = 1
"""Version of the document; one of another version is refused."""

_ERROR_QUANTILE = 0.9
_LEAST_ERROR = 0.01
"""No estimate is believed to a hundredth: so much changes from one hour to the next."""

_REMEDY = "make one with mobilenet benchmark --grid --out device.json"


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
    """One candidate that was measured: latencies of single images in ms, bytes of the file; `peak_bytes` as in
    `result.Timing`, None where memory was not measured."""

    width_multiplier: float
    resolution: int
    p50_ms: float
    p95_ms: float
    file_bytes: int
    peak_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a network takes: ms an image, bytes of memory on top of the engine, bytes of the file.

    `error` is the share by which nine of ten latencies of candidates that were left out were off, at most.
    """

    variant: Variant
    p50_ms: float
    p95_ms: float
    peak_bytes: int
    file_bytes: int
    error: float


@dataclass(frozen=True)
class Curve:
    """All that was measured of one variant, with networks of `classes` classes."""

    variant: Variant
    classes: int
    points: tuple[Point, ...]

    def estimate(self, network: Network) -> Estimate:
        """What `network`, any MobileNet V1, takes as this variant."""
        p50_ms = self._latency(latency_features(network), network.width_multiplier)
        tail, precision = self.tail, self.variant.precision
        return Estimate(
            variant=self.variant,
            p50_ms=p50_ms,
            p95_ms=p50_ms * tail,
            peak_bytes=round(self._memory(memory_features(network, precision), network.width_multiplier)),
            file_bytes=round(self._size(size_features(network, precision), network.width_multiplier)),
            error=self.error,
        )

    @cached_property
    def tail(self) -> float:
        """How much longer than the median 95 % of the images take at most: the median over the points."""
        return float(np.median([point.p95_ms / point.p50_ms for point in self.points]))

    @cached_property
    def error(self) -> float:
        """The error that nine of ten points stay below when they are estimated from all the others."""
        errors = left_out_errors(*self._latencies())
        return max(float(np.quantile(errors, _ERROR_QUANTILE)), _LEAST_ERROR)

    @cached_property
    def _latency(self) -> Fit:
        return fit(*self._latencies())

    def _latencies(self) -> tuple[list[tuple[float, ...]], list[float], list[float]]:
        features = [latency_features(self._network(point)) for point in self.points]
        return features, [point.p50_ms for point in self.points], [point.width_multiplier for point in self.points]

    @cached_property
    def _memory(self) -> Fit:
        seen = [point for point in self.points if point.peak_bytes is not None]
        features = [memory_features(self._network(point), self.variant.precision) for point in seen]
        # Less than a page is what an engine takes that has room left of its own.
        return fit(features, [max(point.peak_bytes or 0, 4096) for point in seen])

    @cached_property
    def _size(self) -> Fit:
        features = [size_features(self._network(point), self.variant.precision) for point in self.points]
        return fit(features, [point.file_bytes for point in self.points])

    def _network(self, point: Point) -> Network:
        return MOBILENETS["mobilenet_v1"](point.width_multiplier, point.resolution, self.classes)


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    """A device, and the grid of candidates that it was measured with; `seconds` is what that took."""

    environment: Environment
    classes: int
    widths: tuple[float, ...]
    resolutions: tuple[int, ...]
    seconds: float
    curves: tuple[Curve, ...]

    @property
    def variants(self) -> tuple[Variant, ...]:
        """Those that can be estimated."""
        return tuple(curve.variant for curve in self.curves)

    def estimates(self, network: Network) -> tuple[Estimate, ...]:
        """What `network` takes, in every variant."""
        return tuple(curve.estimate(network) for curve in self.curves)

    def to_json(self) -> str:
        """One JSON document; `from_json` gives the same profile back. `candidates` is for readers: all of the grid."""
        document = {
            "format": FORMAT,
            "kind": "device profile",
            "environment": asdict(self.environment),
            "classes": self.classes,
            "widths": self.widths,
            "resolutions": self.resolutions,
            "seconds": self.seconds,
            "curves": [
                {**asdict(curve.variant), "error_p90": curve.error, "points": [asdict(point) for point in curve.points]}
                for curve in self.curves
            ],
            "candidates": list(self._candidates()),
        }
        return json.dumps(document, allow_nan=False)

    def write(self, path: Path) -> None:
        """Write the document to `path`, whole or not at all; StorageError."""
        with atomic_write(path) as file:
            file.write(self.to_json().encode("ascii"))

    @classmethod
    def from_json(cls, text: str) -> "DeviceProfile":
        """The inverse of `to_json`; DataError when `text` is not such a document."""
        try:
            fields = dict(json.loads(text))
            if fields.get("kind") != "device profile":
                raise DataError(f"not a device profile; {_REMEDY}")
            if fields["format"] != FORMAT:
                raise DataError(
                    f"a device profile of format {fields['format']}, this version reads {FORMAT}; {_REMEDY} with this "
                    "version"
                )
            classes = int(fields["classes"])
            return cls(
                environment=read_environment(fields["environment"]),
                classes=classes,
                widths=tuple(map(float, fields["widths"])),
                resolutions=tuple(map(int, fields["resolutions"])),
                seconds=float(fields["seconds"]),
                curves=tuple(_curve(row, classes) for row in fields["curves"]),
            )
        except KeyError as error:
            raise DataError(f"not a device profile: it lacks {error}; {_REMEDY}") from error
        except (ValueError, TypeError) as error:
            raise DataError(f"not a device profile: {error}; {_REMEDY}") from error

    @classmethod
    def read(cls, path: Path) -> "DeviceProfile":
        """Read what `write` wrote; DataError names the file."""
        try:
            return cls.from_json(path.read_text("utf-8"))
        except OSError as error:
            raise DataError(f"cannot read {path}: {(error.strerror or str(error)).lower()}; {_REMEDY}") from error
        except (DataError, UnicodeDecodeError) as error:
            raise DataError(f"{path} is {error}") from error

    def _candidates(self) -> Iterator[dict[str, Any]]:
        for curve in self.curves:
            measured = {(point.width_multiplier, point.resolution) for point in curve.points}
            for width in self.widths:
                for resolution in self.resolutions:
                    found = curve.estimate(MOBILENETS["mobilenet_v1"](width, resolution, self.classes))
                    row = asdict(found)
                    yield {
                        "width_multiplier": width,
                        "resolution": resolution,
                        **row.pop("variant"),
                        **row,
                        "measured": (width, resolution) in measured,
                    }


def _curve(row: dict[str, Any], classes: int) -> Curve:
    variant = Variant(str(row["runtime"]), row["precision"], int(row["threads"]))
    points = tuple(Point(**point) for point in row["points"])
    _check(variant, points)
    return Curve(variant, classes, points)


def _check(variant: Variant, points: Sequence[Point]) -> None:
    if len(points) < 2 or all(point.peak_bytes is None for point in points):
        raise ValueError(f"too few measurements of {variant}")
    if any(not 0 < point.p50_ms <= point.p95_ms or point.file_bytes <= 0 for point in points):
        raise ValueError(f"measurements of {variant} that cannot be")
