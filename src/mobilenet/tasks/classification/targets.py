"""The labels of photos: one class each."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import DataError
from mobilenet.model.vocabulary import Vocabulary, listed

__all__ = ["ClassTargets", "relabelled"]


@dataclass(frozen=True, slots=True, eq=False)
class ClassTargets:
    """`numbers` (N,) int64: for each photo the index of its class in the vocabulary."""

    numbers: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, indices: NDArray[np.int64]) -> "ClassTargets":
        """The targets at `indices`, in that order."""
        return ClassTargets(self.numbers[indices])

    def strata(self) -> NDArray[np.int64]:
        """The classes themselves."""
        return self.numbers

    def lines(self, vocabulary: Vocabulary) -> Iterator[str]:
        """The name of each photo's class."""
        return (vocabulary.names[number] for number in self.numbers.tolist())


def relabelled(targets: ClassTargets, given: Vocabulary, wanted: Vocabulary) -> ClassTargets:
    """Class indices of `given` as those of `wanted`, matched by name; DataError names the unknown classes."""
    number = {label: index for index, label in enumerate(wanted.names)}
    unknown = [name for name in given.names if name not in number]
    if unknown:
        raise DataError(
            f"the model does not know {listed(unknown)}; it knows {listed(wanted.names)}: "
            "rename the folders or use another model"
        )
    return ClassTargets(np.array([number[name] for name in given.names], dtype=np.int64)[targets.numbers])
