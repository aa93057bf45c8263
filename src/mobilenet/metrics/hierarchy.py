"""Classes within classes, such as `Apple/Pink-Lady`: accuracy on every level, and mistakes inside a parent.

The parts of a name between its slashes are its levels, level 1 being the top. On a level deeper than its name a class
stands for itself: `Banana` beside `Apple/Pink-Lady` is a Banana on levels 1 and 2, and where both `Apple` and
`Apple/Fuji` are classes, they are the same on level 1 and different below.

**The answer on a level is the answer's ancestor on that level**, not the group whose classes have the largest sum of
probabilities. The sum would be the better guess of somebody who asks for nothing but the group, yet it is another
answer than the one that was given: it can be `Apple` where the model says `Banana` (40 % against five apples of 12 %
each), rightly, and so make accuracy fall from a level to the one above; and of a model that is unsure it is always the
group with the most classes. With one answer read on every level accuracy never falls on the way up, and each mistake
has one place: the smallest group that holds both the class and the answer.

Arguments that recur: `labels`, the names of the classes; `confusion` (classes, classes) counts, row = true class,
column = answer. From them alone all of this follows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.metrics.classification import wilson_interval

__all__ = ["Family", "Level", "ancestor", "depth", "families", "levels"]


@dataclass(frozen=True, slots=True)
class Level:
    """How many photos (share 0…1) got the right one of `groups`; `name` is "level 1" at the top, "leaf" at the end.

    `inside` counts photos that are wrong here and right one level above: mistakes inside a parent. 0 at the top.
    """

    name: str
    groups: int
    top1: float
    top1_interval: tuple[float, float]
    inside: int


@dataclass(frozen=True, slots=True)
class Family:
    """A parent with two children or more, such as `Apple`; children may be parents themselves.

    Of the `photos` of the parent, `inside` were taken for another of its children and `outside` for something that is
    none of them; `confusion[true][predicted]` counts those whose class and answer both lie in the family.
    """

    label: str
    children: tuple[str, ...]
    photos: int
    inside: int
    outside: int
    confusion: tuple[tuple[int, ...], ...]


def ancestor(label: str, level: int) -> str:
    """`Apple/Red/Fuji` on level 2 is `Apple/Red`; a name that ends earlier stands for itself; `level` ≥ 1."""
    return "/".join(label.split("/")[:level])


def depth(labels: Sequence[str]) -> int:
    """The number of levels; 1 for flat classes, which is what names are whose slashes bring no two of them together."""
    if len({ancestor(label, 1) for label in labels}) == len(labels):
        return 1
    return max(label.count("/") + 1 for label in labels)


def levels(labels: Sequence[str], confusion: NDArray[Any]) -> tuple[Level, ...]:
    """Every level from the top to the leaf; none for flat classes. ValueError without photos."""
    last = depth(labels)
    if last == 1:
        return ()
    photos, above = int(confusion.sum()), None
    rows = []
    for level in range(1, last + 1):
        names, numbers = _groups(labels, level)
        right = int(np.asarray(confusion)[numbers[:, None] == numbers].sum())
        interval = wilson_interval(right, photos)
        name = f"level {level}" if level < last else "leaf"
        rows.append(Level(name, len(names), right / photos, interval, 0 if above is None else above - right))
        above = right
    return tuple(rows)


def families(labels: Sequence[str], confusion: NDArray[Any]) -> tuple[Family, ...]:
    """Every parent with two children or more, upper levels first; what all of them count inside is every mistake
    whose answer shares the top of its class, each once."""
    found = []
    for level in range(1, depth(labels)):
        names, numbers = _groups(labels, level + 1)
        counts = np.zeros((len(names), len(names)), np.int64)
        np.add.at(counts, (numbers[:, None], numbers), confusion)
        children: dict[str, list[int]] = {}
        for number, name in enumerate(names):
            children.setdefault(ancestor(name, level), []).append(number)
        found += [_family(parent, names, own, counts) for parent, own in children.items() if len(own) > 1]
    return tuple(found)


def _family(parent: str, names: tuple[str, ...], own: list[int], counts: NDArray[np.int64]) -> Family:
    block = counts[np.ix_(own, own)]
    photos, answered = int(counts[own].sum()), int(block.sum())
    return Family(
        label=parent,
        children=tuple(names[number] for number in own),
        photos=photos,
        inside=answered - int(np.trace(block)),
        outside=photos - answered,
        confusion=tuple(tuple(row) for row in block.tolist()),
    )


def _groups(labels: Sequence[str], level: int) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """The groups of a level in the order of their first class, and for each class the number of its group."""
    names = [ancestor(label, level) for label in labels]
    number = {name: index for index, name in enumerate(dict.fromkeys(names))}
    return tuple(number), np.array([number[name] for name in names], np.int64)
