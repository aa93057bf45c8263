"""What the user allows a network to take, and asks of it. A figure that is not known (NaN) is outside every limit."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from mobilenet.benchmark.device.profile import Estimate
from mobilenet.errors import ConfigError

__all__ = ["Limits", "shown_size"]

Margins = tuple[float, float, float]
"""Shares by which latency, size and memory may come out larger than they were estimated."""

_SIZE_ERROR = 0.01
"""Names of classes lie in a file too, and are not estimated."""


@dataclass(frozen=True, slots=True)
class Limits:
    """None where there is no limit; ConfigError where there is none at all, or one that makes no sense.

    `latency_ms`: what 95 % of single images may take. `size_bytes`: of the file. `memory_bytes`: at its peak, on top of
    the engine. `accuracy`: the goal of the task on the validation photos, 0…1, that the file must reach. `reserve`: the
    share, 0…1, by which a latency may grow in an hour when the device is busier: candidates are chosen so that it fits.
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
            raise ConfigError(f"an accuracy of {self.accuracy:g} is out of range; use a share such as 0.9")
        if not 0 <= self.reserve <= 1:
            raise ConfigError(f"a reserve of {self.reserve:g} is out of range; use a share such as 0.1")

    def excess(self, p95_ms: float, size_bytes: float, memory_bytes: float) -> tuple[str, ...]:
        """What is over a limit, in words; nothing where all is inside."""
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
                yield f"{words}, with {margin:.0%} to be sure" if value <= limit else words

    def over(self, estimate: Estimate) -> tuple[str, ...]:
        """`excess` of an estimate, with its own errors as margins, and the reserve."""
        return tuple(self._excess(estimate.p95_ms, estimate.file_bytes, estimate.peak_bytes, self._margins(estimate)))

    def enough(self, estimate: Estimate) -> str:
        """The options with which `estimate` would be inside where it is not: `--latency 0.18ms --size 720kB`."""
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
        """How far outside: the largest factor by which a limit is exceeded, below 1 where all is inside; infinite where
        a figure is not known."""
        pairs = ((p95_ms, self.latency_ms), (size_bytes, self.size_bytes), (memory_bytes, self.memory_bytes))
        factors = [value / limit for value, limit in pairs if limit is not None]
        return max(factors, default=0.0) if all(map(math.isfinite, factors)) else math.inf

    def __str__(self) -> str:
        return ", ".join([*self._resources(), *self._aims()])

    @property
    def while_choosing(self) -> str:
        """In words, what candidates are chosen by before any is trained, with the reserve that they must leave; empty
        where only an accuracy is asked for."""
        return ", ".join([*self._resources(), *self._reserves()])

    @property
    def in_full(self) -> str:
        """In words, with the reserve."""
        return ", ".join([*self._resources(), *self._reserves(), *self._aims()])

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

    def _aims(self) -> Iterator[str]:
        if self.accuracy is not None:
            yield f"an accuracy of {self.accuracy:.1%}"

    @property
    def name(self) -> str:
        """For a folder: 5ms, or 500kB-8MB-memory."""
        parts = (
            None if self.latency_ms is None else f"{self.latency_ms:g}ms",
            None if self.size_bytes is None else shown_size(self.size_bytes).replace(" ", ""),
            None if self.memory_bytes is None else f"{shown_size(self.memory_bytes).replace(' ', '')}-memory",
            None if self.accuracy is None else f"{100 * self.accuracy:g}-percent",
        )
        return "-".join(part for part in parts if part)

    def to_json(self) -> dict[str, Any]:
        """As a mapping that `json.dumps` takes."""
        return asdict(self)


def _up(value: float) -> str:
    """Rounded up to three digits: a limit that is enough."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 2)
    return f"{math.ceil(value / unit) * unit:.6g}"


def shown_size(size: float) -> str:
    """564193 -> '564 kB', 3280000 -> '3.28 MB'."""
    return f"{size / 1e6:.3g} MB" if size >= 1e6 else f"{size / 1e3:.3g} kB"
