"""The inputs and the output shape of each row of a network."""

from collections.abc import Sequence
from math import prod

from mobilenet.errors import SpecError
from mobilenet.spec.rows import INPUT, Concat, Conv, GlobalPool, Linear, Padding, Pool, Row

__all__ = ["Shape", "has_fixed_resolution", "kernel_sides", "output_shapes", "padded", "sources"]

Shape = tuple[int, int, int]
"""(height, width, channels) of one image's activations; (1, 1, n) after a global pool or a linear row."""


def sources(rows: Sequence[Row]) -> tuple[tuple[str, ...], ...]:
    """For each row the names of the tensors it reads; a row that names none reads the row before it."""
    before = (INPUT, *(row.name for row in rows[:-1]))
    return tuple(row.inputs or (previous,) for previous, row in zip(before, rows, strict=True))


def output_shapes(rows: Sequence[Row], resolution: int) -> dict[str, Shape]:
    """Name -> shape of the image and of every row's output, in order, for `resolution` × `resolution` RGB pixels.

    SpecError if the rows do not fit together or an output is empty.
    """
    shapes: dict[str, Shape] = {INPUT: (resolution, resolution, 3)}
    for row, names in zip(rows, sources(rows), strict=True):
        if row.name in shapes:
            raise SpecError(f"two rows are named {row.name}; give each its own name")
        if missing := [name for name in names if name not in shapes]:
            raise SpecError(f"row {row.name} reads {missing[0]}, which no row before it computes")
        shape = _output_shape(row, [shapes[name] for name in names])
        if min(shape) < 1:
            raise SpecError(
                f"resolution {resolution} is too small: the output of {row.name} is empty; use a larger one"
            )
        shapes[row.name] = shape
    return shapes


def has_fixed_resolution(rows: Sequence[Row], resolution: int) -> bool:
    """Whether a linear row reads a plane: such a network takes images of one resolution alone."""
    shapes = output_shapes(rows, resolution)
    linear = [names[0] for row, names in zip(rows, sources(rows), strict=True) if isinstance(row, Linear)]
    return any(shapes[name][:2] != (1, 1) for name in linear)


def kernel_sides(conv: Conv) -> tuple[int, int]:
    """(height, width) of the kernel in pixels."""
    size = conv.kernel_size
    return size if isinstance(size, tuple) else (size, size)


def padded(side: int, kernel: int, stride: int, padding: Padding) -> tuple[int, int]:
    """Padding in pixels before and after a side of `side` pixels, for a window of `kernel` pixels.

    TensorFlow's SAME pads what the last window lacks, with the odd pixel after: an even side with a stride of 2 gets
    no padding before and one pixel after.
    """
    if padding != "tensorflow":
        return _pad(kernel, padding), _pad(kernel, padding)
    total = max((_output_side(side, kernel, stride, padding) - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2


def _output_shape(row: Row, inputs: list[Shape]) -> Shape:
    if isinstance(row, Concat):
        return _concatenated(row, inputs)
    if len(inputs) != 1:
        raise SpecError(f"row {row.name} reads {len(inputs)} rows; only a Concat reads several")
    height, width, channels = inputs[0]
    match row:
        case Conv():
            _check_conv(row, channels)
            kernel_height, kernel_width = kernel_sides(row)
            out_height = _output_side(height, kernel_height, row.stride, row.padding)
            return out_height, _output_side(width, kernel_width, row.stride, row.padding), row.out_channels
        case Pool():
            sides = [_pooled_side(row, side) for side in (height, width)]
            return sides[0], sides[1], channels
        case GlobalPool():
            return 1, 1, channels
        case Linear():
            if row.in_features != prod(inputs[0]):
                raise SpecError(f"row {row.name} expects {row.in_features} inputs but gets {prod(inputs[0])}")
            return 1, 1, row.out_features


def _concatenated(row: Concat, inputs: list[Shape]) -> Shape:
    planes = {shape[:2] for shape in inputs}
    if len(planes) != 1:
        raise SpecError(f"row {row.name} concatenates planes of different sizes: {sorted(planes)}")
    height, width = planes.pop()
    return height, width, sum(shape[2] for shape in inputs)


def _check_conv(row: Conv, channels: int) -> None:
    if row.in_channels != channels:
        raise SpecError(f"row {row.name} expects {row.in_channels} channels but gets {channels}")
    if row.in_channels % row.groups or row.out_channels % row.groups:
        channel_counts = f"{row.in_channels} to {row.out_channels} channels"
        raise SpecError(f"row {row.name} cannot split {channel_counts} into {row.groups} groups")


def _output_side(side: int, kernel: int, stride: int, padding: Padding) -> int:
    if padding == "tensorflow":
        return -(-side // stride)
    return max((side + 2 * _pad(kernel, padding) - kernel) // stride + 1, 0)


def _pooled_side(row: Pool, side: int) -> int:
    whole = _output_side(side, row.kernel_size, row.stride, row.padding)
    if not row.ceil or row.padding == "tensorflow":
        return whole
    pad = _pad(row.kernel_size, row.padding)
    covered = max(-(-(side + 2 * pad - row.kernel_size) // row.stride) + 1, 0)
    # A window that starts beyond the image would pool only padding.
    return covered - 1 if (covered - 1) * row.stride >= side + pad else covered


def _pad(kernel: int, padding: Padding) -> int:
    return (kernel - 1) // 2 if padding == "symmetric" else 0
