"""Views from above: the same numbers give the same bytes, of land, with the place at their centre."""

import numpy as np
import pytest

from mobilenet.errors import ConfigError
from mobilenet.geography.gnomonic import View, pixel_places
from mobilenet.geography.land import land_mask
from mobilenet.scenes.aerial import LEAST_LAND, WIDTHS_KM, draw_aerial, random_view, seen
from mobilenet.scenes.planet import planet


@pytest.fixture(scope="module")
def views() -> list[View]:
    return [random_view(np.random.default_rng([3, number])) for number in range(300)]


def test_the_same_numbers_give_the_same_bytes() -> None:
    first = draw_aerial(2, 5, side=32)
    draw_aerial(2, 6, side=32)
    again = draw_aerial(2, 5, side=32)
    assert (first.latitude, first.longitude) == (again.latitude, again.longitude)
    assert first.image.tobytes() == again.image.tobytes()
    assert first.image.shape == (32, 32, 3)
    others = [draw_aerial(2, 5, side=32, split="validation"), draw_aerial(3, 5, side=32), draw_aerial(2, 6, side=32)]
    assert len({(one.latitude, one.longitude) for one in (first, *others)}) == 4
    with pytest.raises(ConfigError, match="scene side 8 is out of range"):
        draw_aerial(0, 0, side=8)


def test_views_show_land(views: list[View]) -> None:
    """Counted in other pixels, of a finer map, than they were chosen by."""
    mask = land_mask(720)
    for view in views:
        latitude, longitude = np.moveaxis(pixel_places(view, 45), -1, 0)
        rows, columns = ((90 - latitude) * 4).astype(int), ((longitude + 180) * 4).astype(int) % 1440
        assert mask[np.minimum(rows, 719), columns].mean() > LEAST_LAND - 0.04


def test_views_are_of_any_place_heading_and_height(views: list[View]) -> None:
    for values, bounds in (
        ([view.longitude for view in views], (-180, 180)),
        ([view.heading_deg for view in views], (0, 360)),
        ([view.width_km for view in views], WIDTHS_KM),
    ):
        counts, _ = np.histogram(values, bins=4, range=bounds)
        assert counts.sum() == len(views)
        assert (counts > 20).all()
    # Of all land 68 % is north of the equator.
    assert 0.5 < np.mean([view.latitude > 0 for view in views]) < 0.85
    assert all(view.latitude == round(view.latitude, 5) for view in views)
    assert len(set(views)) == len(views)


@pytest.mark.parametrize(("latitude", "longitude"), [(12.3, 45.6), (-70, 179.9), (0, -180)])
def test_the_place_is_at_the_centre(latitude: float, longitude: float) -> None:
    """A map that is bright within 3° of a place: so is the middle of its view, whatever the heading and the light."""
    rows, columns = np.mgrid[:1024, :2048]
    row, column = (90 - latitude) / 180 * 1024 - 0.5, (longitude + 180) / 360 * 2048 - 0.5
    across = np.abs((columns - column + 1024) % 2048 - 1024) * np.cos(np.radians(latitude))
    bright = np.hypot(rows - row, across) < 3 * 1024 / 180
    surface = np.repeat(bright[..., None] * np.float32(200), 3, axis=2)
    picture = seen(np.random.default_rng(0), surface, View(latitude, longitude, 1500, 77), 65)
    down, right = np.nonzero(picture.mean(axis=2) > 60)
    # Half a pixel of the map is 0.4 pixels of the view.
    assert (down.mean(), right.mean()) == pytest.approx((32, 32), abs=0.6)
    # Of 1,500 km, 6° are 667 km.
    assert np.ptp(down) == pytest.approx(65 * 667 / 1500, abs=3)


def test_the_drawn_earth_has_its_climates() -> None:
    earth = planet()
    assert earth.shape == (768, 1536, 3)

    def colour(latitude: float, longitude: float) -> list[float]:
        found: list[float] = earth[int((90 - latitude) / 180 * 768), int((longitude + 180) / 360 * 1536)].tolist()
        return found

    red, green, blue = colour(24, 5)  # Sahara
    assert red > green > blue
    assert red > 120
    red, green, blue = colour(-3, -65)  # Amazon
    assert green > red
    assert green > blue
    red, green, blue = colour(-5, -140)  # Pacific
    assert blue > green > red
    assert min(colour(-82, 60)) > 180  # Antarctica
    # There is no seam at the antimeridian.
    assert np.abs(earth[:, 0] - earth[:, -1]).mean() < 2 * np.abs(np.diff(earth, axis=1)).mean() + 1
