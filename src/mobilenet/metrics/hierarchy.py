"""Nested classes, such as `Apple/Pink-Lady`: accuracy on every level, and mistakes inside a parent.

The parts of a name between its slashes are its levels, level 1 being the top. On a level deeper than its name a class
stands for itself: `Banana` beside `Apple/Pink-Lady` is a Banana on levels 1 and 2, and if both `Apple` and
`Apple/Fuji` are classes, they are the same on level 1 and different below.

**The prediction on a level is the ancestor of the predicted class on that level**, not the group whose classes have the
largest sum of probabilities. The sum would be the better guess if only the group were asked for, but it is a different
prediction: it can be `Apple` when the model correctly says `Banana` (40 % against five apples of 12 % each), so that
accuracy would drop from one level to the one above; and for an unsure model it is always the group with the most
classes. With one prediction read on every level, accuracy never drops on the way up, and each mistake has one place:
the smallest group that contains both the class and the prediction.

Common arguments: `labels`, the names of the classes; `confusion` (classes, classes) counts, row = true class, column =
predicted class. Everything here follows from them.
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
    """Accuracy (0…1) over the `groups` of one level; `name` is "level 1" at the top, "leaf" at the bottom.

    `inside` counts photos that are wrong here but correct one level above: mistakes inside a parent. 0 at the top.
    """

    name: str
    groups: int
    top1: float
    top1_interval: tuple[float, float]
    inside: int


@dataclass(frozen=True, slots=True)
class Family:
    """A parent with two or more children, such as `Apple`; children may be parents themselves.

    Of the `photos` of the parent, `inside` were predicted as another of its children and `outside` as none of them;
    `confusion[true][predicted]` counts those whose class and prediction are both in the family.
    """

    label: str
    children: tuple[str, ...]
    photos: int
    inside: int
    outside: int
    confusion: tuple[tuple[int, ...], ...]


def ancestor(label: str, level: int) -> str:
    """`Apple/Red/Fuji` on level 2 is `Apple/Red`; a shorter name stands for itself; `level` ≥ 1."""
    return "/".join(label.split("/")[:level])


def depth(labels: Sequence[str]) -> int:
    """The number of levels; 1 for flat classes, that is, if no two names share a parent."""
    if len({ancestor(label, 1) for label in labels}) == len(labels):
        return 1
    return max(label.count("/") + 1 for label in labels)


def levels(labels: Sequence[str], confusion: NDArray[Any]) -> tuple[Level, ...]:
    """Every level from the top to the leaf, given (classes, classes) counts; none for flat classes. ValueError
    without photos."""
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
    """Every parent with two or more children, upper levels first, given (classes, classes) counts; their `inside` adds
    up to the mistakes whose prediction shares the top level of the class."""
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
