"""A network is a table of rows; everything else (cost, torch modules, export) reads the table.

`mobilenet_v1` is Table 1 of Howard et al. 2017 (arXiv 1704.04861) for every width and resolution;
`mobilenet_v1_standard` (Table 4) and `mobilenet_v1_shallow` (Table 5) are its variants, `mobilenet_v1_head` is timm's.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from mobilenet.errors import SpecError

__all__ = [
    "INPUT",
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
    "mobilenet_v1",
    "mobilenet_v1_head",
    "mobilenet_v1_shallow",
    "mobilenet_v1_standard",
]

Padding = Literal["symmetric", "tensorflow", "valid"]
"""`symmetric` pads (k - 1) // 2 on both sides; `tensorflow` is its SAME (stride 2 pads less before than after)."""

Activation = Literal["none", "relu", "relu6"]

INPUT = "input"
"""Name of the image tensor; a row whose `inputs` is empty reads the row before it, the first row reads the image."""

_STEM = 32
_BODY = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *5 * ((512, 1),), (1024, 2), (1024, 1))
"""Output channels of the stem, and output channels and stride of the 13 blocks, at width 1 (Table 1; the last stride
printed as 2 is a misprint)."""

_MIN_CHANNELS = 8
"""As the authors' TensorFlow code: no layer is thinned below 8 channels."""

_MAX_WIDTH, _MAX_RESOLUTION, _MAX_CLASSES = 16, 8192, 10_000_000
"""Beyond any use; a slip of the keyboard ends here and not in an exhausted memory."""


@dataclass(frozen=True, slots=True)
class ConvStyle:
    """What all convolutions of one network have in common.

    `batch_norm=False` describes a network whose norms are folded into filters and biases; `epsilon` is the norm's.
    """

    padding: Padding = "symmetric"
    activation: Activation = "relu"
    epsilon: float = 1e-5
    batch_norm: bool = True


@dataclass(frozen=True, slots=True)
class Conv:
    """One convolution with what follows it; `groups == in_channels` makes it depthwise.

    `kernel_size` is (height, width) in pixels where they differ, else one number.
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
    """Channels of several rows behind each other."""

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

    `classes=0` is a backbone: its output is the vector that a classifier would read. SpecError where `resolution` or
    `classes` are out of range, or no rows are given.
    """

    name: str
    resolution: int
    classes: int
    rows: tuple[Row, ...]
    width_multiplier: float = 1.0

    def __post_init__(self) -> None:
        if not self.rows:
            raise SpecError(f"network {self.name} has no rows; give it at least one")
        if not 1 <= self.resolution <= _MAX_RESOLUTION:
            raise SpecError(f"resolution {_brief(self.resolution)} is out of range; use 1 to {_MAX_RESOLUTION} pixels")
        if not 0 <= self.classes <= _MAX_CLASSES:
            raise SpecError(f"classes {_brief(self.classes)} is out of range; use 1 to {_MAX_CLASSES}, 0 for none")


_PLAIN = ConvStyle()


def mobilenet_v1(
    width_multiplier: float = 1.0, resolution: int = 224, classes: int = 1000, style: ConvStyle = _PLAIN
) -> Network:
    """MobileNet V1: stem, 13 depthwise separable blocks, global average pool, linear (Table 1).

    Any `width_multiplier` above 0 (to 16), any `resolution` that is a multiple of 32 pixels (to 8192); else SpecError.
    """
    _check(width_multiplier, resolution)
    convs = _separable_body(_BODY, width_multiplier, style)
    return _network("mobilenet_v1", width_multiplier, resolution, classes, convs)


def mobilenet_v1_shallow(
    width_multiplier: float = 1.0, resolution: int = 224, classes: int = 1000, style: ConvStyle = _PLAIN
) -> Network:
    """MobileNet V1 without the five 512-channel blocks at 14 × 14 (Table 5)."""
    _check(width_multiplier, resolution)
    convs = _separable_body(_BODY[:6] + _BODY[11:], width_multiplier, style)
    return _network("mobilenet_v1_shallow", width_multiplier, resolution, classes, convs)


