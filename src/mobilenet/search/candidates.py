"""Which widths and resolutions are inside the budget, and which of those are worth training."""

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
        """Whether `other` is at least as wide and sees at least as many pixels, and is another one."""
        smaller = self.width_multiplier <= other.width_multiplier and self.resolution <= other.resolution
        return smaller and self != other


Table = Callable[[Candidate], Network]


@dataclass(frozen=True, slots=True)
class Option:
    """A candidate and what it takes: estimates `inside` the budget, and the one that is nearest to it, or deepest in.

    `native`: it starts from weights of its own width, or everything starts from random ones. `why_not`: why it cannot
    be taken, empty where it can; `too_wide`: because no weights to start from are as wide.
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
) -> tuple[Option, ...]:
    """Every candidate of the profile, from the smallest on; its network is `table(candidate)`. `weight_widths`: those
    of the weights to start from, and none wider than the widest of them can be."""
    return tuple(
        _weigh(profile, limits, table, variants, weight_widths, Candidate(width, resolution))
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
) -> Option:
    found = [estimate for estimate in profile.estimates(table(candidate)) if estimate.variant in variants]
    nearest = min(found, key=lambda one: limits.distance(one.p95_ms, one.file_bytes, one.peak_bytes))
    native = not weight_widths or candidate.width_multiplier in weight_widths
    if weight_widths and candidate.width_multiplier > max(weight_widths):
        why_not = f"wider than all weights to start from ({max(weight_widths):g})"
        return Option(candidate, (), nearest, native, why_not, too_wide=True)
    inside = tuple(estimate for estimate in found if not limits.over(estimate))
    if not inside:
        reasons = " and ".join(limits.over(nearest))
        return Option(candidate, (), nearest, native, f"outside: {reasons}, as {nearest.variant}")
    return Option(candidate, inside, nearest, native)


def front(options: Sequence[Option]) -> tuple[Option, ...]:
    """Those inside that no larger one inside can replace: more channels and more pixels tell more apart.

    One with weights of its own width gives way only to another one with such weights: a wider network whose channels
    were thinned out may know less.
    """
    inside = [option for option in options if option.inside]
    return tuple(option for option in inside if not any(_replaces(other, option) for other in inside))


def _replaces(larger: Option, smaller: Option) -> bool:
    return smaller.candidate.within(larger.candidate) and (larger.native or not smaller.native)
