"""The torch network against its table, and against the same network written out by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from mobilenet.errors import SpecError
from mobilenet.model.outputs import Output
from mobilenet.nn.network import TableNetwork
from mobilenet.spec import Concat, Conv, ConvStyle, GlobalPool, Linear, Network, Padding, Row, mobilenet_v1
from mobilenet.spec.architectures import build
from mobilenet.spec.cost import cost
from mobilenet.spec.mobilenet import MOBILENETS


@settings(max_examples=15)
@given(st.sampled_from(sorted(MOBILENETS)), st.floats(0.05, 0.4), st.integers(2, 30))
def test_parameters_are_what_the_table_costs(name: str, width: float, classes: int) -> None:
    spec = MOBILENETS[name](width, 64, classes)
    assert sum(parameter.numel() for parameter in TableNetwork(spec).parameters()) == cost(spec).params


def test_modules_are_named_like_their_rows() -> None:
    spec = mobilenet_v1(0.25, 64, 5)
    network = TableNetwork(spec)
    for row in spec.rows:
        assert isinstance(network.get_submodule(row.name), nn.Module)
    assert "block13.pointwise.conv.weight" in network.state_dict()


def test_agrees_with_the_paper_written_out() -> None:
    network = TableNetwork(mobilenet_v1(0.25, 64, 5)).eval()
    plain = _plain_mobilenet(0.25, 5).eval()
    source = [value for name, value in network.state_dict().items()]
    target = [(name, value) for name, value in plain.state_dict().items() if not name.endswith("num_batches_tracked")]
    plain.load_state_dict({name: value for (name, _), value in zip(target, source, strict=True)}, strict=False)
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    # The same operations in another order of memory.
    torch.testing.assert_close(network(x)["probabilities"], plain(x), atol=1e-5, rtol=1e-5)


def test_gives_one_row_of_float32_logits_a_photo_in_bfloat16_too() -> None:
    network = TableNetwork(mobilenet_v1(0.25, 32, 7))
    logits = network(torch.zeros(3, 3, 32, 32, dtype=torch.bfloat16))["probabilities"]
    assert logits.shape == (3, 7)
    assert logits.dtype == torch.float32


@pytest.mark.parametrize("resolution", [32, 64, 96])
@torch.no_grad()
def test_tensorflow_padding_agrees_with_explicit_zeros(resolution: int) -> None:
    """The whole network, whose convolutions look at planes from the opposite corner, against padding written out."""
    network = TableNetwork(mobilenet_v1(0.25, resolution, 5, ConvStyle(padding="tensorflow"))).eval()
    x = planes = torch.randn(2, 3, resolution, resolution, generator=torch.Generator().manual_seed(1))
    for row in network.spec.rows[:-2]:
        assert isinstance(row, Conv)
        unit = network.get_submodule(row.name)
        if row.kernel_size == 3:
            planes = F.pad(planes, (0, 1, 0, 1) if row.stride == 2 else (1, 1, 1, 1))
        planes = F.conv2d(planes, unit.conv.weight, stride=row.stride, groups=row.groups)
        planes = F.relu(unit.norm(planes))
    logits = network.classifier(planes.mean((2, 3)))
    torch.testing.assert_close(network(x)["probabilities"], logits, atol=1e-5, rtol=1e-4)


def test_rows_of_two_paddings_are_refused() -> None:
    rows = Conv("a", 3, 8, padding="tensorflow"), Conv("b", 8, 8), GlobalPool("pool")
    with pytest.raises(SpecError, match="two mixes TensorFlow's padding with another"):
        TableNetwork(Network("two", 32, 0, rows))


@pytest.mark.parametrize("name", ["features", "forward", "stem.conv"])
def test_a_row_that_would_hide_something_is_refused(name: str) -> None:
    rows = Conv("stem", 3, 8), GlobalPool("pool"), Linear(name, 8, 2)
    with pytest.raises(SpecError, match=f"row {name} has the name of an attribute of the network; give it another"):
        TableNetwork(Network("hidden", 32, 0, rows))


def test_a_backbone_gives_the_features() -> None:
    network = TableNetwork(mobilenet_v1(0.25, 32, 0))
    assert network.features(torch.zeros(3, 3, 32, 32)).shape == (3, 256)
    assert network(torch.zeros(3, 3, 32, 32)) == {}


def _looking(padding: Padding, *head: Row, outputs: tuple[Output, ...]) -> TableNetwork:
    """16 pixels high: a convolution of stride 2 to 8 x 8 of 6 channels, a depthwise one, the pool, and a head."""
    torch.manual_seed(0)
    rows = (
        Conv("stem", 3, 6, stride=2, padding=padding),
        Conv("deep", 6, 6, groups=6, padding=padding, activation="none"),
        GlobalPool("pool"),
    )
    return TableNetwork(Network("looking", 16, 0, (*rows, *head)), outputs).eval()


def _planes(network: TableNetwork, x: Tensor, padding: Padding) -> Tensor:
    """(N, 6, 8, 8): what the depthwise convolution gives, with every padded pixel written out."""
    for name, stride, groups in (("stem", 2, 1), ("deep", 1, 6)):
        before = 0 if padding == "tensorflow" and stride == 2 else 1
        unit = network.get_submodule(name)
        x = F.conv2d(F.pad(x, (before, 1, before, 1)), unit.conv.weight, stride=stride, groups=groups)
        x = unit.activation(unit.norm(x))
    return x


_PIXELS = ((0, 0, 0), (0, 7, 1), (7, 0, 2), (3, 5, 4), (7, 7, 5))
"""(row, column, channel): three corners, one within, and the last number of all."""


@pytest.mark.parametrize("padding", ["symmetric", "tensorflow"])
@torch.no_grad()
def test_a_row_that_reads_positions_reads_the_pixel_that_is_there(padding: Padding) -> None:
    network = _looking(
        padding,
        Linear("pick", 8 * 8 * 6, len(_PIXELS), inputs=("deep",)),
        outputs=(Output("picked", ("pick",), (len(_PIXELS),)), Output("plane", ("deep",), (8, 8, 6))),
    )
    pick = network.get_submodule("pick")
    pick.weight.zero_()
    pick.bias.copy_(torch.arange(len(_PIXELS)))
    for number, (row, column, channel) in enumerate(_PIXELS):
        pick.weight[number, (row * 8 + column) * 6 + channel] = 1
    x = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    planes = _planes(network, x, padding)
    wanted = torch.stack([planes[:, channel, row, column] for row, column, channel in _PIXELS], 1)
    assert len(set(wanted.flatten().tolist())) == 3 * len(_PIXELS)
    found = network(x)
    torch.testing.assert_close(found["picked"], wanted + torch.arange(len(_PIXELS)), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found["plane"], planes.permute(0, 2, 3, 1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("padding", ["symmetric", "tensorflow"])
@torch.no_grad()
def test_planes_and_vectors_are_joined_in_the_order_in_which_they_are_named(padding: Padding) -> None:
    network = _looking(
        padding,
        Conv("more", 6, 2, 1, padding=padding, inputs=("deep",)),
        Concat("planes", ("more", "deep")),
        Linear("few", 6, 2, inputs=("pool",)),
        Concat("vectors", ("few", "pool")),
        outputs=(Output("planes", ("planes",), (8, 8, 8)), Output("vectors", ("vectors",), (8,))),
    )
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    planes = _planes(network, x, padding)
    more = F.relu(network.get_submodule("more").norm(F.conv2d(planes, network.get_parameter("more.conv.weight"))))
    pool = planes.mean((2, 3))
    few = F.linear(pool, network.get_parameter("few.weight"), network.get_parameter("few.bias"))
    found = network(x)
    joined = torch.cat([more, planes], 1).permute(0, 2, 3, 1)
    torch.testing.assert_close(found["planes"], joined, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found["vectors"], torch.cat([few, pool], 1), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_each_output_has_its_name_its_shape_and_float32() -> None:
    """The last plane has two readers beside the pool; numbers are read row by row, pixel by pixel."""
    network = _looking(
        "symmetric",
        Conv("boxes", 6, 12, 1, bias=True, batch_norm=False, activation="none", inputs=("deep",)),
        Linear("sort", 6, 5, inputs=("pool",)),
        outputs=(Output("boxes", ("boxes",), (192, 4)), Output("sorts", ("sort",), (5,), "softmax")),
    )
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    found = network(x.bfloat16())
    assert [(name, value.shape, value.dtype) for name, value in found.items()] == [
        ("boxes", (2, 192, 4), torch.float32),
        ("sorts", (2, 5), torch.float32),
    ]
    found, planes = network(x), _planes(network, x, "symmetric")
    boxes = F.conv2d(planes, network.get_parameter("boxes.conv.weight"), network.get_parameter("boxes.conv.bias"))
    # 3 boxes a pixel: the third of the one in row 7, column 1, the 57th behind the first
    torch.testing.assert_close(found["boxes"][:, 3 * 57 + 2], boxes[:, 8:12, 7, 1], atol=1e-5, rtol=1e-5)
    logits = F.linear(planes.mean((2, 3)), network.get_parameter("sort.weight"), network.get_parameter("sort.bias"))
    # the ending comes later
    torch.testing.assert_close(found["sorts"], logits, atol=1e-5, rtol=1e-5)


def test_networks_that_are_only_compared_with_are_refused() -> None:
    with pytest.raises(SpecError, match="squeezenet_1_0 can be costed but not trained"):
        TableNetwork(build("squeezenet_1_0"))


def _plain_mobilenet(width: float, classes: int) -> nn.Module:
    def block(channels: int, out: int, stride: int) -> list[nn.Module]:
        return [
            nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, out, 1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(),
        ]

    outs = [64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]
    strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]
    channels = int(32 * width)
    layers: list[nn.Module] = [nn.Conv2d(3, channels, 3, 2, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
    for out, stride in zip(outs, strides, strict=True):
        layers += block(channels, int(out * width), stride)
        channels = int(out * width)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))
