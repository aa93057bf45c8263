"""A trained candidate as files: exported, proven, and measured again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mobilenet.benchmark.device.profile import Estimate, Variant
from mobilenet.benchmark.measure import Settings, measure
from mobilenet.benchmark.result import Contender, Timing
from mobilenet.export.export import ExportSettings, export
from mobilenet.export.proof.verify import Proof
from mobilenet.model.precision import PRECISIONS, Precision
from mobilenet.runtimes.engines import FORMATS
from mobilenet.search.budget import Limits
from mobilenet.search.trial.files import MeasuredFile, is_known

__all__ = ["formats_of", "prove_and_measure"]

_SECONDS = 5.0
_CALM = 0.01
"""Share of its time that a measurement may have waited for a core; a calmer one is tried for."""

_TRIES = 3


def prove_and_measure(
    export_settings: ExportSettings,
    estimates: Sequence[Estimate],
    limits: Limits,
    progress: Callable[[str, int, int], object] | None = None,
    *,
    elsewhere: bool = False,
) -> tuple[MeasuredFile, ...]:
    """Export the network for the variants of `estimates`, prove every file and measure it, warm, for its p95; where
    the budget is that of a device `elsewhere`, its estimates stand instead."""
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
        _judged(proof, estimate.variant.threads, took, limits, exported.goal.noun)
        for (proof, estimate), took in zip(pairs, taken, strict=True)
    )


@dataclass(frozen=True, slots=True)
class _Taken:
    """What one file takes, measured or estimated."""

    p50_ms: float
    p95_ms: float
    peak_bytes: int
    waited: float
    estimated: bool


def _calmest(
    contenders: Sequence[Contender], limits: Limits, progress: Callable[[str, int, int], object] | None
) -> tuple[Timing, ...]:
    """Measured once; again where others took the cores and something came out over the limit of latency."""
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


def _judged(proof: Proof, threads: int, took: _Taken, limits: Limits, noun: str) -> MeasuredFile:
    over = list(limits.excess(took.p95_ms, proof.size_bytes, took.peak_bytes))
    if limits.accuracy is not None and is_known(proof.accuracy) and proof.accuracy < limits.accuracy:
        over.append(f"{noun} of {proof.accuracy:.1%}")
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


def formats_of(variants: Sequence[Variant]) -> tuple[tuple[str, ...], tuple[Precision, ...]]:
    """The formats and precisions to export for `variants`."""
    runtimes = {variant.runtime for variant in variants}
    precisions = {variant.precision for variant in variants}
    formats = tuple(name for name, kind in FORMATS.items() if kind.runtime in runtimes)
    return formats, tuple(precision for precision in PRECISIONS if precision in precisions)
