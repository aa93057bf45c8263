"""The rows of a network's table: frozen values read by cost, the torch modules and export."""

from dataclasses import dataclass
from typing import Literal

from mobilenet.errors import SpecError

__all__ = [
    "INPUT",
    "MAX_RESOLUTION",
    "Activation",
    "Concat",
    "Conv",
    "ConvStyle",
    "GlobalPool",
    "Linear",
    "Network",
    "Padding",
    "Pool",
    "Row",
    "brief",
]

Padding = Literal["symmetric", "tensorflow", "valid"]
"""`symmetric` pads (k - 1) // 2 on both sides; `tensorflow` is its SAME (stride 2 pads less before than after)."""

Activation = Literal["none", "relu", "relu6"]

INPUT = "input"
"""Name of the image tensor; a row whose `inputs` is empty reads the row before it, the first row reads the image."""

MAX_RESOLUTION, _MAX_CLASSES = 8192, 10_000_000
"""Larger than any practical use, so that a typo ends in an error and not in exhausted memory."""


@dataclass(frozen=True, slots=True)
class ConvStyle:
    """What all convolutions of one network have in common.

    `batch_norm=False` describes a network whose norms are folded into filters and biases; `epsilon` is that of the
    norms. SpecError if it is not between 0 and 1: at 0, a constant channel has no scale.
    """

    padding: Padding = "symmetric"
    activation: Activation = "relu"
    epsilon: float = 1e-5
    batch_norm: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.epsilon < 1:
            raise SpecError(f"epsilon {self.epsilon:g} of the norms is out of range; use a number such as 1e-5")


@dataclass(frozen=True, slots=True)
class Conv:
    """One convolution with its norm and activation; `groups == in_channels` makes it depthwise.

    `kernel_size` in pixels is one number, or (height, width) if they differ.
    """

    name: str
    in_channels: int
    out_channels: int
    kernel_size: int | tuple[int, int] = 3
    stride: int = 1
    groups: int = 1
    padding: Padding = "symmetric"
    bias: bool = False
    batch_norm: bool = True
    epsilon: float = 1e-5
    activation: Activation = "relu"
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pool:
    """Maximum or average over a window of `kernel_size` pixels; `ceil` keeps a last partial window."""

    name: str
    kind: Literal["max", "average"]
    kernel_size: int
    stride: int
    padding: Padding = "valid"
    ceil: bool = False
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GlobalPool:
    """Average over the whole plane: (H, W, C) -> (C,)."""

    name: str
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Concat:
    """Concatenation of several rows along the channels."""

    name: str
    inputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Linear:
    """Fully connected; a plane is flattened first, so `in_features` is height × width × channels."""

    name: str
    in_features: int
    out_features: int
    bias: bool = True
    activation: Activation = "none"
    inputs: tuple[str, ...] = ()


Row = Conv | Pool | GlobalPool | Concat | Linear


@dataclass(frozen=True, slots=True)
class Network:
    """A whole network: its rows in the order of computation, for RGB images of `resolution` × `resolution` pixels.

    `classes=0` is a backbone: its output is the vector that a classifier would read. SpecError if `resolution` or
    `classes` is out of range, or `rows` is empty.
    """

    name: str
    resolution: int
    classes: int
    rows: tuple[Row, ...]
    width_multiplier: float = 1.0

    def __post_init__(self) -> None:
        if not self.rows:
            raise SpecError(f"network {self.name} has no rows; give it at least one")
        if not 1 <= self.resolution <= MAX_RESOLUTION:
            raise SpecError(f"resolution {brief(self.resolution)} is out of range; use 1 to {MAX_RESOLUTION} pixels")
        if not 0 <= self.classes <= _MAX_CLASSES:
            raise SpecError(f"classes {brief(self.classes)} is out of range; use 1 to {_MAX_CLASSES}, 0 for none")


def brief(number: int) -> str:
    """Short even for numbers of thousands of digits, which Python refuses to print."""
    return str(number) if abs(number) < 10**12 else "above a million million"
