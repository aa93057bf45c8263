"""Views from above: where each pixel is, by the published equations of the projection."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobilenet.geography.gnomonic import View, pixel_places, sampled
from mobilenet.metrics.geodesic import EARTH_RADIUS_KM


def _forward(view: View, latitude: float, longitude: float) -> tuple[float, float]:
    """Snyder's equations 5-3, 22-4 and 22-5: x east and y north in radii of the Earth, from the centre."""
    phi, lam = np.radians(latitude), np.radians(longitude - view.longitude)
    phi1 = np.radians(view.latitude)
    cos_c = np.sin(phi1) * np.sin(phi) + np.cos(phi1) * np.cos(phi) * np.cos(lam)
    x = np.cos(phi) * np.sin(lam) / cos_c
    y = (np.cos(phi1) * np.sin(phi) - np.sin(phi1) * np.cos(phi) * np.cos(lam)) / cos_c
    return float(x), float(y)


@settings(max_examples=40, deadline=None)
@given(
    st.builds(View, st.floats(-89.9, 89.9), st.floats(-180, 180), st.floats(10, 6000), st.floats(0, 360)),
    st.integers(0, 16),
    st.integers(0, 16),
)
def test_pixels_are_where_the_equations_project_them(view: View, row: int, column: int) -> None:
    latitude, longitude = pixel_places(view, 17)[row, column]
    x, y = _forward(view, latitude, longitude)
    heading, half = np.radians(view.heading_deg), np.tan(view.width_km / 2 / EARTH_RADIUS_KM)
    # The point (x, y) in a frame whose y axis points to the heading.
    right, up = x * np.cos(heading) - y * np.sin(heading), x * np.sin(heading) + y * np.cos(heading)
    # A thousandth of a pixel.
    assert ((right / half + 1) / 2 * 17 - 0.5, (1 - up / half) / 2 * 17 - 0.5) == pytest.approx((column, row), abs=1e-3)
    if row == column == 8:
        assert latitude == pytest.approx(view.latitude, abs=1e-9)
        assert np.cos(np.radians(longitude - view.longitude)) == pytest.approx(1)


def test_a_view_by_hand() -> None:
    """A degree is 111.195 km. A view of 0, 0 with north up, three pixels wide: 20° on the ground between its edges."""
    view = View(0, 0, 20 * np.pi / 180 * EARTH_RADIUS_KM)
    places = pixel_places(view, 3)
    aside = np.degrees(np.arctan(np.tan(np.radians(10)) * 2 / 3))
    assert places[1] == pytest.approx(np.array([[0, -aside], [0, 0], [0, aside]]), abs=1e-9)
    assert places[:, 1] == pytest.approx(np.array([[aside, 0], [0, 0], [-aside, 0]]), abs=1e-9)
    east = pixel_places(View(0, 0, view.width_km, 90), 3)
    assert east[0, 1] == pytest.approx([0, aside])
    assert east[1, 0] == pytest.approx([aside, 0])


def test_a_view_over_a_pole_has_every_meridian() -> None:
    places = pixel_places(View(90, 0, 2000), 8)
    assert (places[..., 0] > 75).all()
    assert np.histogram(places[..., 1], bins=4, range=(-180, 180))[0].tolist() == [16] * 4


def test_samples_are_between_pixels_and_around_the_edge() -> None:
    surface = np.arange(8, dtype=np.float32).reshape(2, 4, 1)
    # Centres are at 45° and -45°, and at -135°, -45°, 45° and 135°.
    places = np.array([[45.0, -135], [-45, 45], [0, -90], [90, -135], [45, 180], [45, -180], [45, 135]])
    assert sampled(surface, places)[:, 0].tolist() == [0, 6, 2.5, 0, 1.5, 1.5, 3]
