"""Figures of a candidate that follow from its network and need no estimate: what a C file takes of a device."""

from collections.abc import Callable
from dataclasses import replace

from mobilenet.benchmark.device.profile import Estimate
from mobilenet.benchmark.device.untrained import untrained
from mobilenet.export.c.model import footprint
from mobilenet.model.card import ModelCard
from mobilenet.runtimes.engines import FORMAT_OF, FORMATS, Plan
from mobilenet.search.candidates import Candidate

__all__ = ["exact_estimate"]


def exact_estimate(
    card: Callable[[float, int], ModelCard], plan: Plan, candidate: Candidate, estimate: Estimate
) -> Estimate:
    """The estimate, of a C file with the working memory and flash memory that it will take; `card` is that of a network
    of a width and a resolution."""
    if FORMATS[FORMAT_OF[estimate.variant.runtime]].package is not None:
        return estimate
    graph = untrained(card(candidate.width_multiplier, candidate.resolution), estimate.variant.precision)
    arena_bytes, flash_bytes = footprint(graph, plan)
    return replace(estimate, peak_bytes=arena_bytes, file_bytes=flash_bytes, memory_error=0.0)
