"""Rings and lines on a sphere, cut for a flat map: nothing is lost, whatever they go around."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobilenet.geography.antimeridian import Outline, cut_line, cut_ring
from mobilenet.geography.circles import circle, great_circle, with_great_circles
from mobilenet.metrics.geodesic import EARTH_RADIUS_KM, distance_km

_LATITUDES = st.floats(-90, 90)
_LONGITUDES = st.floats(-180, 180)


def _cap(radius_km: float) -> float:
    """The share of the sphere within that distance of a place."""
    return float((1 - np.cos(radius_km / EARTH_RADIUS_KM)) / 2)


def _share(parts: list[Outline]) -> float:
    """The share of the sphere in flat parts, by Green's theorem: the integral of the sine of the latitude along edges
    that are straight on the map."""
    total = 0.0
    for part in parts:
        low, high = np.radians(part), np.radians(np.roll(part, -1, axis=0))
        rise = high[:, 0] - low[:, 0]
        # The mean of the sine over a straight edge: (cos a - cos b) / (b - a).
        level = np.abs(rise) < 1e-9
        mean = np.where(level, np.sin(low[:, 0]), (np.cos(low[:, 0]) - np.cos(high[:, 0])) / np.where(level, 1, rise))
        total -= float((mean * (high[:, 1] - low[:, 1])).sum())
    return total / (4 * np.pi)


def _inside(parts: list[Outline], latitude: float, longitude: float) -> bool:
    """Whether a point is in one of the parts: how often the parallel west of it crosses their edges."""
    count = 0
    for part in parts:
        before, after = part, np.roll(part, -1, axis=0)
        spans = (before[:, 0] > latitude) != (after[:, 0] > latitude)
        share = (latitude - before[spans, 0]) / (after[spans, 0] - before[spans, 0])
        count += int((before[spans, 1] + share * (after[spans, 1] - before[spans, 1]) < longitude).sum())
    return count % 2 == 1


def _flat(part: Outline) -> bool:
    """Whether a part is on the map and no edge goes across it."""
    return bool((np.abs(part) <= [90, 180]).all())


def test_a_ring_far_from_the_edge_stays_as_it_is() -> None:
    ring = np.array([[0.0, 0], [0, 10], [10, 10]])
    (part,) = cut_ring(ring)
    assert part.tolist() == ring.tolist()


def test_a_ring_across_the_antimeridian_is_two() -> None:
    east, west = cut_ring(np.array([[-10.0, 170], [-10, -170], [10, -170], [10, 170]]))
    assert sorted(map(tuple, east.tolist())) == [(-10, 170), (-10, 180), (10, 170), (10, 180)]
    assert sorted(map(tuple, west.tolist())) == [(-10, -180), (-10, -170), (10, -180), (10, -170)]


def test_a_ring_with_two_arms_across_the_antimeridian_is_three() -> None:
    """A C that opens to the east has two separate tips there."""
    ring = np.array([[-30.0, 170], [-30, -170], [-20, -170], [-20, 175], [20, 175], [20, -170], [30, -170], [30, 170]])
    parts = cut_ring(ring)
    assert sorted((len(part), part[:, 1].min()) for part in parts) == [(4, -180), (4, -180), (8, 170)]


def test_a_ring_around_a_pole_follows_the_edge_of_the_map() -> None:
    ring = np.array([[60.0, 0], [60, 90], [60, 179], [60, -90]])
    (north,) = cut_ring(ring)
    assert {(90, 180), (90, -180), (60, 180), (60, -180)} <= set(map(tuple, north.tolist()))
    (south,) = cut_ring(ring[::-1])
    assert {(-90, 180), (-90, -180), (60, 180), (60, -180)} <= set(map(tuple, south.tolist()))


def test_a_corner_at_a_pole_is_the_edge_of_the_map_between_its_meridians() -> None:
    """An eighth of the sphere, north and south; the pole has any longitude."""
    (north,) = cut_ring(np.array([[0.0, 10], [0, 100], [90, -33]]))
    assert set(map(tuple, north.tolist())) == {(0, 10), (0, 100), (90, 100), (90, 10)}
    (south,) = cut_ring(np.array([[-90.0, 77], [0, 100], [0, 10]]))
    assert set(map(tuple, south.tolist())) == {(0, 10), (0, 100), (-90, 100), (-90, 10)}
    wide = cut_ring(np.array([[0.0, 100], [0, -170], [90, 0]]))
    assert _share(wide) == pytest.approx(1 / 8)
    assert len(wide) == 2


def test_more_than_one_turn_is_refused() -> None:
    ring = np.array([[lat, lon] for lat in (10.0, 20.0) for lon in (0, 120, -120)])
    with pytest.raises(
        ValueError, match=r"^the ring goes around the Earth 2 times; a simple ring does so at most once$"
    ):
        cut_ring(ring)


@settings(max_examples=150, deadline=None)
@given(_LATITUDES, _LONGITUDES, st.floats(1, 19_990))
def test_circles_keep_their_area(latitude: float, longitude: float, radius_km: float) -> None:
    """Wherever they are and however many poles they contain."""
    parts = cut_ring(circle(latitude, longitude, radius_km, 720))
    assert all(_flat(part) for part in parts)
    # A chord of 0.5° is inside of its circle by up to the square of that: 2e-5 of the radius, and at a pole the edge
    # that is straight on the map may miss some of a step, 0.9 % of the radius.
    assert _share(parts) == pytest.approx(_cap(radius_km), rel=2e-2, abs=1e-4)


@settings(max_examples=150, deadline=None)
@given(
    _LATITUDES,
    _LONGITUDES,
    st.floats(100, 19_000),
    st.lists(st.tuples(st.floats(-89, 89), st.floats(-179, 179)), min_size=5),
)
def test_points_are_inside_where_they_are_close(
    latitude: float, longitude: float, radius_km: float, places: list[tuple[float, float]]
) -> None:
    """The places are none on the edge of the map, which is the edge of parts too."""
    parts = cut_ring(circle(latitude, longitude, radius_km, 720))
    for place in places:
        away = float(distance_km(np.array([latitude, longitude]), np.array(place)))
        # Chords, and edges that are straight on the map, are off by less than this.
        if abs(away - radius_km) > 0.02 * radius_km + 20:
            assert _inside(parts, *place) == (away < radius_km)


@settings(max_examples=60, deadline=None)
@given(_LATITUDES, _LONGITUDES, _LATITUDES, _LONGITUDES)
def test_lines_are_as_long_as_the_distance(lat: float, lon: float, other_lat: float, other_lon: float) -> None:
    line = great_circle((lat, lon), (other_lat, other_lon))
    parts = cut_line(line)
    assert all(_flat(part) and (np.abs(np.diff(part[:, 1])) <= 180 + 1e-9).all() for part in parts)
    length = sum(float(distance_km(part[:-1], part[1:]).sum()) for part in parts)
    direct = float(distance_km(line[0], line[-1]))
    # Where it is cut the line is straight on the map between two points 2° apart, which near a pole is a detour.
    assert direct * (1 - 1e-9) - 1e-6 <= length <= direct + 450


def test_a_great_circle_goes_the_shorter_way() -> None:
    parts = cut_line(great_circle((10, 170), (10, -170)))
    assert np.array([part[[0, -1], 1] for part in parts]) == pytest.approx(np.array([[170, 180], [-180, -170]]))
    assert parts[0][:, 0].max() > 10.1
    through = great_circle((0, 0), (0, 180))
    assert distance_km(through[:-1], through[1:]).sum() == pytest.approx(np.pi * EARTH_RADIUS_KM)


def test_an_octant_bends_with_its_great_circles() -> None:
    ring = with_great_circles(np.array([[0.0, 0], [0, 90], [90, 0]]))
    assert _share(cut_ring(ring)) == pytest.approx(1 / 8)
    face = np.degrees([[np.arcsin(z / 3**0.5), np.arctan2(y, x)] for x, y, z in _FACE])
    assert _share(cut_ring(with_great_circles(face))) == pytest.approx(1 / 6, rel=2e-3)
    assert _share(cut_ring(with_great_circles(face[::-1]))) == pytest.approx(5 / 6, rel=2e-3)


_FACE = ((1, 1, 1), (-1, 1, 1), (-1, -1, 1), (1, -1, 1))
"""The corners of the face of a cube around the north pole: a sixth of the sphere."""
