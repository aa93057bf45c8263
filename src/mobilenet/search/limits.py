"""What the user allows a network to take, and asks of it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from mobilenet.benchmark.profile import Estimate
from mobilenet.errors import ConfigError

__all__ = ["Limits", "shown_size"]


@dataclass(frozen=True, slots=True)
class Limits:
    """None where there is no limit; ConfigError where there is none at all, or one that makes no sense.

    `latency_ms`: what 95 % of single images may take. `size_bytes`: of the file. `memory_bytes`: at its peak, on top of
    the engine. `accuracy`: top-1 on the validation photos, 0…1, that the exported file must reach. `reserve`: the
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

    def excess(self, p95_ms: float, size_bytes: float, memory_bytes: float, margin: float = 0.0) -> tuple[str, ...]:
        """What is over a limit, in words; nothing where all is inside. `margin`: share by which latency may come out
        larger than it was estimated."""
        return tuple(self._excess(p95_ms, size_bytes, memory_bytes, margin))

    def _excess(self, p95_ms: float, size_bytes: float, memory_bytes: float, margin: float) -> Iterator[str]:
        if self.latency_ms is not None and p95_ms * (1 + margin) > self.latency_ms:
            spare = f", with {margin:.0%} to be sure" if p95_ms <= self.latency_ms else ""
            yield f"{p95_ms:.3g} ms at p95{spare}"
        if self.size_bytes is not None and size_bytes > self.size_bytes:
            yield f"a file of {shown_size(size_bytes)}"
        if self.memory_bytes is not None and memory_bytes > self.memory_bytes:
            yield f"{shown_size(memory_bytes)} of memory"

    def over(self, estimate: Estimate) -> tuple[str, ...]:
        """`excess` of an estimate, with its own error and the reserve as the margin."""
        margin = (1 + estimate.error) * (1 + self.reserve) - 1
        return self.excess(estimate.p95_ms, estimate.file_bytes, estimate.peak_bytes, margin)

    def distance(self, p95_ms: float, size_bytes: float, memory_bytes: float) -> float:
        """How far outside: the largest factor by which a limit is exceeded, below 1 where all is inside."""
        pairs = ((p95_ms, self.latency_ms), (size_bytes, self.size_bytes), (memory_bytes, self.memory_bytes))
        return max((value / limit for value, limit in pairs if limit is not None), default=0.0)

    def __str__(self) -> str:
        parts = (
            None if self.latency_ms is None else f"{self.latency_ms:g} ms at p95",
            None if self.size_bytes is None else f"a file of {shown_size(self.size_bytes)}",
            None if self.memory_bytes is None else f"{shown_size(self.memory_bytes)} of memory",
            None if self.accuracy is None else f"an accuracy of {self.accuracy:.1%}",
        )
        return ", ".join(part for part in parts if part)

    @property
    def while_choosing(self) -> str:
        """In words, with the reserve that candidates must leave."""
        return f"{self}, {self.reserve:.0%} of latency in reserve" if self.latency_ms and self.reserve else str(self)

    def to_json(self) -> dict[str, Any]:
        """As a mapping that `json.dumps` takes."""
        return asdict(self)


def shown_size(size: float) -> str:
    """564193 -> '564 kB', 3280000 -> '3.28 MB'."""
    return f"{size / 1e6:.3g} MB" if size >= 1e6 else f"{size / 1e3:.3g} kB"
