"""The smallest candidate that reaches an accuracy: short trainings tell where to look, a full one decides.

Candidates stand in the order of the size of their file, then of their latency. A short training makes more mistakes
than a full one; by which factor is learned from those that were trained both ways.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

__all__ = ["Foresight", "smallest_that_reach"]

Contender = TypeVar("Contender")

_FIRST_GUESS = 0.8
"""Mistakes of a full training by those of a short one, before anything is known."""

_SHORT = 0.2
"""Length of a short training, as a share of a full one."""


class Foresight:
    """Guesses what a full training will reach from what a short one did."""

    def __init__(self) -> None:
        self._ratios: list[float] = []

    def guess(self, short: float) -> float:
        """The accuracy to expect."""
        ratios = self._ratios or [_FIRST_GUESS]
        return 1 - (1 - short) * sum(ratios) / len(ratios)

    def learn(self, short: float, full: float) -> None:
        """Both were measured of one candidate."""
        self._ratios.append((1 - full) / max(1 - short, 1e-3))


def smallest_that_reach(
    chains: Sequence[Sequence[Contender]], goal: float, epochs: int, score: Callable[[Contender, int], float]
) -> Iterator[Contender]:
    """Candidates to train in full, in this order, until one reaches the `goal`.

    `chains`: for each width, from the smallest on, its candidates from the smallest resolution on; within a chain and
    along the ends of chains accuracy is taken to grow. `score(candidate, epochs)` trains, or remembers.
    """
    short, foresight = max(round(_SHORT * epochs), 1), Foresight()

    def reaches(contender: Contender) -> bool:
        return foresight.guess(score(contender, short)) >= goal

    remaining = [list(chain) for chain in chains if chain]
    while remaining:
        first = _first(remaining, lambda chain: reaches(chain[-1]))
        chain = remaining[min(first, len(remaining) - 1)]
        place = min(_first(chain, reaches), len(chain) - 1)
        chosen = chain[place]
        yield chosen
        foresight.learn(score(chosen, short), score(chosen, epochs))
        # What failed was the smallest that seemed able: only larger ones are left to try.
        remaining = [chain[place + 1 :], *remaining[remaining.index(chain) + 1 :]]
        remaining = [chain for chain in remaining if chain]


def _first(items: Sequence[Contender], holds: Callable[[Contender], bool]) -> int:
    """The place of the first item for which `holds`, which then holds for all behind it; their number for none."""
    low, high = 0, len(items)
    while low < high:
        middle = (low + high) // 2
        if holds(items[middle]):
            high = middle
        else:
            low = middle + 1
    return low
