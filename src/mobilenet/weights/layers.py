"""The result of every reader, before the architecture is known."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobilenet.images.preprocessing import Preprocessing
from mobilenet.spec.rows import Activation, Padding

__all__ = ["ForeignConv", "ForeignLinear", "ForeignNetwork", "ForeignNorm"]

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class ForeignNorm:
    """An unfolded batch norm: four arrays (out,), and the epsilon added to the variance."""

    scale: Floats
    shift: Floats
    mean: Floats
    variance: Floats
    epsilon: float


@dataclass(frozen=True, slots=True, eq=False)
class ForeignConv:
    """One convolution, in the order of computation, under its name in the file.

    `filters` (out, in / groups, height, width); depthwise has groups == in == out. `norm` or `bias`, or neither.
    """

    name: str
    filters: Floats
    stride: int
    groups: int
    padding: Padding
    activation: Activation
    bias: Floats | None = None
    norm: ForeignNorm | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ForeignLinear:
    """The classifier: `matrix` (classes, features), even if the file has it as a convolution after the pool."""

    name: str
    matrix: Floats
    bias: Floats | None


@dataclass(frozen=True, slots=True, eq=False)
class ForeignNetwork:
    """All layers of a file; None for whatever the file does not specify, with the assumptions made in `notes`."""

    source: str
    convs: tuple[ForeignConv, ...]
    classifier: ForeignLinear | None
    resolution: int | None
    labels: tuple[str, ...] | None = None
    preprocessing: Preprocessing | None = None
    notes: tuple[str, ...] = ()
