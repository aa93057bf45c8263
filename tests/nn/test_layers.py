"""Layers against torch's own and against sums done by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from mobilenet.errors import SpecError
from mobilenet.nn.layers import BatchNorm, Convolution, ConvUnit
from mobilenet.spec import Conv


def _images(channels: int, side: int = 9, scale: float = 3.0, shift: float = 5.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(channels * 100 + side)
    x = torch.randn(4, channels, side, side + 1, generator=generator) * scale + shift
    return x.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("channels", [1, 7, 8, 12, 15, 16, 40])
def test_batch_norm_agrees_with_torch_in_double_precision(channels: int) -> None:
    x = _images(channels).requires_grad_()
    wide = x.detach().double().requires_grad_()
    ours, theirs = BatchNorm(channels, 1e-5), torch.nn.BatchNorm2d(channels).double()
    with torch.no_grad():
        ours.weight.copy_(torch.linspace(-1, 2, channels))
        ours.bias.copy_(torch.linspace(3, -1, channels))
        theirs.weight.copy_(ours.weight)
        theirs.bias.copy_(ours.bias)
    gradient = _images(channels, shift=0.3)
    (got := ours(x)).backward(gradient)
    (want := theirs(wide)).backward(gradient.double())
    # float32 sums of a few hundred numbers of size 10.
    torch.testing.assert_close(got.double(), want, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(x.grad.double(), wide.grad, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours.weight.grad.double(), theirs.weight.grad, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(ours.bias.grad.double(), theirs.bias.grad, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(ours.running_mean.double(), theirs.running_mean, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(ours.running_var.double(), theirs.running_var, atol=1e-6, rtol=1e-6)


def test_batch_norm_of_few_channels_works_in_bfloat16() -> None:
    x = _images(8, scale=1.0, shift=0.0)
    want = BatchNorm(8, 1e-5)(x)
    got = BatchNorm(8, 1e-5)(x.bfloat16())
    assert got.dtype == torch.bfloat16
    assert got.is_contiguous(memory_format=torch.channels_last)
    # bfloat16 keeps 8 bits of input and of output.
    torch.testing.assert_close(got.float(), want, atol=0.03, rtol=0.01)


def test_batch_norm_in_evaluation_uses_its_statistics() -> None:
    norm = BatchNorm(2, epsilon=0.25).eval()
    norm.running_mean.copy_(torch.tensor([1.0, -1.0]))
    norm.running_var.copy_(torch.tensor([3.75, 0.0]))
    x = torch.tensor([3.0, 0.0]).view(1, 2, 1, 1)
    assert norm(x).flatten().tolist() == [1.0, 2.0]


@pytest.mark.parametrize("side", [8, 9])
def test_strided_depthwise_in_bfloat16_has_the_gradients_of_float32(side: int) -> None:
    row = Conv("dw", 16, 16, stride=2, groups=16)
    conv = Convolution(row)
    x = _images(16, side, 1.0, 0.0)
    narrow = x.bfloat16().requires_grad_()
    wide = x.bfloat16().float().requires_grad_()
    output = conv(narrow)
    gradient = torch.ones_like(output)
    output.backward(gradient)
    got = conv.weight.grad.clone()
    weight = conv.weight.detach().bfloat16().float().requires_grad_()
    F.conv2d(wide, weight, stride=2, padding=1, groups=16).backward(gradient.float())
    # bfloat16 rounds to 8 bits; the weights' gradient adds up a hundred such numbers.
    torch.testing.assert_close(narrow.grad.float(), wide.grad, atol=0.02, rtol=0.02)
    torch.testing.assert_close(got, weight.grad, atol=0.5, rtol=0.02)


@given(
    st.sampled_from([(1, 1), (3, 1), (3, 2), (5, 2), (5, 1)]),
    st.integers(5, 18),
    st.integers(5, 18),
    st.sampled_from([1, 3]),
)
def test_tensorflow_padding_is_the_formula_of_same(
    shape: tuple[int, int], height: int, width: int, groups: int
) -> None:
    kernel, stride = shape
    conv = Convolution(Conv("c", 3, 3, kernel_size=kernel, stride=stride, groups=groups, padding="tensorflow"))
    x = torch.rand(2, 3, height, width)
    # TensorFlow's documentation: just enough zeros that every output pixel exists, the odd one after, not before
    totals = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in (width, height)]
    padded = F.pad(x, [pad for total in totals for pad in (total // 2, total - total // 2)])
    want = F.conv2d(padded, conv.weight, stride=stride, groups=groups)
    got = conv(x.flip((2, 3))).flip((2, 3)) if conv.turned else conv(x)
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize(("kernel", "stride"), [(2, 1), (3, 3)])
def test_tensorflow_padding_elsewhere_is_refused(kernel: int, stride: int) -> None:
    with pytest.raises(SpecError, match="odd kernels and strides of 1 or 2 only"):
        Convolution(Conv("c", 3, 3, kernel_size=kernel, stride=stride, padding="tensorflow"))


def test_a_row_without_norm_has_a_bias_and_no_norm() -> None:
    unit = ConvUnit(Conv("c", 3, 4, bias=True, batch_norm=False, activation="none"))
    assert [name for name, _ in unit.named_parameters()] == ["conv.weight", "conv.bias"]
    assert unit(torch.zeros(1, 3, 5, 5)).shape == (1, 4, 5, 5)


def test_relu6_stops_at_six() -> None:
    unit = ConvUnit(Conv("c", 1, 1, kernel_size=1, batch_norm=False, activation="relu6"))
    with torch.no_grad():
        unit.conv.weight.fill_(1.0)
    assert unit(torch.tensor([-1.0, 2.0, 9.0]).view(1, 1, 1, 3)).flatten().tolist() == [0.0, 2.0, 6.0]
