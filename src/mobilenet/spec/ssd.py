"""Single-shot detection on MobileNet V1 as rows of the table (Liu et al. 2016, arXiv 1512.02325; Howard et al. 2017,
Table 13).

Boxes are predicted at every position of several planes, each half as large as the one before: those of blocks 11 and
13, and those of convolutions added after them; for small boxes also on that of block 5, twice as large. At each
position there are as many predictions as the plane has prior boxes; a prediction is four numbers for its box and one
for each class.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mobilenet.errors import SpecError
from mobilenet.spec.mobilenet import mobilenet_v1, styled_conv, thin_channels
from mobilenet.spec.rows import Conv, ConvStyle, Network, Row, brief
from mobilenet.spec.shapes import output_shapes

__all__ = ["PRIORS", "Plane", "detection_rows", "mobilenet_v1_ssd", "mobilenet_v1_ssdlite", "planes"]

PRIORS = (3, 6, 6, 6, 6, 6)
"""Prior boxes at each position of the planes, as in the authors' networks."""

_READ = ("block11.pointwise", "block13.pointwise")
_FINE = "block5.pointwise"
_ADDED = ((256, 512), (128, 256), (128, 256), (64, 128))
"""Channels of each added pair at width 1: of its 1 × 1 convolution, and of its 3 × 3 convolution with a stride of 2."""


class Plane(NamedTuple):
    """A plane on which boxes are predicted: the row that computes it, its sides in pixels, and its channels."""

    row: str
    height: int
    width: int
    channels: int


def planes(body: Network, *, fine: bool = False) -> tuple[Plane, ...]:
    """The planes of the detector on a body, from fine to coarse; those of added rows end with the first of one pixel.

    `fine`: with that of block 5. SpecError for a body without the blocks that are read.
    """
    found = _planes(body, fine=fine)
    shapes = output_shapes((*body.rows, *_added_rows(body, ConvStyle(), separable=False)), body.resolution)
    return tuple(Plane(row, *shapes[row]) for row in found)


def detection_rows(
    body: Network,
    classes: int,
    style: ConvStyle,
    *,
    separable: bool,
    priors: Sequence[int] = PRIORS,
    fine: bool = False,
) -> tuple[Row, ...]:
    """The rows after `body`: added convolutions, then for plane k = 1, 2, … `boxes{k}` of 4 and `scores{k}` of
    `classes` channels for each of its `priors`; with a `fine` plane, k begins at 0.

    `separable`: SSDLite (Sandler et al. 2018, arXiv 1801.04381, section 6.2), with a depthwise convolution in front of
    each prediction; otherwise the network of the MobileNet paper's authors, which predicts with 1 × 1 convolutions.
    SpecError for a body without the blocks that are read.
    """
    rows: list[Row] = [*_added_rows(body, style, separable=separable)]
    for number, (plane, count) in enumerate(zip(planes(body, fine=fine), priors, strict=False), 0 if fine else 1):
        for name, values in (("boxes", 4), ("scores", classes)):
            rows += _prediction(f"{name}{number}", plane, count * values, style, separable=separable)
    return tuple(rows)


def mobilenet_v1_ssd(width_multiplier: float = 1.0, resolution: int = 300, classes: int = 91) -> Network:
    """SSD on MobileNet V1 as in Table 13, whose 91 classes are COCO's 90 and the background.

    SpecError for a width, a resolution or a number of classes out of range.
    """
    return _detector("mobilenet_v1_ssd", width_multiplier, resolution, classes, separable=False)


def mobilenet_v1_ssdlite(width_multiplier: float = 1.0, resolution: int = 300, classes: int = 90) -> Network:
    """SSDLite on MobileNet V1: separable convolutions in the head; no class for the background.

    SpecError for a width, a resolution or a number of classes out of range.
    """
    return _detector("mobilenet_v1_ssdlite", width_multiplier, resolution, classes, separable=True)


def _detector(name: str, width_multiplier: float, resolution: int, classes: int, *, separable: bool) -> Network:
    if classes < 1:
        raise SpecError(f"classes {brief(classes)} is out of range; a detector needs at least 1")
    style = ConvStyle(padding="tensorflow", activation="relu6", epsilon=1e-3)
    body = mobilenet_v1(width_multiplier, resolution, 0, style)
    # A detector has no use for the average over the last plane.
    rows = (*body.rows[:-1], *detection_rows(body, classes, style, separable=separable))
    return Network(name, resolution, classes, rows, width_multiplier)


def _planes(body: Network, *, fine: bool = False) -> tuple[str, ...]:
    shapes = output_shapes(body.rows, body.resolution)
    read = (_FINE, *_READ) if fine else _READ
    if missing := [row for row in read if row not in shapes]:
        raise SpecError(f"{body.name} has no row {missing[0]}, on which boxes are predicted; use mobilenet_v1")
    side, added = shapes[_READ[-1]][0], []
    for number in range(1, len(_ADDED) + 1):
        if side == 1:
            break
        side = -(-side // 2)
        added.append(f"added{number}.expansion")
    return (*read, *added)


def _added_rows(body: Network, style: ConvStyle, *, separable: bool) -> Iterator[Conv]:
    """Each pair of convolutions; the last row of a pair has the same name with either kind of convolution."""
    count = len(_planes(body)) - len(_READ)
    channels = output_shapes(body.rows, body.resolution)[_READ[-1]][2]
    read = _READ[-1]
    for number, (narrow, wide) in enumerate(_ADDED[:count], 1):
        inner, outer = (thin_channels(base, body.width_multiplier) for base in (narrow, wide))
        name = f"added{number}"
        yield styled_conv(f"{name}.reduction", channels, inner, style, kernel_size=1, inputs=(read,))
        if separable:
            yield styled_conv(f"{name}.depthwise", inner, inner, style, stride=2, groups=inner)
            yield styled_conv(f"{name}.expansion", inner, outer, style, kernel_size=1)
        else:
            yield styled_conv(f"{name}.expansion", inner, outer, style, stride=2)
        channels, read = outer, f"{name}.expansion"


def _prediction(name: str, plane: Plane, out: int, style: ConvStyle, *, separable: bool) -> Iterator[Conv]:
    channels = plane.channels
    read: tuple[str, ...] = (plane.row,)
    if separable:
        yield styled_conv(f"{name}.depthwise", channels, channels, style, groups=channels, inputs=read)
        read = ()
    yield Conv(
        f"{name}.prediction", channels, out, 1, padding=style.padding, bias=True, batch_norm=False,
        activation="none", inputs=read,
    )  # fmt: skip
