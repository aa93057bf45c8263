"""What calibration gives, and what it is judged by."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from mobilenet.model.graph import Graph, QuantizedGraph
from mobilenet.quantize.ranges import Method, Ranges

__all__ = ["Calibrated", "Distance"]

Distance = Callable[[Mapping[str, Tensor], Mapping[str, Tensor]], Tensor]
"""(a network's raw outputs by name, those of the network that it should be like) -> how far they are apart, summed over
the photos: a scalar, 0 where nothing differs."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """An 8-bit graph and how it was made.

    `prepared` is the float32 graph behind it, equalised and corrected where that helped, and `ranges` what its outputs
    are rounded to. `errors` are the divergences of all that was tried, by name, the chosen one last; infinite for
    what does not answer with numbers.
    """

    graph: QuantizedGraph
    prepared: Graph
    ranges: Ranges
    method: Method
    equalised: bool
    corrected: bool
    errors: dict[str, float]
