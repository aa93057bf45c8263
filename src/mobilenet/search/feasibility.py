"""Whether any candidate can fit a budget: checked with the smallest one before a whole grid is measured."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from mobilenet.benchmark.device.grid import GridSettings
from mobilenet.benchmark.device.profile import Estimate, Variant
from mobilenet.benchmark.device.smallest import Least, measure_smallest, smallest_files
from mobilenet.errors import ConfigError, GateError
from mobilenet.model.card import ModelCard
from mobilenet.runtimes.c_file import bytes_on_device
from mobilenet.runtimes.engines import ENGINES
from mobilenet.search.budget import Limits

__all__ = ["check_smallest", "check_widths"]

_SPARE = 0.05
"""Margin on the figures of the smallest candidate in the advice, in place of the errors of a profile."""


def check_widths(widths: Sequence[float], weight_widths: Sequence[float]) -> None:
    """ConfigError if every candidate is wider than all weights to start from; there may be no weights."""
    if weight_widths and min(widths) > max(weight_widths):
        raise ConfigError(
            f"all weights to start from are narrower than any candidate; give --weights of width {min(widths):g} or "
            "more"
        )


def check_smallest(limits: Limits, grid: GridSettings, card: ModelCard, progress: Callable[[int, int], object]) -> None:
    """GateError if the smallest candidate, whose card this is, exceeds the budget in every variant of the grid.

    Files are written for their size; latency and memory are measured, with `progress(done, all)`, if they have a limit
    and a size fits. The figures themselves must exceed the budget here, without the margins for errors that estimates
    of a whole profile have.
    """
    files = smallest_files(grid, card)
    sizes = {
        variant: Least(0.0, 0.0, 0, bytes_on_device(content, Path(f"smallest{ENGINES[variant.runtime].suffix}")))
        for variant, content in files.items()
    }
    _check_any(limits, grid, sizes)
    if limits.latency_ms is None and limits.memory_bytes is None:
        return
    possible = {variant: files[variant] for variant, least in sizes.items() if not _outside(limits, least)}
    _check_any(limits, grid, measure_smallest(possible, progress))


def _outside(limits: Limits, least: Least) -> bool:
    """By its fastest image, which no other program has slowed: the 95th percentile is never lower."""
    return bool(limits.excess(least.fastest_ms * (1 + limits.reserve), least.file_bytes, least.peak_bytes))


def _estimate(variant: Variant, least: Least) -> Estimate:
    return Estimate(
        variant, least.p95_ms, least.p95_ms, least.peak_bytes, least.file_bytes, error=0.0, memory_error=0.0
    )


def _check_any(limits: Limits, grid: GridSettings, found: dict[Variant, Least]) -> None:
    if not all(_outside(limits, least) for least in found.values()):
        return
    estimates = [_estimate(variant, least) for variant, least in found.items()]
    closest = min(estimates, key=lambda one: limits.distance(one.p95_ms, one.file_bytes, one.peak_bytes))
    name = f"{min(grid.widths):g}-{min(grid.resolutions)}"
    needs = " and ".join(limits.over(closest))
    spared = replace(closest, file_bytes=round(closest.file_bytes * 1.01), error=_SPARE, memory_error=_SPARE)
    raise GateError(
        f"no candidate fits the budget of {limits.while_choosing}: the smallest, {name} in {closest.variant}, needs "
        f"{needs}; try {limits.enough(spared)}"
    )
