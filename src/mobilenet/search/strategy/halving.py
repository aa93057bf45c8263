"""Successive halving (Jamieson and Talwalkar, 2016): many short trainings, fewer longer ones, the best in full.

Every training is separate, with a learning rate that falls to zero at its end: a complete short training predicts the
result of a full one better than the first part of a full one does.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

__all__ = ["Round", "halve", "plan_rounds"]

Contender = TypeVar("Contender")

_FIRST_ROUND, _SECOND_ROUND = 0.6, 0.6
"""Cost of a round, as a fraction of one full training: with that training, a search costs less than three."""

_SHORTEST, _SECOND = 1 / 12, 0.27
_KEPT = 2


@dataclass(frozen=True, slots=True)
class Round:
    """The number of contenders, and the epochs that each trains for."""

    contenders: int
    epochs: int


def plan_rounds(contenders: int, epochs: int) -> tuple[Round, ...]:
    """The rounds before the full training of `epochs`; none for one contender.

    The first round divides 0.6 trainings among all, the second as much between the best two.
    """
    if contenders < 2:
        return ()
    second = Round(_KEPT, max(round(_SECOND * epochs), 1))
    if contenders <= _KEPT:
        return (Round(contenders, second.epochs),)
    share = max(_FIRST_ROUND / contenders, _SHORTEST)
    first = Round(contenders, max(math.floor(share * epochs), 1))
    return (first,) if first.epochs >= second.epochs else (first, second)


def halve(
    contenders: Sequence[Contender], epochs: int, score: Callable[[Contender, int], float]
) -> tuple[Contender, ...]:
    """All contenders, the most promising first: by `score(contender, epochs)` in the last round of each.

    Of equal ones the earlier wins, so that the result does not depend on chance; NaN comes last.
    """
    ranked = list(contenders)
    for planned in plan_rounds(len(contenders), epochs):
        among, others = ranked[: planned.contenders], ranked[planned.contenders :]
        scores = [_rank(score(contender, planned.epochs)) for contender in among]
        order = sorted(range(len(among)), key=lambda number: -scores[number])
        ranked = [among[number] for number in order] + others
    return tuple(ranked)


def _rank(score: float) -> float:
    return -math.inf if math.isnan(score) else score
