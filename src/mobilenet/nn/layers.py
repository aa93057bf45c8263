"""One torch module for each kind of row; every module computes in the dtype of its input batch.

Parameters stay float32. A bfloat16 batch gives bfloat16 activations (mixed precision without autocast); batch norm sums
in float32 either way. Two operators replace torch's where those are slow on CPUs; both compute the same values.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mobilenet.errors import SpecError
from mobilenet.spec.rows import Activation, Conv, GlobalPool, Linear

__all__ = ["BatchNorm", "Concatenation", "ConvUnit", "Convolution", "GlobalAverage", "LinearUnit", "in_reading_order"]

_ROW_FLOATS = 64
"""A row of at least this many values fills the vector registers; narrower layers are read with several pixels per
row."""

_NARROW_CHANNELS = 15
"""Up to here `_NarrowBatchNorm` is faster than torch's batch norm (benchmarks/layers.py)."""


class Convolution(nn.Module):
    """(N, in, H, W) -> (N, out, H', W'): the convolution of a `Conv` row, with its padding but no norm.

    A row with TensorFlow's padding is `turned`: its input and output planes are rotated by 180°. SAME pads an even side
    with one pixel fewer before than after, while symmetric padding with a stride of 2 leaves the last padded pixel
    unread, which is one fewer after than before. So they are the same seen from opposite corners: rotated planes,
    rotated filters and symmetric padding give SAME without copying any plane. SpecError for other kernels or strides.
    """

    def __init__(self, row: Conv) -> None:
        super().__init__()
        height, width = row.kernel_size if isinstance(row.kernel_size, tuple) else (row.kernel_size, row.kernel_size)
        self.weight = nn.Parameter(torch.empty(row.out_channels, row.in_channels // row.groups, height, width))
        self.bias = nn.Parameter(torch.zeros(row.out_channels)) if row.bias else None
        self.stride, self.groups = row.stride, row.groups
        self.kernel_size = (height, width)
        self.padding = (0, 0) if row.padding == "valid" else ((height - 1) // 2, (width - 1) // 2)
        self.turned = row.padding == "tensorflow" and self.kernel_size != (1, 1)
        if self.turned and not (height % 2 and width % 2 and row.stride <= 2):
            raise SpecError(
                f"row {row.name}: TensorFlow's padding is computed for odd kernels and strides of 1 or 2 only"
            )
        nn.init.kaiming_normal_(self.weight, mode="fan_out" if row.groups == 1 else "fan_in", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.to(x.dtype)
        bias = None if self.bias is None else self.bias.to(x.dtype)
        if self.turned:
            weight = weight.flip((2, 3))
        if x.dtype == torch.bfloat16 and x.device.type == "cpu" and self.groups > 1 and self.stride > 1:
            return _StridedDepthwise.apply(x, weight, bias, self.stride, self.padding, self.groups)  # type: ignore[no-untyped-call]
        return F.conv2d(x, weight, bias, self.stride, self.padding, 1, self.groups)


class BatchNorm(nn.Module):
    """Batch normalisation of (N, C, H, W) over N, H and W; scale, shift and statistics in float32."""

    def __init__(self, channels: int, epsilon: float, momentum: float = 0.1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.running_mean: Tensor
        self.running_var: Tensor
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.epsilon, self.momentum = epsilon, momentum

    def forward(self, x: Tensor) -> Tensor:
        weight, bias, mean, var = self.weight, self.bias, self.running_mean, self.running_var
        if self.training and _suits_narrow(x):
            return _NarrowBatchNorm.apply(x, weight, bias, mean, var, self.momentum, self.epsilon)  # type: ignore[no-untyped-call]
        return F.batch_norm(x, mean, var, weight, bias, self.training, self.momentum, self.epsilon)


class ConvUnit(nn.Module):
    """A `Conv` row, (N, in, H, W) -> (N, out, H', W'): convolution, then the batch norm and activation of the row."""

    def __init__(self, row: Conv) -> None:
        super().__init__()
        self.conv = Convolution(row)
        self.norm = BatchNorm(row.out_channels, row.epsilon) if row.batch_norm else nn.Identity()
        self.activation = activation(row.activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.norm(self.conv(x)))


class GlobalAverage(nn.Module):
    """A `GlobalPool` row: (N, C, H, W) -> (N, C) float32."""

    def __init__(self, row: GlobalPool) -> None:
        super().__init__()
        self.row = row

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), dtype=torch.float32)


class Concatenation(nn.Module):
    """A `Concat` row: planes (N, C, H, W) of one size, or vectors (N, C), concatenated along C."""

    def forward(self, *planes: Tensor) -> Tensor:
        return torch.cat(planes, 1)


class LinearUnit(nn.Module):
    """A `Linear` row: (N, in) -> (N, out), in float32: it is small, and the loss needs the precision.

    A plane (N, C, H, W) is flattened in the order H, W, C; `turned` planes (`Convolution`) are rotated back first.
    """

    def __init__(self, row: Linear) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(row.out_features, row.in_features))
        self.bias = nn.Parameter(torch.zeros(row.out_features)) if row.bias else None
        self.activation = activation(row.activation)
        self.turned = False
        nn.init.normal_(self.weight, std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        numbers = in_reading_order(x, turned=self.turned).flatten(1)
        return self.activation(F.linear(numbers.float(), self.weight, self.bias))


def in_reading_order(x: Tensor, *, turned: bool) -> Tensor:
    """(N, C, H, W) -> (N, H, W, C), rotated back if the plane is `turned`; vectors unchanged."""
    if x.dim() < 4:
        return x
    return (x.flip((2, 3)) if turned else x).permute(0, 2, 3, 1)


def activation(kind: Activation) -> nn.Module:
    """The module for an activation of a row: none, relu or relu6, in place."""
    match kind:
        case "relu":
            return nn.ReLU(inplace=True)
        case "relu6":
            return nn.ReLU6(inplace=True)
        case "none":
            return nn.Identity()


def _suits_narrow(x: Tensor) -> bool:
    narrow = x.dim() == 4 and x.shape[1] <= _NARROW_CHANNELS
    return narrow and x.device.type == "cpu" and x.is_contiguous(memory_format=torch.channels_last)


class _StridedDepthwise(torch.autograd.Function):
    """A strided grouped convolution in bfloat16 whose gradient with respect to its input is computed in float32.

    oneDNN has no fast bfloat16 kernel for that gradient: it takes 12 times as long as float32.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: tuple[int, int], groups: int
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = ([stride, stride], list(padding), [1, 1], False, [0, 0], groups)
        ctx.bias_sizes = None if bias is None else [bias.numel()]
        return F.conv2d(x, weight, bias, stride, padding, 1, groups)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        (gradient,) = gradients
        backward = torch.ops.aten.convolution_backward
        wide = [tensor.float() for tensor in (gradient, x, weight)]
        grad_x = backward(*wide, None, *ctx.geometry, [True, False, False])[0].to(x.dtype)
        mask = [False, True, ctx.bias_sizes is not None]
        _, grad_weight, grad_bias = backward(gradient, x, weight, ctx.bias_sizes, *ctx.geometry, mask)
        return grad_x, grad_weight, grad_bias, None, None, None


class _NarrowBatchNorm(torch.autograd.Function):
    """Batch norm of few channels in training: several pixels are read as one row, which fills the vector registers.

    torch's own reaches a tenth of the memory bandwidth there. Variance is about the mean (two passes), in float32.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        running_mean: Tensor,
        running_var: Tensor,
        momentum: float,
        epsilon: float,
    ) -> Tensor:
        rows, repeat = _pixel_rows(x)
        count = x.numel() // x.shape[1]
        mean = _per_channel(rows.sum(0), repeat) / count
        centred = rows - mean.repeat(repeat)
        var = _per_channel(torch.linalg.vector_norm(centred, dim=0).square_(), repeat) / count
        inverse = torch.rsqrt(var + epsilon)
        running_mean.lerp_(mean, momentum)
        running_var.lerp_(var * (count / max(count - 1, 1)), momentum)
        ctx.save_for_backward(x, weight, mean, inverse)
        output = torch.empty_like(x)
        scaled = centred.mul_((weight * inverse).repeat(repeat))
        torch.add(scaled, bias.repeat(repeat), out=_pixel_view(output, repeat))
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, inverse = ctx.saved_tensors
        rows, repeat = _pixel_rows(x)
        grads, _ = _pixel_rows(gradients[0].contiguous(memory_format=torch.channels_last))
        count = x.numel() // x.shape[1]
        centred = rows - mean.repeat(repeat)
        grad_bias = _per_channel(grads.sum(0), repeat)
        grad_weight = _per_channel((grads * centred).sum(0), repeat) * inverse
        scale = weight * inverse
        slope = -scale * inverse * grad_weight / count
        centred.mul_(slope.repeat(repeat)).sub_((scale * grad_bias / count).repeat(repeat))
        grad_x = torch.empty_like(x)
        torch.addcmul(centred, grads, scale.repeat(repeat), out=_pixel_view(grad_x, repeat))
        return grad_x, grad_weight, grad_bias, None, None, None, None


def _pixel_rows(x: Tensor) -> tuple[Tensor, int]:
    """(N, C, H, W) in channels_last -> (N·H·W / k, k·C) float32, and k: k neighbouring pixels make a row."""
    channels = x.shape[1]
    repeat = math.gcd(x.numel() // channels, max(1, _ROW_FLOATS // channels))
    return _pixel_view(x, repeat).float(), repeat


def _pixel_view(x: Tensor, repeat: int) -> Tensor:
    return x.permute(0, 2, 3, 1).view(-1, repeat * x.shape[1])


def _per_channel(sums: Tensor, repeat: int) -> Tensor:
    return sums.view(repeat, -1).sum(0)
