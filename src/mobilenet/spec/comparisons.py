"""The networks that MobileNet is compared with, as tables of rows: they can be costed but not trained.

Each is the network of its own paper at that paper's resolution; docs/cost.md compares the published figures with ours.
Rows without weights that keep their input's shape (local response normalisation, dropout, softmax) are omitted, as are
the auxiliary classifiers of GoogLeNet and Inception V3, which are used only in training.
"""

from dataclasses import replace
from math import prod

from mobilenet.spec.rows import Concat, Conv, GlobalPool, Linear, Network, Padding, Pool, Row
from mobilenet.spec.shapes import output_shapes

__all__ = ["alexnet", "googlenet", "inception_v3", "squeezenet_1_0", "vgg16"]

_Branch = list[Conv | Pool]


def vgg16(resolution: int = 224, classes: int = 1000) -> Network:
    """Simonyan and Zisserman 2014, configuration D: 13 convolutions 3 × 3, 3 linear layers."""
    rows: list[Row] = []
    in_channels = 3
    for stage, (out_channels, depth) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), 1):
        for number in range(1, depth + 1):
            rows.append(_conv(f"conv{stage}_{number}", in_channels, out_channels, 3))
            in_channels = out_channels
        rows.append(Pool(f"pool{stage}", "max", 2, 2))
    rows += _two_hidden_layers(rows, resolution, classes)
    return Network("vgg16", resolution, classes, tuple(rows))


def alexnet(resolution: int = 227, classes: int = 1000) -> Network:
    """Krizhevsky et al. 2012, with its two groups in the second, fourth and fifth convolution.

    The paper says 224 pixels, but its 55 × 55 planes require 227.
    """
    rows: list[Row] = [
        _conv("conv1", 3, 96, 11, stride=4, padding="valid"),
        Pool("pool1", "max", 3, 2),
        _conv("conv2", 96, 256, 5, groups=2),
        Pool("pool2", "max", 3, 2),
        _conv("conv3", 256, 384, 3),
        _conv("conv4", 384, 384, 3, groups=2),
        _conv("conv5", 384, 256, 3, groups=2),
        Pool("pool5", "max", 3, 2),
    ]
    rows += _two_hidden_layers(rows, resolution, classes)
    return Network("alexnet", resolution, classes, tuple(rows))


def squeezenet_1_0(resolution: int = 227, classes: int = 1000) -> Network:
    """Iandola et al. 2016, version 1.0, as published: 227 pixels, pools that round up, a convolution as classifier."""
    rows: list[Row] = [_conv("conv1", 3, 96, 7, stride=2, padding="valid"), Pool("pool1", "max", 3, 2, ceil=True)]
    in_channels = 96
    for number, (squeeze, expand) in enumerate(
        ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)), 2
    ):
        rows += _fire(f"fire{number}", in_channels, squeeze, expand)
        in_channels = 2 * expand
        if number in {4, 8}:
            rows.append(Pool(f"pool{number}", "max", 3, 2, ceil=True))
    rows += [_conv("conv10", in_channels, classes, 1), GlobalPool("pool10")]
    return Network("squeezenet_1_0", resolution, classes, tuple(rows))


def googlenet(resolution: int = 224, classes: int = 1000) -> Network:
    """Szegedy et al. 2014, Table 1: biases and no batch norm; 5 × 5 branches as printed, pools that round up."""
    rows: list[Row] = [
        _conv("conv1", 3, 64, 7, stride=2),
        Pool("pool1", "max", 3, 2, ceil=True),
        _conv("conv2_reduce", 64, 64, 1),
        _conv("conv2", 64, 192, 3),
        Pool("pool2", "max", 3, 2, ceil=True),
    ]
    channels = 192
    for name, ones, threes, fives, pooled in _GOOGLENET_MODULES:
        if name in {"4a", "5a"}:
            rows.append(Pool(f"pool_before_{name}", "max", 3, 2, ceil=True))
        branches: tuple[_Branch, ...] = (
            [_conv("1x1", channels, ones, 1)],
            [_conv("3x3_reduce", channels, threes[0], 1), _conv("3x3", *threes, 3)],
            [_conv("5x5_reduce", channels, fives[0], 1), _conv("5x5", *fives, 5)],
            [Pool("pool", "max", 3, 1, "symmetric"), _conv("pool_project", channels, pooled, 1)],
        )
        rows += _module(f"inception_{name}", rows[-1].name, branches)
        channels = ones + threes[1] + fives[1] + pooled
    rows += [GlobalPool("pool"), Linear("classifier", channels, classes)]
    return Network("googlenet", resolution, classes, tuple(rows))


