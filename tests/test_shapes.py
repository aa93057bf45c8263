"""Shapes of rows, by hand and against torch."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobilenet.errors import SpecError
from mobilenet.spec import Concat, Conv, GlobalPool, Linear, Padding, Pool, Row
from mobilenet.spec.shapes import kernel_sides, output_shapes, sources


def _shape(row: Row, resolution: int) -> tuple[int, int, int]:
    return output_shapes((row,), resolution)[row.name]


@pytest.mark.parametrize(
    ("padding", "kernel_size", "stride", "side", "expected"),
    [
        ("valid", 11, 4, 227, 55),
        ("valid", 3, 2, 8, 3),
        ("symmetric", 3, 2, 224, 112),
        ("symmetric", 3, 2, 7, 4),
        ("symmetric", 7, 2, 224, 112),
        ("symmetric", 2, 2, 7, 3),
        ("tensorflow", 3, 2, 7, 4),
        ("tensorflow", 3, 2, 224, 112),
        ("tensorflow", 5, 3, 10, 4),
    ],
)
def test_convolutions_by_hand(padding: Padding, kernel_size: int, stride: int, side: int, expected: int) -> None:
    assert _shape(Conv("c", 3, 8, kernel_size, stride, padding=padding), side) == (expected, expected, 8)


def test_kernels_that_are_not_square() -> None:
    row = Conv("c", 3, 4, (1, 7), padding="valid")
    assert kernel_sides(row) == (1, 7)
    assert _shape(row, 17) == (17, 11, 4)
    assert _shape(Conv("c", 3, 4, (7, 1)), 17) == (17, 17, 4)


@pytest.mark.parametrize(
    ("kernel_size", "stride", "side", "floored", "ceiled"), [(3, 2, 112, 55, 56), (3, 2, 111, 55, 55), (2, 3, 6, 2, 2)]
)
def test_ceiling_keeps_a_partial_window_but_none_outside(
    kernel_size: int, stride: int, side: int, floored: int, ceiled: int
) -> None:
    assert _shape(Pool("p", "max", kernel_size, stride), side) == (floored, floored, 3)
    assert _shape(Pool("p", "max", kernel_size, stride, ceil=True), side) == (ceiled, ceiled, 3)


@settings(deadline=None)
@given(
    side=st.integers(1, 40),
    kernel_size=st.integers(1, 9),
    stride=st.integers(1, 9),
    padding=st.sampled_from(["valid", "symmetric"]),
    ceil=st.booleans(),
)
def test_windows_slide_as_in_torch(*, side: int, kernel_size: int, stride: int, padding: Padding, ceil: bool) -> None:
    torch = pytest.importorskip("torch")
    pad = (kernel_size - 1) // 2 if padding == "symmetric" else 0
    image = torch.empty((1, 3, side, side), device="meta")
    kernel = torch.empty((3, 3, kernel_size, kernel_size), device="meta")
    with contextlib.suppress(RuntimeError):
        pooled = torch.nn.functional.max_pool2d(image, kernel_size, stride, pad, ceil_mode=ceil)
        assert _shape(Pool("p", "max", kernel_size, stride, padding, ceil), side)[:2] == pooled.shape[2:]
    with contextlib.suppress(RuntimeError):
        convolved = torch.nn.functional.conv2d(image, kernel, stride=stride, padding=pad)
        assert _shape(Conv("c", 3, 3, kernel_size, stride, padding=padding), side)[:2] == convolved.shape[2:]


@pytest.mark.parametrize("ceil", [False, True])
def test_a_window_larger_than_the_photo_leaves_nothing(*, ceil: bool) -> None:
    assert _shape(Pool("p", "max", 3, 2, ceil=True), 2) == (1, 1, 3)
    with pytest.raises(SpecError, match="resolution 1 is too small: the output of p is empty"):
        _shape(Pool("p", "max", 3, 2, ceil=ceil), 1)


def test_branches_read_what_they_name_and_join_their_channels() -> None:
    rows = (
        Conv("stem", 3, 8),
        Conv("left", 8, 4, 1),
        Pool("right", "average", 3, 1, "symmetric", inputs=("stem",)),
        Concat("joined", ("left", "right")),
        GlobalPool("pool"),
        Linear("classifier", 12, 5),
    )
    assert sources(rows) == (("input",), ("stem",), ("stem",), ("left", "right"), ("joined",), ("pool",))
    shapes = output_shapes(rows, 10)
    assert shapes["joined"] == (10, 10, 12)
    assert shapes["classifier"] == (1, 1, 5)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((Conv("a", 3, 8), Conv("a", 8, 8)), "two rows are named a"),
        ((Conv("a", 3, 8, inputs=("b",)),), "row a reads b, which no row before it computes"),
        ((Conv("a", 4, 8),), "row a expects 4 channels but gets 3"),
        ((Conv("a", 3, 8, groups=2),), "row a cannot split 3 to 8 channels into 2 groups"),
        ((Linear("a", 100, 8),), "row a expects 100 inputs but gets 192"),
        ((Conv("a", 3, 8, 9, padding="valid"),), "resolution 8 is too small: the output of a is empty"),
        (
            (Conv("a", 3, 8), Pool("b", "max", 2, 2), Concat("c", ("a", "b"))),
            "row c concatenates planes of different sizes",
        ),
        ((Conv("a", 3, 8), Conv("b", 8, 8, inputs=("a", "input"))), "row b reads 2 rows; only a Concat reads several"),
    ],
)
def test_rows_that_do_not_fit_are_named(rows: tuple[Row, ...], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        output_shapes(rows, 8)
    assert str(caught.value).startswith(message)