def mobilenet_v1_standard(
    width_multiplier: float = 1.0, resolution: int = 224, classes: int = 1000, style: ConvStyle = _PLAIN
) -> Network:
    """The same body with one standard 3 × 3 convolution in place of each separable pair (Table 4)."""
    _check(width_multiplier, resolution)
    convs = _standard_body(_BODY, width_multiplier, style)
    return _network("mobilenet_v1_standard", width_multiplier, resolution, classes, convs)


def mobilenet_v1_head(
    width_multiplier: float = 1.0, resolution: int = 224, classes: int = 1000, style: ConvStyle = _PLAIN
) -> Network:
    """With one more pointwise convolution, to at least 1024 channels, before the pool: `mobilenetv1_100h` of timm."""
    _check(width_multiplier, resolution)
    convs = [*_separable_body(_BODY, width_multiplier, style)]
    channels = convs[-1].out_channels
    head = _conv("head", channels, max(channels, _BODY[-1][0]), style, kernel_size=1)
    return _network("mobilenet_v1_head", width_multiplier, resolution, classes, [*convs, head])


def _network(name: str, width_multiplier: float, resolution: int, classes: int, convs: Iterable[Conv]) -> Network:
    body = [*convs]
    head = [Linear("classifier", body[-1].out_channels, classes)] if classes else []
    return Network(name, resolution, classes, (*body, GlobalPool("pool"), *head), width_multiplier)


def _thin(channels: int, width_multiplier: float) -> int:
    return max(int(channels * width_multiplier), _MIN_CHANNELS)


def _separable_body(body: tuple[tuple[int, int], ...], width_multiplier: float, style: ConvStyle) -> Iterator[Conv]:
    channels = _thin(_STEM, width_multiplier)
    yield _conv("stem", 3, channels, style, stride=2)
    for number, (base, stride) in enumerate(body, 1):
        out_channels = _thin(base, width_multiplier)
        yield _conv(f"block{number}.depthwise", channels, channels, style, stride=stride, groups=channels)
        yield _conv(f"block{number}.pointwise", channels, out_channels, style, kernel_size=1)
        channels = out_channels


def _standard_body(body: tuple[tuple[int, int], ...], width_multiplier: float, style: ConvStyle) -> Iterator[Conv]:
    channels = _thin(_STEM, width_multiplier)
    yield _conv("stem", 3, channels, style, stride=2)
    for number, (base, stride) in enumerate(body, 1):
        out_channels = _thin(base, width_multiplier)
        yield _conv(f"block{number}.standard", channels, out_channels, style, stride=stride)
        channels = out_channels


def _conv(
    name: str,
    in_channels: int,
    out_channels: int,
    style: ConvStyle,
    *,
    kernel_size: int = 3,
    stride: int = 1,
    groups: int = 1,
) -> Conv:
    return Conv(
        name,
        in_channels,
        out_channels,
        kernel_size,
        stride,
        groups,
        padding=style.padding,
        bias=not style.batch_norm,
        batch_norm=style.batch_norm,
        epsilon=style.epsilon,
        activation=style.activation,
    )


def _check(width_multiplier: float, resolution: int) -> None:
    if not 0 < width_multiplier <= _MAX_WIDTH:
        raise SpecError(
            f"width multiplier {width_multiplier:g} is out of range; "
            f"use a number above 0, such as 0.5 (at most {_MAX_WIDTH})"
        )
    if resolution < 32 or resolution > _MAX_RESOLUTION or resolution % 32:
        lower = min(max(resolution // 32 * 32, 32), _MAX_RESOLUTION - 32)
        fault = "is not a multiple of 32" if resolution % 32 else "is out of range"
        raise SpecError(f"resolution {_brief(resolution)} {fault}; use {lower} or {lower + 32}")


def _brief(number: int) -> str:
    """Python refuses to print thousands of digits, and nobody reads them."""
    return str(number) if abs(number) < 10**12 else "beyond a million million"
