"""The budget of a search: limits and required accuracy. An unknown figure (NaN) exceeds every limit."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from mobilenet.benchmark.device.profile import Estimate
from mobilenet.errors import ConfigError

__all__ = ["Limits", "shown_size"]

_SHOWN_UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))

Margins = tuple[float, float, float]
"""Fractions by which latency, size and memory may exceed their estimates."""

_SIZE_ERROR = 0.01
"""A file also contains the names of classes, which are not estimated."""


@dataclass(frozen=True, slots=True)
class Limits:
    """None means no limit; ConfigError if there is no limit at all, or one is out of range.

    `latency_ms`: 95th percentile for single images. `size_bytes`: of the file. `memory_bytes`: at its peak, on top of
    the engine. `accuracy`: the goal of the task on the validation photos, 0…1, that the file must reach. `reserve`: the
    fraction, 0…1, by which latency may grow later, on a busier device: candidates must fit with it.
    """

    latency_ms: float | None = None
    size_bytes: float | None = None
    memory_bytes: float | None = None
    accuracy: float | None = None
    reserve: float = 0.1

    def __post_init__(self) -> None:
        if (self.latency_ms, self.size_bytes, self.memory_bytes, self.accuracy) == (None,) * 4:
            raise ConfigError("no budget is given; use --latency 5ms, --size 500kB, --memory 8MB or --accuracy 0.9")
        for name, value in (("latency", self.latency_ms), ("size", self.size_bytes), ("memory", self.memory_bytes)):
            if value is not None and not 0 < value < float("inf"):
                raise ConfigError(f"a {name} of {value:g} is out of range; use a number above 0")
        if self.accuracy is not None and not 0 < self.accuracy <= 1:
            raise ConfigError(f"an accuracy of {self.accuracy:g} is out of range; use a fraction such as 0.9")
        if not 0 <= self.reserve <= 1:
            raise ConfigError(f"a reserve of {self.reserve:g} is out of range; use a fraction such as 0.1")

    def excess(self, p95_ms: float, size_bytes: float, memory_bytes: float) -> tuple[str, ...]:
        """What exceeds a limit, in words; empty if everything fits."""
        return tuple(self._excess(p95_ms, size_bytes, memory_bytes, (0.0, 0.0, 0.0)))

    def _excess(self, p95_ms: float, size_bytes: float, memory_bytes: float, margins: Margins) -> Iterator[str]:
        for name, value, limit, margin, words in (
            ("latency", p95_ms, self.latency_ms, margins[0], f"{p95_ms:.3g} ms at p95"),
            ("size", size_bytes, self.size_bytes, margins[1], f"a file of {shown_size(size_bytes)}"),
            ("memory", memory_bytes, self.memory_bytes, margins[2], f"{shown_size(memory_bytes)} of memory"),
        ):
            if limit is None or value * (1 + margin) <= limit:
                continue
            if not math.isfinite(value * (1 + margin)):
                yield f"its {name} is not known"
            else:
                yield f"{words}, with a margin of {margin:.0%}" if value <= limit else words

    def over(self, estimate: Estimate) -> tuple[str, ...]:
        """`excess` of an estimate, with its errors as margins, and the reserve."""
        return tuple(self._excess(estimate.p95_ms, estimate.file_bytes, estimate.peak_bytes, self._margins(estimate)))

    def enough(self, estimate: Estimate) -> str:
        """The options with which `estimate` would fit, for limits that it exceeds: `--latency 0.18ms --size 720kB`."""
        latency, size, memory = self._margins(estimate)
        found = []
        if self.latency_ms is not None and self.latency_ms < (need := estimate.p95_ms * (1 + latency)) < math.inf:
            found.append(f"--latency {_up(need)}ms")
        for option, limit, needed in (
            ("--size", self.size_bytes, estimate.file_bytes * (1 + size)),
            ("--memory", self.memory_bytes, estimate.peak_bytes * (1 + memory)),
        ):
            if limit is not None and limit < needed < math.inf:
                found.append(f"{option} {_up(needed / 1e6)}MB" if needed >= 1e6 else f"{option} {_up(needed / 1e3)}kB")
        return " ".join(found)

    def _margins(self, estimate: Estimate) -> Margins:
        return (1 + estimate.error) * (1 + self.reserve) - 1, _SIZE_ERROR, estimate.memory_error

    def distance(self, p95_ms: float, size_bytes: float, memory_bytes: float) -> float:
        """The largest ratio of a figure to its limit: below 1 if everything fits, infinite if a figure is not known."""
        pairs = ((p95_ms, self.latency_ms), (size_bytes, self.size_bytes), (memory_bytes, self.memory_bytes))
        factors = [value / limit for value, limit in pairs if limit is not None]
        return max(factors, default=0.0) if all(map(math.isfinite, factors)) else math.inf

    def in_words(self, noun: str) -> str:
        """The limits, where `noun` is what the required accuracy is of the task (`Goal.noun`)."""
        return ", ".join([*self._resources(), *self._aims(noun)])

    @property
    def while_choosing(self) -> str:
        """In words, the limits for candidates before training, with the reserve; empty if only an accuracy is
        required."""
        return ", ".join([*self._resources(), *self._reserves()])

    def in_full(self, noun: str) -> str:
        """As `in_words`, with the reserve."""
        return ", ".join([*self._resources(), *self._reserves(), *self._aims(noun)])

    def _resources(self) -> Iterator[str]:
        if self.latency_ms is not None:
            yield f"{self.latency_ms:g} ms at p95"
        if self.size_bytes is not None:
            yield f"a file of {shown_size(self.size_bytes)}"
        if self.memory_bytes is not None:
            yield f"{shown_size(self.memory_bytes)} of memory"

    def _reserves(self) -> Iterator[str]:
        if self.latency_ms and self.reserve:
            yield f"{self.reserve:.0%} of latency in reserve"

    def _aims(self, noun: str) -> Iterator[str]:
        if self.accuracy is not None:
            yield f"{noun} of {self.accuracy:.1%}"

    @property
    def name(self) -> str:
        """The name for a folder: 5ms, or 500kB-8MB-memory."""
        parts = (
            None if self.latency_ms is None else f"{self.latency_ms:g}ms",
            None if self.size_bytes is None else shown_size(self.size_bytes).replace(" ", ""),
            None if self.memory_bytes is None else f"{shown_size(self.memory_bytes).replace(' ', '')}-memory",
            None if self.accuracy is None else f"{100 * self.accuracy:g}-percent",
        )
        return "-".join(part for part in parts if part)

    def to_json(self) -> dict[str, Any]:
        """As a mapping for `json.dumps`."""
        return asdict(self)


def _up(value: float) -> str:
    """Rounded up to three significant digits, so that the limit is sufficient."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 2)
    return f"{math.ceil(value / unit) * unit:.6g}"


def shown_size(size: float) -> str:
    """564193 -> '564 kB', 3280000 -> '3.28 MB', 999999 -> '1 MB'."""
    unit, name = next(((unit, name) for unit, name in _SHOWN_UNITS if size >= 0.9995 * unit), (1.0, "bytes"))
    return f"{size / unit:.3g} {name}"