_GOOGLENET_MODULES = (
    ("3a", 64, (96, 128), (16, 32), 32),
    ("3b", 128, (128, 192), (32, 96), 64),
    ("4a", 192, (96, 208), (16, 48), 64),
    ("4b", 160, (112, 224), (24, 64), 64),
    ("4c", 128, (128, 256), (24, 64), 64),
    ("4d", 112, (144, 288), (32, 64), 64),
    ("4e", 256, (160, 320), (32, 128), 128),
    ("5a", 256, (160, 320), (32, 128), 128),
    ("5b", 384, (192, 384), (48, 128), 128),
)
"""Name; output channels of the 1 × 1 branch; (reduction, output) of the 3 × 3 and the 5 × 5 branch; pool branch."""


def inception_v3(resolution: int = 299, classes: int = 1000) -> Network:
    """Szegedy et al. 2015 as its authors released it: batch norm after every convolution, no auxiliary classifier."""
    rows: list[Row] = [
        _normed("conv1", 3, 32, 3, stride=2, padding="valid"),
        _normed("conv2", 32, 32, 3, padding="valid"),
        _normed("conv3", 32, 64, 3),
        Pool("pool1", "max", 3, 2),
        _normed("conv4", 64, 80, 1),
        _normed("conv5", 80, 192, 3, padding="valid"),
        Pool("pool2", "max", 3, 2),
    ]
    channels = 192
    for name, pooled in (("mixed1", 32), ("mixed2", 64), ("mixed3", 64)):
        rows += _module(name, rows[-1].name, _branches_35(channels, pooled))
        channels = 224 + pooled
    rows += _module("mixed4", rows[-1].name, _reduction_17(channels))
    for name, inner in (("mixed5", 128), ("mixed6", 160), ("mixed7", 160), ("mixed8", 192)):
        rows += _module(name, rows[-1].name, _branches_17(inner))
    rows += _module("mixed9", rows[-1].name, _reduction_8())
    for name, channels in (("mixed10", 1280), ("mixed11", 2048)):
        rows += _module(name, rows[-1].name, _branches_8(channels))
    rows += [GlobalPool("pool"), Linear("classifier", 2048, classes)]
    return Network("inception_v3", resolution, classes, tuple(rows))


def _branches_35(channels: int, pooled: int) -> tuple[_Branch, ...]:
    """Modules on 35 × 35 planes (the paper's Figure 5, but with an unfactorised 5 × 5, as released)."""
    return (
        [_normed("1x1", channels, 64, 1)],
        [_normed("5x5_reduce", channels, 48, 1), _normed("5x5", 48, 64, 5)],
        [_normed("double_reduce", channels, 64, 1), _normed("double_1", 64, 96, 3), _normed("double_2", 96, 96, 3)],
        [Pool("pool", "average", 3, 1, "symmetric"), _normed("pool_project", channels, pooled, 1)],
    )


def _reduction_17(channels: int) -> tuple[_Branch, ...]:
    """35 × 35 planes to 17 × 17 (Figure 10)."""
    return (
        [_normed("3x3", channels, 384, 3, stride=2, padding="valid")],
        [
            _normed("double_reduce", channels, 64, 1),
            _normed("double_1", 64, 96, 3),
            _normed("double_2", 96, 96, 3, stride=2, padding="valid"),
        ],
        [Pool("pool", "max", 3, 2)],
    )


def _branches_17(inner: int) -> tuple[_Branch, ...]:
    """Modules on 17 × 17 planes of 768 channels: 7 × 7 split into 1 × 7 and 7 × 1 (Figure 6)."""
    return (
        [_normed("1x1", 768, 192, 1)],
        [
            _normed("7x7_reduce", 768, inner, 1),
            _normed("7x7_1", inner, inner, (1, 7)),
            _normed("7x7_2", inner, 192, (7, 1)),
        ],
        [
            _normed("double_reduce", 768, inner, 1),
            _normed("double_1", inner, inner, (7, 1)),
            _normed("double_2", inner, inner, (1, 7)),
            _normed("double_3", inner, inner, (7, 1)),
            _normed("double_4", inner, 192, (1, 7)),
        ],
        [Pool("pool", "average", 3, 1, "symmetric"), _normed("pool_project", 768, 192, 1)],
    )


