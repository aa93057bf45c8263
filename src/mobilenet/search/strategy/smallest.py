"""The smallest candidate that reaches an accuracy: short trainings tell where to look, a full one decides.

Candidates stand in the order of their width, which decides the size of the file, then of their resolution. A short
training makes more mistakes than a full one; by which factor is learned from those that were trained both ways.
"""

import math
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
        """The accuracy to expect; below all others where nothing is known of the short training."""
        if not math.isfinite(short):
            return -math.inf
        ratios = self._ratios or [_FIRST_GUESS]
        return 1 - (1 - short) * sum(ratios) / len(ratios)

    def learn(self, short: float, full: float) -> None:
        """Both were measured of one candidate; a training without a figure teaches nothing."""
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

    `chains`: for each width, from the smallest on, its candidates from the smallest resolution on. Within a chain
    accuracy is taken to grow, from one chain to the next it is not: in a budget of latency, wider ones see fewer
    pixels. Where none seems able, the best one is tried, once. `score(candidate, epochs)` trains, or remembers;
    `possible` is asked again after each one that failed.
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
        # What failed was the smallest of its width that seemed able: only more pixels are left to try.
        chains = [chain[place + 1 :] if chain is able else chain for chain in chains]


def _kept(chains: Sequence[Sequence[Contender]], possible: Callable[[Contender], bool]) -> list[list[Contender]]:
    kept = [[contender for contender in chain if possible(contender)] for chain in chains]
    return [chain for chain in kept if chain]


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
