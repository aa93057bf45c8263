"""The profile of a device: every width and resolution in every precision, engine and number of threads, as JSON.

Some candidates are measured, the others estimated from them (`estimate`). Estimates hold for any number of classes.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mobilenet.benchmark.device.curve import Curve, Estimate, Point, Variant
from mobilenet.benchmark.result import Environment, read_environment
from mobilenet.errors import DataError, SpecError
from mobilenet.fields import Fields
from mobilenet.files import atomic_write
from mobilenet.model.precision import PRECISIONS
from mobilenet.runtimes.engines import ENGINES, MOST_THREADS
from mobilenet.spec.mobilenet import MOBILENETS
from mobilenet.spec.rows import Network

__all__ = ["FORMAT", "MOST_CLASSES", "Curve", "DeviceProfile", "Estimate", "Point", "Variant"]

FORMAT = 1
"""Version of the document; other versions are rejected."""

_KIND = "device profile"
_REMEDY = "make one with mobilenet benchmark --grid --out device.json"

MOST_CLASSES = 100_000
_LATENCY_MS = (1e-6, 1e9)
"""A nanosecond to eleven days: the range of any measurement."""


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    """A device, and the grid of candidates measured on it in `seconds`."""

    environment: Environment
    classes: int
    widths: tuple[float, ...]
    resolutions: tuple[int, ...]
    seconds: float
    curves: tuple[Curve, ...]

    @property
    def variants(self) -> tuple[Variant, ...]:
        """The variants that can be estimated."""
        return tuple(curve.variant for curve in self.curves)

    def estimates(self, network: Network) -> tuple[Estimate, ...]:
        """Estimates for `network` in every variant."""
        return tuple(curve.estimate(network) for curve in self.curves)

    def to_json(self) -> str:
        """One JSON document; `from_json` is the inverse. `candidates` is for readers: the whole grid."""
        document = {
            "format": FORMAT,
            "kind": _KIND,
            "environment": asdict(self.environment),
            "classes": self.classes,
            "widths": self.widths,
            "resolutions": self.resolutions,
            "seconds": self.seconds,
            "curves": [
                {
                    **asdict(curve.variant),
                    "error_p90": curve.error,
                    "memory_error_p90": curve.memory_error,
                    "points": [asdict(point) for point in curve.points],
                }
                for curve in self.curves
            ],
            "candidates": list(self._candidates()),
        }
        return json.dumps(document, allow_nan=False)

    def write(self, path: Path) -> None:
        """Write the document to `path` atomically; StorageError if that fails."""
        with atomic_write(path) as file:
            file.write(self.to_json().encode("ascii"))

    @classmethod
    def from_json(cls, text: str) -> "DeviceProfile":
        """The inverse of `to_json`; DataError if `text` is not such a document."""
        try:
            return _profile(Fields(json.loads(text)))
        except RecursionError as error:
            raise DataError(f"not a {_KIND}: it is nested too deeply; {_REMEDY}") from error
        except (ValueError, TypeError, SpecError) as error:
            raise DataError(f"not a {_KIND}: {error}; {_REMEDY}") from error

    @classmethod
    def read(cls, path: Path) -> "DeviceProfile":
        """Read a profile written by `write`; DataError, with the name of the file, if that fails."""
        try:
            return cls.from_json(path.read_text("utf-8"))
        except OSError as error:
            raise DataError(f"cannot read {path}: {(error.strerror or str(error)).lower()}; {_REMEDY}") from error
        except UnicodeDecodeError as error:
            raise DataError(f"{path} is not a {_KIND}: it is not UTF-8 text; {_REMEDY}") from error
        except DataError as error:
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


def _profile(fields: Fields) -> DeviceProfile:
    fields.text("kind", (_KIND,))
    if (version := fields.whole("format")) != FORMAT:
        raise DataError(f"a {_KIND} of format {version}, this version reads {FORMAT}; {_REMEDY} with this version")
    classes = fields.whole("classes", 2, MOST_CLASSES)
    widths, resolutions = fields.numbers("widths"), fields.wholes("resolutions")
    for width in widths:
        for resolution in resolutions:
            MOBILENETS["mobilenet_v1"](width, resolution, classes)
    curves = tuple(_curve(row, classes) for row in fields.rows("curves"))
    variants = [curve.variant for curve in curves]
    if twice := [variant for variant in variants if variants.count(variant) > 1]:
        raise ValueError(f"it contains {twice[0]} twice")
    return DeviceProfile(
        environment=read_environment(fields.inside("environment")),
        classes=classes,
        widths=widths,
        resolutions=resolutions,
        seconds=fields.number("seconds"),
        curves=curves,
    )


def _curve(row: Fields, classes: int) -> Curve:
    precision = next(name for name in PRECISIONS if name == row.text("precision", PRECISIONS))
    variant = Variant(row.text("runtime", tuple(ENGINES)), precision, row.whole("threads", 1, MOST_THREADS))
    points = tuple(_point(point, classes) for point in row.rows("points"))
    # For cross-validation each one is estimated from the others.
    if len(points) < 2 or sum(point.peak_bytes is not None for point in points) < 2:
        raise ValueError(f"it contains too few measurements of {variant}")
    return Curve(variant, classes, points)


def _point(row: Fields, classes: int) -> Point:
    width, resolution = row.number("width_multiplier"), row.whole("resolution")
    MOBILENETS["mobilenet_v1"](width, resolution, classes)
    p50_ms = row.number("p50_ms", *_LATENCY_MS)
    return Point(
        width_multiplier=width,
        resolution=resolution,
        p50_ms=p50_ms,
        p95_ms=row.number("p95_ms", p50_ms, _LATENCY_MS[1]),
        file_bytes=row.whole("file_bytes", 1),
        peak_bytes=row.optional_whole("peak_bytes"),
    )
