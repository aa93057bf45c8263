"""A trained candidate as files: exported, proven and measured; which of them fits the budget."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeGuard

from mobilenet.benchmark import Contender, Settings, Timing, measure
from mobilenet.benchmark.device.profile import Estimate, Variant
from mobilenet.export.export import ExportSettings, export
from mobilenet.export.formats import FORMATS
from mobilenet.export.proof.verify import OF_THE_FILE, Proof
from mobilenet.model.precision import PRECISIONS, Precision
from mobilenet.search.budget import Limits

__all__ = ["MeasuredFile", "best", "first_clause", "formats_of", "nearest", "prove_and_measure"]

_SECONDS = 5.0
_CALM = 0.01
"""Fraction of the time that a measurement may spend waiting for a core; otherwise it is repeated."""

_TRIES = 3


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
            "accuracy": self.accuracy,
            "latency": self.p95_ms,
            "size": self.size_bytes,
            "memory": self.peak_bytes,
        }
        missing = [name for name, value in figures.items() if not _known(value)]
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


def prove_and_measure(
    export_settings: ExportSettings,
    estimates: Sequence[Estimate],
    limits: Limits,
    progress: Callable[[str, int, int], object] | None = None,
    *,
    elsewhere: bool = False,
) -> tuple[MeasuredFile, ...]:
    """Export the network for the variants of `estimates`, prove every file and measure it, after a warm-up, for its
    p95; if the budget is for a device `elsewhere`, its estimates are used instead."""
    exported = export(export_settings, progress)
    wanted = {(estimate.variant.runtime, estimate.variant.precision): estimate for estimate in estimates}
    pairs = [
        (proof, wanted[proof.runtime, proof.precision])
        for proof in exported.proofs
        if (proof.runtime, proof.precision) in wanted
    ]
    if elsewhere:
        taken = [_Taken(one.p50_ms, one.p95_ms, one.peak_bytes, 0.0, estimated=True) for _, one in pairs]
    else:
        contenders = [Contender(proof.file, proof.runtime, estimate.variant.threads) for proof, estimate in pairs]
        timings = _calmest(contenders, limits, progress)
        taken = [_Taken(one.p50_ms, one.p95_ms, one.peak_bytes, one.waited, estimated=False) for one in timings]
    return tuple(
        _judged(proof, estimate.variant.threads, took, limits)
        for (proof, estimate), took in zip(pairs, taken, strict=True)
    )


def first_clause(reason: str) -> str:
    """The first part of a reason, before any details or advice."""
    return reason.partition("; ")[0]


@dataclass(frozen=True, slots=True)
class _Taken:
    """The figures of one file, measured or estimated."""

    p50_ms: float
    p95_ms: float
    peak_bytes: int
    waited: float
    estimated: bool


def _calmest(
    contenders: Sequence[Contender], limits: Limits, progress: Callable[[str, int, int], object] | None
) -> tuple[Timing, ...]:
    """Measure once; again if other programs used the cores and a latency exceeds its limit."""
    show = None if progress is None else (lambda *at: progress("measuring", *at))
    calmest: tuple[Timing, ...] = ()
    for _ in range(_TRIES):
        found = measure(contenders, Settings(_SECONDS), show).timings
        if not calmest or max(one.waited for one in found) < max(one.waited for one in calmest):
            calmest = found
        late = limits.latency_ms is not None and not all(one.p95_ms <= limits.latency_ms for one in calmest)
        if not late or max(one.waited for one in calmest) <= _CALM:
            break
    return calmest


def _judged(proof: Proof, threads: int, took: _Taken, limits: Limits) -> MeasuredFile:
    over = list(limits.excess(took.p95_ms, proof.size_bytes, took.peak_bytes))
    if limits.accuracy is not None and _known(proof.accuracy) and proof.accuracy < limits.accuracy:
        over.append(f"an accuracy of {proof.accuracy:.1%}")
    return MeasuredFile(
        file=proof.file,
        runtime=proof.runtime,
        precision=proof.precision,
        threads=threads,
        accuracy=proof.accuracy,
        network_accuracy=proof.network_accuracy,
        agreement=proof.agreement,
        size_bytes=proof.size_bytes,
        p50_ms=took.p50_ms,
        p95_ms=took.p95_ms,
        peak_bytes=took.peak_bytes,
        waited=took.waited,
        estimated=took.estimated,
        failures=proof.failures,
        over=tuple(over),
        proof=proof.to_json(),
    )


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
        reached = file.accuracy if _known(file.accuracy) else 0.0
        missing = 0.0 if limits.accuracy is None else limits.accuracy / max(reached, 1e-3)
        return len(file.failures) + len(file.unknown), max(outside, missing)

    return min(files, key=distance, default=None)


def _known(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def formats_of(variants: Sequence[Variant]) -> tuple[tuple[str, ...], tuple[Precision, ...]]:
    """The formats and precisions to export for `variants`."""
    runtimes = {variant.runtime for variant in variants}
    precisions = {variant.precision for variant in variants}
    formats = tuple(name for name, kind in FORMATS.items() if kind.runtime in runtimes)
    return formats, tuple(precision for precision in PRECISIONS if precision in precisions)
