"""Estimates are compared with sums made up by hand, and with SciPy-free checks of optimality."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenet.benchmark.device.estimate import fit, latency_features, left_out_errors, memory_features, size_features
from mobilenet.errors import DataError
from mobilenet.spec import mobilenet_v1

_WIDTHS, _SIDES = (0.25, 0.5, 0.75, 1.0), (96, 160, 224)
_NETWORKS = [mobilenet_v1(width, side, 10) for width in _WIDTHS for side in _SIDES]


def test_features_of_the_full_network_are_those_of_the_paper() -> None:
    """Channels of 1.0 are multiples of 16 throughout, so nothing is rounded up: Table 2's mult-adds."""
    one, pointwise, depthwise, other, _, _ = latency_features(mobilenet_v1(1.0, 224, 1000))
    assert one == 1
    total = 568_740_352
    assert pointwise * 1e6 == pytest.approx(0.9486 * total, rel=1e-3)
    assert depthwise * 1e6 == pytest.approx(0.0306 * total, rel=2e-3)
    assert other * 1e6 == 112 * 112 * 32 * 27


def test_channels_count_in_full_vectors() -> None:
    """0.375 has 12 channels in its stem, which take as long as 16."""
    stem = latency_features(mobilenet_v1(0.375, 32, 10))[3] * 1e6
    assert stem == 16 * 16 * 16 * 27


def test_memory_and_size_count_bytes_of_the_precision() -> None:
    network = mobilenet_v1(1.0, 224, 1000)
    assert size_features(network, "float32")[1] == pytest.approx(4 * 4.23e6, rel=0.01)
    assert size_features(network, "int8")[1] == pytest.approx(4.23e6, rel=0.05)
    whole, quarter = memory_features(network, "float32"), memory_features(network, "int8")
    assert whole[2] == 4 * quarter[2]


@pytest.mark.parametrize("width", [0.25, 1.0])
def test_tables_of_addresses_are_those_of_the_3x3_kernels_at_any_width(width: float) -> None:
    """Nine addresses of 8 bytes for each pixel: the stem and a depthwise layer at 112, two at 56 and at 28, …"""
    pixels = 2 * 112**2 + 2 * 56**2 + 2 * 28**2 + 6 * 14**2 + 2 * 7**2
    network = mobilenet_v1(width, 224, 10)
    assert memory_features(network, "int8")[3] == memory_features(network, "float32")[3] == 8 * 9 * pixels


def test_memory_of_trained_networks_is_estimated_from_a_grid_of_untrained_ones() -> None:
    """Bytes that int8 files took on LiteRT 2.3.0 (x86-64): five of a grid, three that `mobilenet fit` wrote."""
    grid = {
        (0.25, 96): 7_147_520,
        (0.375, 192): 9_076_736,
        (0.625, 224): 11_726_848,
        (0.875, 160): 12_976_128,
        (1.0, 224): 16_138_240,
    }
    trained = {(0.25, 224): 9_040_000, (0.25, 192): 8_380_000, (1.0, 96): 13_720_000}
    model = fit([_memory(*shape) for shape in grid], list(grid.values()))
    for (width, side), taken in trained.items():
        assert model(_memory(width, side), width) == pytest.approx(taken, rel=0.02)


def _memory(width: float, side: int) -> tuple[float, ...]:
    return memory_features(mobilenet_v1(width, side, 10), "int8")


def test_a_sum_that_was_made_up_is_found_again() -> None:
    features = [latency_features(network) for network in _NETWORKS]
    true = (0.05, 0.02, 0.1, 0.0, 0.0, 0.3)
    measured = [float(np.dot(true, row)) for row in features]
    model = fit(features, measured)
    assert all(value >= 0 for value in model.coefficients)
    for row, wanted in zip(features, measured, strict=True):
        assert model(row, 1.0) == pytest.approx(wanted, rel=1e-6)
    assert left_out_errors(features, measured).max() < 1e-4


def test_what_suits_a_width_is_learned() -> None:
    """A width that runs a fifth faster at every resolution is estimated so where it was not measured."""
    features = [latency_features(network) for network in _NETWORKS]
    widths = [network.width_multiplier for network in _NETWORKS]
    factor = {0.25: 1.0, 0.5: 0.8, 0.75: 1.0, 1.0: 1.0}
    measured = [row[1] * 0.02 * factor[width] for row, width in zip(features, widths, strict=True)]
    plain, knowing = fit(features, measured), fit(features, measured, widths)
    unseen = mobilenet_v1(0.5, 128, 10)
    wanted = latency_features(unseen)[1] * 0.02 * 0.8
    assert knowing(latency_features(unseen), 0.5) == pytest.approx(wanted, rel=0.03)
    assert abs(plain(latency_features(unseen), 0.5) / wanted - 1) > 0.03


@given(st.lists(st.floats(0.1, 10), min_size=12, max_size=12))
def test_no_coefficient_is_negative_and_none_could_be_better(measured: list[float]) -> None:
    """Karush-Kuhn-Tucker: the gradient is zero where a coefficient is positive, and not negative where it is zero."""
    features = [latency_features(network)[:4] for network in _NETWORKS]
    found = np.array(fit(features, measured).coefficients)
    matrix = np.array(features) / np.array(measured)[:, None]
    scale = np.abs(matrix).max(0)
    gradient = (matrix / scale).T @ (matrix @ found - 1)
    assert found.min() >= 0
    assert np.abs(gradient[found > 0]).max(initial=0) < 1e-6
    assert gradient[found == 0].min(initial=0) > -1e-6


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0, -1.0])
def test_nothing_is_estimated_from_what_was_not_measured(value: float) -> None:
    """A fit of zeros would be inside every budget."""
    with pytest.raises(DataError, match=f"a device profile has a measurement of {value:g}; make it again with"):
        fit([[1.0, 2.0], [1.0, 3.0], [1.0, 5.0]], [1.0, value, 2.0])
