"""Cells of the Earth, against another implementation of S2 that shares no code with the one in use."""

import itertools
from collections import Counter

import numpy as np
import pytest
import s2cell
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mobilenet.metrics.geodesic import distance_km
from mobilenet.tasks.geolocation.cells import (
    ancestors,
    bounds,
    faces,
    leaves_of,
    levels_of,
    neighbours,
    outlines,
    quarters,
    token_of,
)
from mobilenet.tasks.geolocation.partition import beside, default_limits, numbers_in, partition, place_levels, places_of

_LATITUDES = st.one_of(st.floats(-90, 90), st.sampled_from([-90.0, -45.0, 0.0, 45.0, 90.0]))
_LONGITUDES = st.one_of(st.floats(-180, 180), st.sampled_from([-180.0, -135.0, 0.0, 45.0, 180.0]))
_PLACES = st.tuples(_LATITUDES, _LONGITUDES)


@st.composite
def _clustered(draw: st.DrawFn) -> np.ndarray:
    """Up to 80 photos around up to four places, some at the very same one."""
    places = draw(st.lists(_PLACES, min_size=1, max_size=4))
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    photos = draw(st.integers(1, 80))
    chosen = np.array(places)[random.integers(0, len(places), photos)]
    chosen = chosen + random.normal(size=(photos, 2)) * 10.0 ** random.choice([-9, -5, -2, 0, 1], (photos, 1))
    return np.stack([chosen[:, 0].clip(-90, 90), (chosen[:, 1] + 180) % 360 - 180], axis=1)


def _cells_at(latitude: float, longitude: float, level: int) -> set[int]:
    """Another implementation's cell; for a place on a border, which rounding gives to either side, those around it."""
    nearby = itertools.product((-1e-11, 0.0, 1e-11), repeat=2)
    return {
        s2cell.lat_lon_to_cell_id(min(max(latitude + north, -90.0), 90.0), longitude + east, level)
        for north, east in nearby
    }


@settings(max_examples=30)
@given(st.lists(_PLACES, min_size=1, max_size=20), st.integers(0, 30))
@example([(29.125, 135.0)], 0)
def test_cells_are_those_of_another_implementation(places: list[tuple[float, float]], level: int) -> None:
    leaves = leaves_of(np.array(places))
    found = ancestors(leaves, np.full(len(leaves), level))
    for cell, place in zip(found.tolist(), places, strict=True):
        assert cell in _cells_at(*place, level)
    assert (levels_of(found) == level).all()
    assert [token_of(cell) for cell in found.tolist()] == [s2cell.cell_id_to_token(cell) for cell in found.tolist()]
    first, last = bounds(found)
    assert ((first <= leaves) & (leaves <= last)).all()


def test_quarters_are_those_of_another_implementation() -> None:
    cells = quarters(quarters(faces()))
    assert len(set(cells.tolist())) == 96
    parents = Counter(s2cell.cell_id_to_parent_cell_id(cell, 0) for cell in cells.tolist())
    assert sorted(parents) == faces().tolist()
    assert set(parents.values()) == {16}


@settings(max_examples=40)
@given(_clustered(), st.integers(1, 20), st.integers(1, 10))
def test_every_cell_is_within_its_limits_and_every_photo_in_one_cell_at_most(
    degrees: np.ndarray, max_photos: int, min_photos: int
) -> None:
    min_photos = min(min_photos, max_photos)
    leaves = leaves_of(degrees)
    cells = partition(leaves, max_photos, min_photos)
    numbers = numbers_in(cells, leaves)
    levels = levels_of(cells)
    theirs = leaves.tolist()
    assert all(leaf in _cells_at(*place, 30) for leaf, place in zip(theirs, degrees.tolist(), strict=True))
    counts = Counter[int]()
    for leaf, number in zip(theirs, numbers.tolist(), strict=True):
        inside = [at for at, cell in enumerate(cells.tolist()) if _parent(leaf, int(levels[at])) == cell]
        assert inside == ([number] if number >= 0 else [])
        counts.update(inside)
    for at, (cell, level) in enumerate(zip(cells.tolist(), levels.tolist(), strict=True)):
        assert counts[at] >= min_photos
        assert counts[at] <= max_photos or level == 30
        if level:
            crowd = sum(_parent(leaf, level - 1) == _parent(cell, level - 1) for leaf in theirs)
            assert crowd > max_photos, "a cell is only divided if it must be"
    assert min_photos > 1 or (numbers >= 0).all(), "only small cells are dropped"


