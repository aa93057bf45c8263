"""Curves that are made up: what is estimated of them, and how sure that is."""

from dataclasses import replace

import pytest

from mobilenet.benchmark.device.curve import Curve, Point, Variant
from mobilenet.benchmark.device.estimate import memory_features
from mobilenet.spec import mobilenet_v1


def _curve(spread: float, unmeasured: int = 0) -> Curve:
    """Memory is 6 MB and twice the weights, every second point `spread` above, the others below; latency is exact."""
    points = []
    for number, (width, side) in enumerate(
        (width, side) for width in (0.25, 0.5, 0.75, 1.0) for side in (96, 160, 224)
    ):
        network = mobilenet_v1(width, side, 10)
        peak = (6e6 + 2 * memory_features(network, "int8")[1]) * (1 + spread * (-1) ** number)
        points.append(Point(width, side, 1.0, 1.1, 1000, None if number < unmeasured else round(peak)))
    return Curve(Variant("litert", "int8", 1), 10, tuple(points))


def test_memory_that_is_estimated_exactly_is_not_believed_to_more_than_two_hundredths() -> None:
    curve = _curve(0.0)
    assert curve.memory_error == 0.02
    found = curve.estimate(mobilenet_v1(0.375, 128, 10))
    assert found.memory_error == 0.02
    assert found.peak_bytes == pytest.approx(
        6e6 + 2 * memory_features(mobilenet_v1(0.375, 128, 10), "int8")[1], rel=1e-3
    )


@pytest.mark.parametrize("spread", [0.05, 0.2])
def test_memory_that_scatters_is_estimated_as_badly_as_it_scatters(spread: float) -> None:
    """A point that is left out is off by its own distance and by what its neighbours pull: once to twice the spread
    above, and less below, for the error is a share of what was measured."""
    curve = _curve(spread)
    assert spread < curve.memory_error < 2.5 * spread
    assert curve.estimate(mobilenet_v1(0.5, 96, 10)).memory_error == curve.memory_error
    assert curve.error == 0.01


def test_points_without_memory_take_no_part_in_its_error() -> None:
    some = _curve(0.2, unmeasured=6)
    assert some.memory_error == replace(some, points=some.points[6:]).memory_error != _curve(0.2).memory_error
