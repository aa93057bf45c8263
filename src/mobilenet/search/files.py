"""A trained candidate as files: exported, proven, and measured again; which of them is inside the budget."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mobilenet.benchmark import Contender, Settings, Timing, measure
from mobilenet.benchmark.profile import Variant
from mobilenet.export.formats import FORMATS, PRECISIONS, Precision
from mobilenet.export.run import ExportSettings, export
from mobilenet.export.verify import Proof
from mobilenet.search.limits import Limits

__all__ = ["MeasuredFile", "best", "formats_of", "nearest", "prove_and_measure"]

_SECONDS = 5.0
_CALM = 0.01
"""Share of its time that a measurement may have waited for a core; a calmer one is tried for."""

_TRIES = 3


@dataclass(frozen=True, slots=True)
class MeasuredFile:
    """One exported file as measured on this device; `failures` say why it is not proven, and `over` which limits it
    exceeds: both are empty for a file that may be used.

    `proof` is what `mobilenet export` found, as JSON; `waited` the share of time in which others had the cores.
    """

    file: str
    runtime: str
    precision: Precision
    threads: int
    accuracy: float
    network_accuracy: float
    agreement: float
    size_bytes: int
    p50_ms: float
    p95_ms: float
    peak_bytes: int
    waited: float
    failures: tuple[str, ...]
    over: tuple[str, ...]
    proof: dict[str, Any]

    @property
    def usable(self) -> bool:
        """Proven, and inside the budget."""
        return not self.failures and not self.over

    def to_json(self) -> dict[str, Any]:
        """As a mapping that `json.dumps` takes; `from_json` gives the same file back."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "MeasuredFile":
        """The inverse of `to_json`."""
        return cls(**{**fields, "failures": tuple(fields["failures"]), "over": tuple(fields["over"])})


def prove_and_measure(
    export_settings: ExportSettings,
    variants: Sequence[Variant],
    limits: Limits,
    progress: Callable[[str, int, int], object] | None = None,
) -> tuple[MeasuredFile, ...]:
    """Export the network for `variants`, prove every file and measure it, warm, for its p95."""
    exported = export(export_settings, progress)
    wanted = {(variant.runtime, variant.precision): variant.threads for variant in variants}
    proofs = [proof for proof in exported.proofs if (proof.runtime, proof.precision) in wanted]
    contenders = [Contender(proof.file, proof.runtime, wanted[proof.runtime, proof.precision]) for proof in proofs]
    timings = _calmest(contenders, limits, progress)
    return tuple(_judged(proof, timing, limits) for proof, timing in zip(proofs, timings, strict=True))


def _calmest(
    contenders: Sequence[Contender], limits: Limits, progress: Callable[[str, int, int], object] | None
) -> tuple[Timing, ...]:
    """Measured once; again where others took the cores and something came out over the limit of latency."""
    show = None if progress is None else (lambda *at: progress("measuring", *at))
    best: tuple[Timing, ...] = ()
    for _ in range(_TRIES):
        found = measure(contenders, Settings(_SECONDS), show).timings
        if not best or max(one.waited for one in found) < max(one.waited for one in best):
            best = found
        late = limits.latency_ms is not None and any(one.p95_ms > limits.latency_ms for one in best)
        if not late or max(one.waited for one in best) <= _CALM:
            break
    return best


def _judged(proof: Proof, timing: Timing, limits: Limits) -> MeasuredFile:
    over = list(limits.excess(timing.p95_ms, proof.size_bytes, timing.peak_bytes))
    accuracy = proof.accuracy or 0.0
    if limits.accuracy is not None and accuracy < limits.accuracy:
        over.append(f"an accuracy of {accuracy:.1%}")
    return MeasuredFile(
        file=proof.file,
        runtime=proof.runtime,
        precision=proof.precision,
        threads=timing.contender.threads,
        accuracy=accuracy,
        network_accuracy=proof.network_accuracy or 0.0,
        agreement=proof.agreement,
        size_bytes=proof.size_bytes,
        p50_ms=timing.p50_ms,
        p95_ms=timing.p95_ms,
        peak_bytes=timing.peak_bytes,
        waited=timing.waited,
        failures=proof.failures,
        over=tuple(over),
        proof=proof.to_json(),
    )


def best(files: Iterable[MeasuredFile], limits: Limits) -> MeasuredFile | None:
    """Of the usable files the most accurate one, of equals the fastest; the smallest where an accuracy is the aim."""
    usable = [file for file in files if file.usable]
    if limits.accuracy is not None:
        return min(usable, key=lambda file: (file.size_bytes, file.p95_ms), default=None)
    return max(usable, key=lambda file: (file.accuracy, -file.p95_ms), default=None)


def nearest(files: Iterable[MeasuredFile], limits: Limits) -> MeasuredFile | None:
    """Of files none of which is usable, the one that misses the budget least."""

    def distance(file: MeasuredFile) -> tuple[int, float]:
        outside = limits.distance(file.p95_ms, file.size_bytes, file.peak_bytes)
        missing = 0.0 if limits.accuracy is None else limits.accuracy / max(file.accuracy, 1e-3)
        return len(file.failures), max(outside, missing)

    return min(files, key=distance, default=None)


def formats_of(variants: Iterable[Variant]) -> tuple[tuple[str, ...], tuple[Precision, ...]]:
    """The formats and precisions to export for `variants`."""
    runtimes = {variant.runtime for variant in variants}
    precisions = {variant.precision for variant in variants}
    formats = tuple(name for name, kind in FORMATS.items() if kind.runtime in runtimes)
    return formats, tuple(precision for precision in PRECISIONS if precision in precisions)
