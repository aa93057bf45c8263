"""MobileNet V1 as a table of rows.

`mobilenet_v1` is Table 1 of Howard et al. 2017 (arXiv 1704.04861) for every width and resolution;
`mobilenet_v1_standard` (Table 4) and `mobilenet_v1_shallow` (Table 5) are its variants, `mobilenet_v1_head` is timm's.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol

from mobilenet.errors import SpecError
from mobilenet.spec.rows import MAX_RESOLUTION, Conv, ConvStyle, GlobalPool, Linear, Network, brief

__all__ = [
    "CLASSIFIER",
    "MOBILENETS",
    "SSD_RESOLUTION",
    "mobilenet_v1",
    "mobilenet_v1_head",
    "mobilenet_v1_shallow",
    "mobilenet_v1_standard",
    "styled_conv",
    "thin_channels",
]

CLASSIFIER = "classifier"
"""Name of the last row of a network that has classes."""

_STEM = 32
_BODY = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *5 * ((512, 1),), (1024, 2), (1024, 1))
"""Output channels of the stem, and output channels and stride of the 13 blocks, at width 1 (Table 1, whose last stride
of 2 is a misprint)."""

_MIN_CHANNELS = 8
"""As in the authors' TensorFlow code: no layer is thinned below 8 channels."""

_MAX_WIDTH = 16

SSD_RESOLUTION = 300
"""Pixels; that of the paper's detectors (Table 13), whose planes have odd sides."""

_PLAIN = ConvStyle()


def mobilenet_v1(
    width_multiplier: float = 1.0, resolution: int = 224, classes: int = 1000, style: ConvStyle = _PLAIN
) -> Network:
    """MobileNet V1: stem, 13 depthwise separable blocks, global average pool, linear (Table 1).

    `width_multiplier` above 0, up to 16; `resolution` a multiple of 32 pixels, up to 8192, or 300; SpecError otherwise.
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
    """timm's `mobilenetv1_100h`: one more pointwise convolution, to at least 1024 channels, before the pool."""
    _check(width_multiplier, resolution)
    convs = [*_separable_body(_BODY, width_multiplier, style)]
    channels = convs[-1].out_channels
    head = styled_conv("head", channels, max(channels, _BODY[-1][0]), style, kernel_size=1)
    return _network("mobilenet_v1_head", width_multiplier, resolution, classes, [*convs, head])


class _Mobilenet(Protocol):
    def __call__(
        self, width_multiplier: float = ..., resolution: int = ..., classes: int = ..., style: ConvStyle = ...
    ) -> Network: ...


MOBILENETS: dict[str, _Mobilenet] = {
    "mobilenet_v1": mobilenet_v1,
    "mobilenet_v1_standard": mobilenet_v1_standard,
    "mobilenet_v1_shallow": mobilenet_v1_shallow,
    "mobilenet_v1_head": mobilenet_v1_head,
}
"""Any width and resolution; can be trained."""


def _network(name: str, width_multiplier: float, resolution: int, classes: int, convs: Iterable[Conv]) -> Network:
    body = [*convs]
    head = [Linear(CLASSIFIER, body[-1].out_channels, classes)] if classes else []
    return Network(name, resolution, classes, (*body, GlobalPool("pool"), *head), width_multiplier)


def thin_channels(channels: int, width_multiplier: float) -> int:
    """Channels of a layer at that width, at least 8."""
    return max(int(channels * width_multiplier), _MIN_CHANNELS)


def _separable_body(body: tuple[tuple[int, int], ...], width_multiplier: float, style: ConvStyle) -> Iterator[Conv]:
    channels = thin_channels(_STEM, width_multiplier)
    yield styled_conv("stem", 3, channels, style, stride=2)
    for number, (base, stride) in enumerate(body, 1):
        out_channels = thin_channels(base, width_multiplier)
        yield styled_conv(f"block{number}.depthwise", channels, channels, style, stride=stride, groups=channels)
        yield styled_conv(f"block{number}.pointwise", channels, out_channels, style, kernel_size=1)
        channels = out_channels


def _standard_body(body: tuple[tuple[int, int], ...], width_multiplier: float, style: ConvStyle) -> Iterator[Conv]:
    channels = thin_channels(_STEM, width_multiplier)
    yield styled_conv("stem", 3, channels, style, stride=2)
    for number, (base, stride) in enumerate(body, 1):
        out_channels = thin_channels(base, width_multiplier)
        yield styled_conv(f"block{number}.standard", channels, out_channels, style, stride=stride)
        channels = out_channels


def styled_conv(
    name: str,
    in_channels: int,
    out_channels: int,
    style: ConvStyle,
    *,
    kernel_size: int = 3,
    stride: int = 1,
    groups: int = 1,
    inputs: tuple[str, ...] = (),
) -> Conv:
    """A convolution with the norm and activation of a style."""
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
        inputs=inputs,
    )


def _check(width_multiplier: float, resolution: int) -> None:
    if not 0 < width_multiplier <= _MAX_WIDTH:
        raise SpecError(
            f"width multiplier {width_multiplier:g} is out of range; "
            f"use a number above 0, such as 0.5 (at most {_MAX_WIDTH})"
        )
    if resolution == SSD_RESOLUTION:
        return
    if resolution < 32 or resolution > MAX_RESOLUTION or resolution % 32:
        lower = min(max(resolution // 32 * 32, 32), MAX_RESOLUTION - 32)
        fault = "is not a multiple of 32" if resolution % 32 else "is out of range"
        raise SpecError(f"resolution {brief(resolution)} {fault}; use {lower} or {lower + 32}")
