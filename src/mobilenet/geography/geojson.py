"""Places, outlines and circles as GeoJSON (RFC 7946): longitude before latitude, rings counterclockwise and closed,
nothing across the antimeridian."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from mobilenet.geography.antimeridian import Outline, cut_line, cut_ring
from mobilenet.geography.circles import circle, great_circle, with_great_circles

__all__ = ["area", "collection", "disc", "encoded", "feature", "line", "point"]

_DIGITS = 6
"""Of a degree: 11 cm at the equator, as the standard proposes."""

Geometry = dict[str, Any]


def point(latitude: float, longitude: float) -> Geometry:
    """A `Point`."""
    return {"type": "Point", "coordinates": [round(longitude, _DIGITS), round(latitude, _DIGITS)]}


def line(one: tuple[float, float], other: tuple[float, float]) -> Geometry:
    """The great circle between two places (latitude, longitude): a `LineString`, or a `MultiLineString` where it
    crosses the antimeridian."""
    parts = [_positions(part) for part in cut_line(great_circle(one, other))]
    if len(parts) == 1:
        return {"type": "LineString", "coordinates": parts[0]}
    return {"type": "MultiLineString", "coordinates": parts}


def area(ring: Outline) -> Geometry:
    """(N, 2) corners of a ring whose inside is on its left, joined by great circles, such as those of an S2 cell: a
    `Polygon`, or a `MultiPolygon` where it crosses the antimeridian."""
    return _polygons(cut_ring(with_great_circles(ring)))


def disc(latitude: float, longitude: float, radius_km: float) -> Geometry:
    """All within a distance of a place, also around a pole: a `Polygon` or a `MultiPolygon`."""
    return _polygons(cut_ring(circle(latitude, longitude, radius_km)))


def feature(geometry: Geometry, properties: Mapping[str, Any]) -> dict[str, Any]:
    """A `Feature` with properties that JSON can hold."""
    return {"type": "Feature", "geometry": geometry, "properties": dict(properties)}


def collection(features: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """A `FeatureCollection`."""
    return {"type": "FeatureCollection", "features": list(features)}


def encoded(document: Mapping[str, Any]) -> bytes:
    """The bytes of a file: UTF-8 without NaN, which raises ValueError; what file names have that is not Unicode is
    replaced."""
    return json.dumps(document, allow_nan=False, ensure_ascii=False).encode("utf-8", "replace")


def _polygons(parts: list[Outline]) -> Geometry:
    rings = [[_closed(_positions(part))] for part in parts]
    if len(rings) == 1:
        return {"type": "Polygon", "coordinates": rings[0]}
    return {"type": "MultiPolygon", "coordinates": rings}


def _positions(points: Outline) -> list[list[float]]:
    return [[round(longitude, _DIGITS), round(latitude, _DIGITS)] for latitude, longitude in points.tolist()]


def _closed(ring: list[list[float]]) -> list[list[float]]:
    return [*ring, ring[0]]