def _parent(cell: int, level: int) -> int:
    return int(s2cell.cell_id_to_parent_cell_id(cell, level))


def test_a_million_photos_of_one_spot_are_one_leaf() -> None:
    leaves = np.repeat(leaves_of(np.array([[52.0, 13.0]])), 1_000_000)
    cells = partition(leaves, 1000, 50)
    assert cells.tolist() == leaves[:1].tolist()


def test_limits_grow_with_the_photos() -> None:
    assert [default_limits(photos) for photos in (2, 100, 20_000, 91_000_000)] == [
        (4, 1),
        (10, 1),
        (141, 7),
        (9539, 476),
    ]


@settings(max_examples=30)
@given(_clustered(), st.integers(1, 30))
def test_photos_of_one_place_are_near_each_other(degrees: np.ndarray, max_photos: int) -> None:
    leaves = leaves_of(degrees)
    cells = partition(leaves, max_photos, 1)
    levels = place_levels(cells, numbers_in(cells, leaves))
    places = places_of(leaves, levels)
    for place in np.unique(places):
        mine = degrees[places == place]
        # The diagonal of the largest cells of level 13 is 1.8 km.
        assert distance_km(mine[:1], mine).max() < 1.9
    assert (levels >= 13).all()


def test_photos_on_both_sides_of_the_edge_of_a_place_are_beside_each_other() -> None:
    # The equator is an edge of cells, and at 45° of longitude three faces are no farther than one step.
    degrees = np.array([[1e-5, 20.0], [-1e-5, 20.0], [0.004, 20.0], [-0.004, 20.0], [1e-5, 45.0], [1e-5, 45.00001]])
    leaves, levels = leaves_of(degrees), np.full(6, 13)
    assert len(set(places_of(leaves, levels).tolist())) == 4
    chosen = np.array([True, False, True, False, True, False])
    assert beside(leaves, levels, chosen).tolist() == [True, False, False, False, True, False]


def test_outlines_are_around_their_cells() -> None:
    for place in ((48.85, 2.35), (0.5, 179.999), (-90.0, 0.0)):
        token = s2cell.lat_lon_to_token(*place, 8)
        (corners,) = outlines([token]).values()
        centre = np.array(s2cell.token_to_lat_lon(token))
        # Cells of level 8 have sides of 24 to 42 km.
        assert all(12 < float(distance_km(centre, np.array(corner))) < 30 for corner in corners)
        side, next_side = (np.subtract(corners[at + 1], corners[at]) for at in (0, 1))
        if abs(place[0]) < 80:
            assert side[1] * next_side[0] - side[0] * next_side[1] > 0, "counter-clockwise"


@pytest.mark.parametrize(
    "token", ["", "zzz", "0", "X", "cat", "47e66\x00", "-1", "47e66" * 9, "fffffffffffffffff", "47e67" + "é"]
)
def test_what_is_no_cell_has_no_outline(token: str) -> None:
    """The names of a model file may be anything."""
    assert outlines([token]) == {}


def test_leaves_have_neighbours_too() -> None:
    """Eight, and seven at a corner of the cube."""
    counts = [
        len(set(neighbours(int(leaves_of(np.array([place]))[0]))))
        for place in ((10.0, 20.0), (35.264389682754654, 45.0))
    ]
    assert counts[0] == 8
    assert counts[1] in (7, 8)


def test_a_cell_has_no_outline_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mobilenet.tasks.geolocation.cells.find_spec", lambda _name: None)
    assert outlines(["47e66"]) == {}
