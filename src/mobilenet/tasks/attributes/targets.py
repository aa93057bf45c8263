"""The labels of photos: for each attribute whether a photo has it, has it not, or is not known to have it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import DataError
from mobilenet.model.vocabulary import Vocabulary, listed

__all__ = ["UNKNOWN", "AttributeTargets", "relabelled", "words"]

UNKNOWN = -1
"""Is never counted as a no: neither loss nor metrics see it."""


@dataclass(frozen=True, slots=True, eq=False)
class AttributeTargets:
    """`values` (N, attributes) int8: 1 for an attribute that the photo has, 0 for one that it has not, -1 where this is
    unknown."""

    values: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.values)

    def take(self, indices: NDArray[np.int64]) -> "AttributeTargets":
        """The targets at `indices` (M,), in that order."""
        return AttributeTargets(self.values[indices])

    def strata(self) -> None:
        """A photo is not in one group."""
        return

    def present(self) -> NDArray[np.bool_]:
        """(N, attributes) whether the photo is known to have it."""
        return np.asarray(self.values == 1)

    def absent(self) -> NDArray[np.bool_]:
        """(N, attributes) whether the photo is known not to have it."""
        return np.asarray(self.values == 0)

    def lines(self, vocabulary: Vocabulary) -> Iterator[str]:
        """As in a cell of labels: `red;round`, unknown ones as `?large`; `-` for none, `?` if nothing is known."""
        return (words(row, vocabulary.names) for row in self.values)


def words(row: NDArray[np.int8], names: tuple[str, ...]) -> str:
    """(attributes,) values of one photo -> one cell of labels."""
    if (row == UNKNOWN).all():
        return "?"
    said = [names[place] if row[place] == 1 else f"?{names[place]}" for place in np.flatnonzero(row)]
    return ";".join(said) or "-"


def relabelled(targets: AttributeTargets, given: Vocabulary, wanted: Vocabulary) -> AttributeTargets:
    """The targets of `given` in terms of `wanted`, matched by name; what `given` does not say is unknown. DataError
    names the attributes that `wanted` lacks."""
    place = {name: index for index, name in enumerate(wanted.names)}
    lacking = [name for name in given.names if name not in place]
    if lacking:
        raise DataError(
            f"the model does not know {listed(lacking)}; it knows {listed(wanted.names)}: remove those columns, or use "
            "another model"
        )
    values = np.full((len(targets), len(wanted.names)), UNKNOWN, np.int8)
    values[:, [place[name] for name in given.names]] = targets.values
    return AttributeTargets(values)
