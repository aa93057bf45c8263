"""GeoJSON, held against what RFC 7946 demands."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobilenet.geography.geojson import area, collection, disc, encoded, feature, line, point


def _rings(geometry: dict[str, Any]) -> list[list[list[float]]]:
    coordinates = geometry["coordinates"]
    polygons = [coordinates] if geometry["type"] == "Polygon" else coordinates
    assert geometry["type"] in {"Polygon", "MultiPolygon"}
    assert all(len(polygon) == 1 for polygon in polygons)
    return [polygon[0] for polygon in polygons]


def test_positions_are_longitude_before_latitude() -> None:
    assert point(48.8584, 2.29448123456) == {"type": "Point", "coordinates": [2.294481, 48.8584]}
    document = collection([feature(point(1, 2), {"file": "a\udcff.jpg"})])
    assert json.loads(encoded(document)) == {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "geometry": {"type": "Point", "coordinates": [2, 1]},
                "properties": {"file": "a?.jpg"},
            }
        ],
    }
    with pytest.raises(ValueError, match="not JSON compliant"):
        encoded(point(float("nan"), 0))


@settings(max_examples=60, deadline=None)
@given(st.floats(-90, 90), st.floats(-180, 180), st.floats(0, 25_000))
def test_rings_are_closed_counterclockwise_and_on_the_map(latitude: float, longitude: float, radius_km: float) -> None:
    for ring in _rings(disc(latitude, longitude, radius_km)):
        assert ring[0] == ring[-1]
        assert len(ring) >= 4
        corners = np.array(ring)
        assert (np.abs(corners) <= [180, 90]).all()
        x, y = (corners - corners[0]).T
        assert (x[:-1] * y[1:] - x[1:] * y[:-1]).sum() > 0


def test_what_crosses_the_antimeridian_has_several_parts() -> None:
    assert disc(0, 0, 1000)["type"] == "Polygon"
    assert disc(0, 180, 1000)["type"] == "MultiPolygon"
    # At a pole one ring goes along the whole edge of the map.
    assert disc(-90, 0, 1000)["type"] == "Polygon"
    assert area(np.array([[0.0, 179], [0, -179], [1, 180]]))["type"] == "MultiPolygon"
    assert line((0, 0), (0, 10)) == {
        "type": "LineString",
        "coordinates": [[2.0 * number, 0.0] for number in range(6)],
    }
    crossing = line((0, 179), (0, -179))
    assert crossing == {"type": "MultiLineString", "coordinates": [[[179, 0], [180, 0]], [[-180, 0], [-179, 0]]]}
