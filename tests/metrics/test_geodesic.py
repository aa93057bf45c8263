"""Distances on a sphere, against geographiclib's geodesics on one and arithmetic by hand."""

import math

import numpy as np
import pytest
from geographiclib.geodesic import Geodesic
from hypothesis import given, settings
from hypothesis import strategies as st

from mobilenet.metrics.geodesic import (
    EARTH_RADIUS_KM,
    LEVELS_KM,
    degrees_of,
    distance_km,
    distances_km,
    mean_share,
    shares_within,
    unit_vectors,
)

_SPHERE = Geodesic(EARTH_RADIUS_KM * 1000, 0)
_DEGREE_KM = 2 * math.pi * EARTH_RADIUS_KM / 360

_LATITUDES = st.one_of(st.floats(-90, 90), st.sampled_from([-90.0, 0.0, 90.0]))
_LONGITUDES = st.one_of(st.floats(-180, 180), st.sampled_from([-180.0, 0.0, 180.0]))
_PLACES = st.tuples(_LATITUDES, _LONGITUDES)


@st.composite
def _pairs(draw: st.DrawFn) -> tuple[tuple[float, float], tuple[float, float]]:
    """Any two places, or two that are near each other, or nearly opposite."""
    one = draw(_PLACES)
    if draw(st.booleans()):
        return one, draw(_PLACES)
    step = draw(st.sampled_from([0.0, 1e-9, 1e-6, 1e-3]))
    near = (max(-90, min(90, one[0] + step)), one[1])
    return one, draw(st.sampled_from([near, (-near[0], one[1] - math.copysign(180, one[1]))]))


@settings(max_examples=60)
@given(_pairs())
def test_distances_are_those_of_an_independent_implementation(
    pair: tuple[tuple[float, float], tuple[float, float]],
) -> None:
    one, other = np.array(pair)
    wanted = _SPHERE.Inverse(*pair[0], *pair[1])["s12"] / 1000
    # A millimetre, and 0.3 m near antipodes, where the haversine formula loses digits.
    assert float(distance_km(one, other)) == pytest.approx(wanted, abs=1e-6 if wanted < 20_000 else 3e-4)
    vectors = unit_vectors(np.array([one, other]))
    assert distances_km(vectors[:1], vectors[1:])[0, 0] == pytest.approx(wanted, abs=3e-4)


def test_distances_by_hand() -> None:
    degrees = np.array([[0, 0], [0, 90], [0, 180], [90, 17], [0, 179], [0, -179], [60, 10], [60, -170]], np.float64)
    assert distance_km(degrees[0], degrees[1]) == pytest.approx(90 * _DEGREE_KM)
    assert distance_km(degrees[0], degrees[2]) == pytest.approx(180 * _DEGREE_KM)
    assert distance_km(degrees[1], degrees[3]) == pytest.approx(90 * _DEGREE_KM)
    assert distance_km(degrees[4], degrees[5]) == pytest.approx(2 * _DEGREE_KM), "across the date line"
    assert distance_km(degrees[6], degrees[7]) == pytest.approx(60 * _DEGREE_KM), "over the pole"
    assert round(_DEGREE_KM, 3) == 111.195


@settings(max_examples=40)
@given(st.tuples(st.floats(-89.9, 89.9), st.floats(-179.9, 180)))
def test_vectors_are_the_places(place: tuple[float, float]) -> None:
    vector = unit_vectors(np.array(place))
    assert np.linalg.norm(vector) == pytest.approx(1)
    assert degrees_of(7 * vector) == pytest.approx(np.array(place), abs=1e-9)


def test_what_has_no_direction_is_a_place_all_the_same() -> None:
    opposite = unit_vectors(np.array([[10.0, 20.0], [-10.0, -160.0]])).sum(0)
    assert degrees_of(opposite).tolist() == [0, 0]
    assert degrees_of(np.array([0.0, 0.0, -2.0])).tolist() == [-90, 0]


def test_shares_within_each_distance() -> None:
    kilometres = np.array([0.5, 1.0, 24.0, 199.0, 750.0, 750.1, 3000.0, math.nan])
    found = shares_within(kilometres)
    assert [level.distance_km for level in found] == list(LEVELS_KM)
    assert [level.share for level in found] == [2 / 8, 3 / 8, 4 / 8, 5 / 8, 6 / 8]
    assert mean_share(kilometres) == pytest.approx(20 / 40)
    assert all(low < level.share < high for level in found for low, high in [level.interval])
