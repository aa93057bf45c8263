"""Which widths and resolutions fit the budget, and which of those are worth training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mobilenet.benchmark.device.profile import DeviceProfile, Estimate, Variant
from mobilenet.search.budget import Limits
from mobilenet.spec.rows import Network

__all__ = ["Candidate", "Option", "front", "weigh"]


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """A MobileNet V1 to train."""

    width_multiplier: float
    resolution: int

    def __str__(self) -> str:
        return f"{self.width_multiplier:g}-{self.resolution}"

    def within(self, other: "Candidate") -> bool:
        """Whether `other` is a different candidate that has at least the width and the resolution of this one."""
        smaller = self.width_multiplier <= other.width_multiplier and self.resolution <= other.resolution
        return smaller and self != other


Table = Callable[[Candidate], Network]

Exact = Callable[[Candidate, Estimate], Estimate]
"""An estimate with the figures in it that are known and need not be estimated."""


@dataclass(frozen=True, slots=True)
class Option:
    """A candidate and its estimates: those `inside` the budget, and the one with the smallest `Limits.distance`.

    `native`: it starts from weights of its own width, or all candidates start from random ones. `why_not`: why it is
    ruled out, empty if it is not; `too_wide`: because it is wider than all weights to start from.
    """

    candidate: Candidate
    inside: tuple[Estimate, ...]
    nearest: Estimate
    native: bool
    why_not: str = ""
    too_wide: bool = False


def weigh(
    profile: DeviceProfile,
    limits: Limits,
    table: Table,
    variants: Sequence[Variant],
    weight_widths: Sequence[float] = (),
    exact: Exact | None = None,
) -> tuple[Option, ...]:
    """Every candidate of the profile, smallest first; its network is `table(candidate)`. `weight_widths`: those of the
    weights to start from; wider candidates are ruled out. `exact` replaces what is known of an estimate."""
    known = exact or (lambda _, estimate: estimate)
    return tuple(
        _weigh(profile, limits, table, variants, weight_widths, Candidate(width, resolution), known)
        for width in sorted(profile.widths)
        for resolution in sorted(profile.resolutions)
    )


def _weigh(
    profile: DeviceProfile,
    limits: Limits,
    table: Table,
    variants: Sequence[Variant],
    weight_widths: Sequence[float],
    candidate: Candidate,
    exact: Exact,
) -> Option:
    estimates = profile.estimates(table(candidate))
    found = [exact(candidate, estimate) for estimate in estimates if estimate.variant in variants]
    nearest = min(found, key=lambda one: limits.distance(one.p95_ms, one.file_bytes, one.peak_bytes))
    native = not weight_widths or candidate.width_multiplier in weight_widths
    if weight_widths and candidate.width_multiplier > max(weight_widths):
        why_not = f"wider than all weights to start from ({max(weight_widths):g})"
        return Option(candidate, (), nearest, native, why_not, too_wide=True)
    inside = tuple(estimate for estimate in found if not limits.over(estimate))
    if not inside:
        reasons = " and ".join(limits.over(nearest))
        return Option(candidate, (), nearest, native, f"over budget: {reasons}, as {nearest.variant}")
    return Option(candidate, inside, nearest, native)


def front(options: Sequence[Option]) -> tuple[Option, ...]:
    """The Pareto front: options that fit the budget and are not dominated by a larger one that fits, as more channels
    and more pixels are more accurate.

    One with weights of its own width is dominated only by another one with such weights: a wider network with pruned
    channels may be less accurate.
    """
    inside = [option for option in options if option.inside]
    return tuple(option for option in inside if not any(_replaces(other, option) for other in inside))


def _replaces(larger: Option, smaller: Option) -> bool:
    return smaller.candidate.within(larger.candidate) and (larger.native or not smaller.native)
