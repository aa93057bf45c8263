"""A trained candidate as files: exported, proven and measured; which of them fits the budget."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, TypeGuard

from mobilenet.export.proof.verify import OF_THE_FILE
from mobilenet.model.precision import Precision
from mobilenet.search.budget import Limits

__all__ = ["MeasuredFile", "best", "first_clause", "is_known", "nearest"]


@dataclass(frozen=True, slots=True)
class MeasuredFile:
    """One exported file, `file` relative to the folder of the search; `failures` say why it is not proven, and `over`
    which limits it exceeds: both are empty for a usable file, of which every figure is known.

    `estimated`: latency and memory are estimates of the profile of another device; else they were measured here.
    `accuracy` and `network_accuracy` are None if a proof ended before they were known. `proof` is that of
    `mobilenet export`, as JSON; `waited` the fraction of time spent waiting for a core.
    """

    file: str
    runtime: str
    precision: Precision
    threads: int
    accuracy: float | None
    network_accuracy: float | None
    agreement: float
    size_bytes: int
    p50_ms: float
    p95_ms: float
    peak_bytes: int
    waited: float
    estimated: bool
    failures: tuple[str, ...]
    over: tuple[str, ...]
    proof: dict[str, Any]

    @property
    def usable(self) -> bool:
        """Whether it is proven and fits the budget."""
        return not self.why_not

    @property
    def unknown(self) -> tuple[str, ...]:
        """Which figures that decide the choice are not known, in words: at most one line."""
        figures = {
            "score": self.accuracy,
            "latency": self.p95_ms,
            "size": self.size_bytes,
            "memory": self.peak_bytes,
        }
        missing = [name for name, value in figures.items() if not is_known(value)]
        return (f"its {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not known",) if missing else ()

    @property
    def why_not(self) -> tuple[str, ...]:
        """Why it is not usable, without the advice for a manual export; empty if it is."""
        return tuple(dict.fromkeys((*self.over, *self.unknown, *map(first_clause, self.failures))))

    @property
    def wrong_in_answers_alone(self) -> bool:
        """Whether all gates of the proof that failed are those for outputs."""
        return all(gate["passed"] or gate["name"] not in OF_THE_FILE for gate in self.proof["gates"])

    def to_json(self) -> dict[str, Any]:
        """As a mapping for `json.dumps`; `from_json` is the inverse."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "MeasuredFile":
        """The inverse of `to_json`."""
        return cls(**{**fields, "failures": tuple(fields["failures"]), "over": tuple(fields["over"])})


def first_clause(reason: str) -> str:
    """The first part of a reason, before any details or advice."""
    return reason.partition("; ")[0]


def best(files: Iterable[MeasuredFile], limits: Limits) -> MeasuredFile | None:
    """Of the usable files the most accurate, of equals the fastest; the smallest if an accuracy is required."""
    usable = [file for file in files if file.usable]
    if limits.accuracy is not None:
        return min(usable, key=lambda file: (file.size_bytes, file.p95_ms), default=None)
    return max(usable, key=lambda file: (file.accuracy or 0.0, -file.p95_ms), default=None)


def nearest(files: Iterable[MeasuredFile], limits: Limits) -> MeasuredFile | None:
    """Of files none of which is usable, the one nearest to the budget."""

    def distance(file: MeasuredFile) -> tuple[int, float]:
        outside = limits.distance(file.p95_ms, file.size_bytes, file.peak_bytes)
        reached = file.accuracy if is_known(file.accuracy) else 0.0
        missing = 0.0 if limits.accuracy is None else limits.accuracy / max(reached, 1e-3)
        return len(file.failures) + len(file.unknown), max(outside, missing)

    return min(files, key=distance, default=None)


def is_known(value: float | None) -> TypeGuard[float]:
    """Whether a figure is there, and a number."""
    return value is not None and math.isfinite(value)
