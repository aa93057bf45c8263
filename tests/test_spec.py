"""The MobileNet tables: their rows, their limits, and what they say when they refuse."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenet.errors import SpecError
from mobilenet.spec import (
    Conv,
    ConvStyle,
    GlobalPool,
    Linear,
    Network,
    mobilenet_v1,
    mobilenet_v1_shallow,
    mobilenet_v1_standard,
)
from mobilenet.spec.shapes import output_shapes

_ALL = (mobilenet_v1, mobilenet_v1_shallow, mobilenet_v1_standard)


def test_mobilenet_v1_is_table_1() -> None:
    rows = mobilenet_v1().rows
    assert rows[0] == Conv("stem", 3, 32, stride=2)
    depthwise, pointwise = rows[1:27:2], rows[2:27:2]
    assert all(isinstance(row, Conv) and row.groups == row.in_channels == row.out_channels for row in depthwise)
    assert [row.stride for row in depthwise if isinstance(row, Conv)] == [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]
    channels = [64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]
    assert [row.out_channels for row in pointwise if isinstance(row, Conv)] == channels
    assert rows[27:] == (GlobalPool("pool"), Linear("classifier", 1024, 1000))


def test_the_last_block_keeps_its_7_by_7_pixels() -> None:
    shapes = output_shapes(mobilenet_v1().rows, 224)
    assert shapes["block12.pointwise"] == shapes["block13.pointwise"] == (7, 7, 1024)
    assert shapes["pool"] == (1, 1, 1024)


def test_the_variants_differ_where_the_paper_says() -> None:
    assert len(mobilenet_v1_shallow().rows) == len(mobilenet_v1().rows) - 10
    standard = [row for row in mobilenet_v1_standard().rows if isinstance(row, Conv)]
    assert len(standard) == 14
    assert all(row.groups == 1 and row.kernel_size == 3 for row in standard)


@given(st.floats(0, 16, exclude_min=True), st.integers(1, 256), st.integers(1, 10_000), st.sampled_from(_ALL))
def test_every_width_resolution_and_class_count_fits_together(
    width: float, r32: int, classes: int, build: object
) -> None:
    assert callable(build)
    network = build(width, 32 * r32, classes)
    shapes = output_shapes(network.rows, network.resolution)
    assert shapes["classifier"] == (1, 1, classes)
    assert all(row.out_channels >= 8 for row in network.rows if isinstance(row, Conv))


@pytest.mark.parametrize("build", _ALL)
@pytest.mark.parametrize("width", [0, -1, math.nan, math.inf, -math.inf, 1e9, 16.1])
def test_a_width_that_is_none_names_the_value_and_one_that_works(build: type, width: float) -> None:
    with pytest.raises(SpecError, match=r"^width multiplier \S+ is out of range; use a number above 0, such as 0\.5"):
        build(width)


@pytest.mark.parametrize(
    ("resolution", "message"),
    [
        (100, "resolution 100 is not a multiple of 32; use 96 or 128"),
        (31, "resolution 31 is not a multiple of 32; use 32 or 64"),
        (0, "resolution 0 is out of range; use 32 or 64"),
        (-32, "resolution -32 is out of range; use 32 or 64"),
        (8224, "resolution 8224 is out of range; use 8160 or 8192"),
        (10**15 + 1, "resolution above a million million is not a multiple of 32; use 8160 or 8192"),
    ],
)
def test_a_wrong_resolution_names_two_right_ones(resolution: int, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        mobilenet_v1(resolution=resolution)
    assert str(caught.value) == message


@pytest.mark.parametrize("epsilon", [0.0, -1e-5, 1.0, math.nan])
def test_an_epsilon_that_no_norm_can_use_is_refused(epsilon: float) -> None:
    with pytest.raises(SpecError, match=r"^epsilon \S+ of the norms is out of range; use a number such as 1e-5$"):
        ConvStyle(epsilon=epsilon)


@pytest.mark.parametrize("classes", [-1, 10_000_001, 10**15])
def test_class_counts_out_of_range_are_refused(classes: int) -> None:
    with pytest.raises(SpecError, match=r"^classes .+ is out of range; use 1 to 10000000, 0 for none$"):
        mobilenet_v1(classes=classes)


def test_numbers_that_python_will_not_print_are_refused_in_one_line() -> None:
    with pytest.raises(SpecError, match="resolution above a million million"):
        mobilenet_v1(resolution=32 * 10**5000)
    with pytest.raises(SpecError, match="classes above a million million"):
        mobilenet_v1(classes=10**5000)


def test_a_network_of_no_rows_or_no_pixels_is_refused() -> None:
    with pytest.raises(SpecError, match="network empty has no rows"):
        Network("empty", 32, 10, ())
    with pytest.raises(SpecError, match="resolution 0 is out of range; use 1 to 8192 pixels"):
        Network("flat", 0, 10, (GlobalPool("pool"),))