def _reduction_8() -> tuple[_Branch, ...]:
    """17 × 17 planes to 8 × 8."""
    return (
        [_normed("3x3_reduce", 768, 192, 1), _normed("3x3", 192, 320, 3, stride=2, padding="valid")],
        [
            _normed("7x7_reduce", 768, 192, 1),
            _normed("7x7_1", 192, 192, (1, 7)),
            _normed("7x7_2", 192, 192, (7, 1)),
            _normed("7x7_3", 192, 192, 3, stride=2, padding="valid"),
        ],
        [Pool("pool", "max", 3, 2)],
    )


def _branches_8(channels: int) -> tuple[_Branch, ...]:
    """Modules on 8 × 8 planes: two branches fork into 1 × 3 and 3 × 1 at their ends (Figure 7)."""
    return (
        [_normed("1x1", channels, 320, 1)],
        [_normed("3x3_reduce", channels, 384, 1), *_fork("3x3_reduce")],
        [_normed("double_reduce", channels, 448, 1), _normed("double", 448, 384, 3), *_fork("double")],
        [Pool("pool", "average", 3, 1, "symmetric"), _normed("pool_project", channels, 192, 1)],
    )


def _fork(stem: str) -> _Branch:
    return [
        _normed(f"{stem}_1x3", 384, 384, (1, 3), inputs=(stem,)),
        _normed(f"{stem}_3x1", 384, 384, (3, 1), inputs=(stem,)),
    ]


def _fire(name: str, in_channels: int, squeeze: int, expand: int) -> list[Row]:
    branches: tuple[_Branch, ...] = ([_conv("1x1", squeeze, expand, 1)], [_conv("3x3", squeeze, expand, 3)])
    squeezing = _conv(f"{name}.squeeze", in_channels, squeeze, 1)
    return [squeezing, *_module(name, squeezing.name, branches)]


def _module(name: str, source: str, branches: tuple[_Branch, ...]) -> list[Row]:
    """Branches that all read `source`, and the concatenation of their ends, which has the module's name.

    Within a branch a row reads the row before it, unless it names another row of the branch.
    """
    rows: list[Row] = []
    ends: list[str] = []
    for branch in branches:
        before = (source, *(f"{name}.{row.name}" for row in branch[:-1]))
        reads = [
            tuple(f"{name}.{read}" for read in row.inputs) or (last,) for row, last in zip(branch, before, strict=True)
        ]
        placed = [replace(row, name=f"{name}.{row.name}", inputs=read) for row, read in zip(branch, reads, strict=True)]
        rows += placed
        ends += [row.name for row in placed if (row.name,) not in reads]
    return [*rows, Concat(name, tuple(ends))]


def _two_hidden_layers(body: list[Row], resolution: int, classes: int) -> tuple[Row, ...]:
    """The classifier of AlexNet and VGG16; its first layer reads the flattened plane and grows with the resolution."""
    features = prod(output_shapes(body, resolution)[body[-1].name])
    return (
        Linear("linear1", features, 4096, activation="relu"),
        Linear("linear2", 4096, 4096, activation="relu"),
        Linear("classifier", 4096, classes),
    )


def _conv(
    name: str,
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    stride: int = 1,
    groups: int = 1,
    padding: Padding = "symmetric",
) -> Conv:
    """A convolution from before batch norm: with a bias."""
    return Conv(name, in_channels, out_channels, kernel_size, stride, groups, padding, bias=True, batch_norm=False)


def _normed(
    name: str,
    in_channels: int,
    out_channels: int,
    kernel_size: int | tuple[int, int],
    stride: int = 1,
    padding: Padding = "symmetric",
    inputs: tuple[str, ...] = (),
) -> Conv:
    return Conv(name, in_channels, out_channels, kernel_size, stride, padding=padding, epsilon=1e-3, inputs=inputs)
