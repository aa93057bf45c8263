"""The smallest candidate that reaches an accuracy: short trainings show where to look, a full one decides.

Candidates are ordered by width, which determines the size of the file, then by resolution. A short training makes more
mistakes than a full one; the factor is learned from candidates with both.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

__all__ = ["Foresight", "smallest_that_reach"]

Contender = TypeVar("Contender")

_FIRST_GUESS = 0.8
"""Mistakes of a full training divided by those of a short one, before any are known."""

_SHORT = 0.2
"""Length of a short training, as a fraction of a full one."""


class Foresight:
    """Predicts the accuracy of a full training from that of a short one."""

    def __init__(self) -> None:
        self._ratios: list[float] = []

    def guess(self, short: float) -> float:
        """The accuracy to expect; minus infinity if that of the short training is not known."""
        if not math.isfinite(short):
            return -math.inf
        ratios = self._ratios or [_FIRST_GUESS]
        return 1 - (1 - short) * sum(ratios) / len(ratios)

    def learn(self, short: float, full: float) -> None:
        """Learn from both accuracies of one candidate; ignored if one is not finite."""
        if math.isfinite(short) and math.isfinite(full):
            self._ratios.append((1 - full) / max(1 - short, 1e-3))


def smallest_that_reach(
    chains: Sequence[Sequence[Contender]],
    goal: float,
    epochs: int,
    score: Callable[[Contender, int], float],
    possible: Callable[[Contender], bool] = lambda _: True,
) -> Iterator[Contender]:
    """Candidates to train in full, in this order, until one reaches the `goal`.

    `chains`: for each width, smallest first, its candidates, smallest resolution first. Accuracy is assumed to grow
    within a chain, but not from one chain to the next: under a latency limit, wider ones have fewer pixels. If none
    seems good enough, the best one is tried, once. `score(candidate, epochs)` trains, or looks up the result;
    `possible` is evaluated again after each failure.
    """
    short, foresight = max(round(_SHORT * epochs), 1), Foresight()

    def guess(contender: Contender) -> float:
        return foresight.guess(score(contender, short))

    hopeless = False
    while chains := _kept(chains, possible):
        able = next((chain for chain in chains if guess(chain[-1]) >= goal), None)
        if able is None:
            if hopeless:
                return
            able, hopeless = max(chains, key=lambda chain: guess(chain[-1])), True
        place = min(_first(able, lambda contender: guess(contender) >= goal), len(able) - 1)
        chosen = able[place]
        yield chosen
        foresight.learn(score(chosen, short), score(chosen, epochs))
        # The smallest of its width that seemed good enough failed: only more pixels are left to try.
        chains = [chain[place + 1 :] if chain is able else chain for chain in chains]


def _kept(chains: Sequence[Sequence[Contender]], possible: Callable[[Contender], bool]) -> list[list[Contender]]:
    kept = [[contender for contender in chain if possible(contender)] for chain in chains]
    return [chain for chain in kept if chain]


def _first(items: Sequence[Contender], holds: Callable[[Contender], bool]) -> int:
    """The index of the first item for which `holds`, and so does for all after it; `len(items)` if none."""
    low, high = 0, len(items)
    while low < high:
        middle = (low + high) // 2
        if holds(items[middle]):
            high = middle
        else:
            low = middle + 1
    return low
