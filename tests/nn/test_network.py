"""The torch network against its table, and against the same network written out by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from mobilenet.errors import SpecError
from mobilenet.nn.network import TableNetwork
from mobilenet.spec import Conv, ConvStyle, GlobalPool, Network, mobilenet_v1
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


def test_a_backbone_gives_the_features() -> None:
    network = TableNetwork(mobilenet_v1(0.25, 32, 0))
    assert network.features(torch.zeros(3, 3, 32, 32)).shape == (3, 256)
    assert network(torch.zeros(3, 3, 32, 32)) == {}


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
