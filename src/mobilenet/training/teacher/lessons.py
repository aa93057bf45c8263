"""What a trainer asks of a teacher; most runs have none."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mobilenet.images.augment import Crops
from mobilenet.nn.objective import Objective

__all__ = ["UNTAUGHT", "Lessons"]

IntArray = NDArray[np.int64]


class Lessons(Protocol):
    """What a trainer asks about the photos of an epoch, besides their targets."""

    def wrapped(self, objective: Objective) -> Objective:
        """The objective of a student."""
        ...

    def prepare(self, between: Callable[[], None]) -> None:
        """Make ready for an epoch; `between` is called now and then, as between two steps."""
        ...

    def outputs(self, samples: IntArray, crops: Crops) -> dict[str, Tensor]:
        """What the objective needs of these crops of the samples (B,), besides their targets: (B, …) each, by name."""
        ...


class _Untaught:
    """A run without a teacher."""

    def wrapped(self, objective: Objective) -> Objective:
        return objective

    def prepare(self, between: Callable[[], None]) -> None: ...

    def outputs(self, _samples: IntArray, _crops: Crops) -> dict[str, Tensor]:
        return {}


UNTAUGHT = _Untaught()
