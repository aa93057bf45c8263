"""The result of every reader, before the architecture is known."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobilenet.images.preprocessing import Preprocessing
from mobilenet.model.outputs import Ending
from mobilenet.spec.rows import Activation, Padding

__all__ = [
    "BACKBONES",
    "ForeignConv",
    "ForeignDetector",
    "ForeignLinear",
    "ForeignNetwork",
    "ForeignNorm",
    "ForeignPlane",
    "Scaling",
]

BACKBONES = {27: "mobilenet_v1", 17: "mobilenet_v1_shallow", 14: "mobilenet_v1_standard", 28: "mobilenet_v1_head"}
"""Number of convolutions -> architecture. After as many, what is not understood may be a head that is not needed."""

Floats = NDArray[np.float32]

Scaling = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Factors and offsets, (3,) or (): output = input · factor + offset."""


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
class ForeignPlane:
    """What is predicted on the result of convolution number `read` of a detector's body and added ones.

    `boxes` and `scores` end in the convolution that predicts, alone or after a depthwise one. `priors` (A, 2): heights
    and widths of the prior boxes at each position, in shares of the image. `centres` (side,): those of the positions
    in a row, and in a column; None for (i + 0.5) / side.
    """

    read: int
    boxes: tuple[ForeignConv, ...]
    scores: tuple[ForeignConv, ...]
    priors: NDArray[np.float64]
    centres: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ForeignDetector:
    """The head of a single-shot detector: convolutions `added` after the body, and predictions on `planes`.

    A score is the sigmoid of what is predicted, for each of `classes`, which may follow one for the background. Codes
    of y, x, height and width are divided by `box_scales`.
    """

    added: tuple[ForeignConv, ...]
    planes: tuple[ForeignPlane, ...]
    classes: int
    box_scales: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class ForeignNetwork:
    """All layers of a file; None for whatever the file does not specify, with the assumptions made in `notes`.

    `input_scaling`: factors and offsets, (3,) or (), that the file itself applies to its input before the first
    convolution, where `preprocessing` is None: what its input is in pixels is still to be found out. `head_fault`: why
    the layers after the backbone are not a classifier; there is none then. `ending`: what turns the classifier's values
    into the outputs. `detector`: the head, where that is not a classifier but predicts boxes.
    """

    source: str
    convs: tuple[ForeignConv, ...]
    classifier: ForeignLinear | None
    resolution: int | None
    labels: tuple[str, ...] | None = None
    preprocessing: Preprocessing | None = None
    notes: tuple[str, ...] = ()
    input_scaling: Scaling | None = None
    head_fault: str | None = None
    ending: Ending = "softmax"
    detector: ForeignDetector | None = None
