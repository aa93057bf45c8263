"""Rings and lines on the Earth -> what a flat map from -180° to 180° and GeoJSON can hold: cut where they cross the
antimeridian, and closed along the edge of the map where they go around a pole (RFC 7946, 3.1.9)."""

from math import ceil, copysign, floor

import numpy as np
from numpy.typing import NDArray

__all__ = ["Outline", "cut_line", "cut_ring", "signed_area"]

Outline = NDArray[np.float64]
"""(N, 2) latitude and longitude of the corners of a ring, which does not repeat its first, or the points of a line."""

_AT_POLE = 90 - 1e-9
_LEAST_AREA = 1e-9
"""Of a part, in square degrees: less is left where a ring only touches the antimeridian."""


def cut_ring(ring: Outline) -> list[Outline]:
    """(N, 2) corners of a simple ring whose inside is on its left -> its parts, each (M, 2) within -180…180 and
    -90…90, counterclockwise on the map.

    Edges are straight on the map and go the shorter way round the Earth. The inside may contain one pole or both, and
    a corner may be at one. ValueError for a ring that goes around the Earth more than once.
    """
    path = _unrolled(np.asarray(ring, np.float64))
    turns = round((path[-1, 1] - path[0, 1]) / 360)
    if abs(turns) > 1:
        raise ValueError(f"the ring goes around the Earth {abs(turns)} times; a simple ring does so at most once")
    if turns:
        # Going east has the north on its left.
        path = _from_antimeridian(path, turns)
        whole = np.concatenate([path, [(90.0 * turns, path[-1, 1]), (90.0 * turns, path[0, 1])]])
    else:
        whole = path[:-1] if signed_area(path[:-1]) >= 0 else _around_hole(path[:-1])
    return [part for part in _between_antimeridians(whole) if signed_area(part) > _LEAST_AREA]


def cut_line(line: Outline) -> list[Outline]:
    """(N, 2) points of a line -> its parts, each (M, 2) within -180…180; its edges go the shorter way round."""
    points = np.array(line, np.float64)
    points[1:, 1] = points[0, 1] + np.cumsum(_shorter(np.diff(points[:, 1])))
    bands = np.floor((points[:, 1] + 180) / 360)
    parts, current = list[Outline](), [points[0]]
    for place in range(1, len(points)):
        before, after = points[place - 1], points[place]
        if bands[place] != bands[place - 1]:
            crossing = _crossing(before, after, 360 * max(bands[place - 1], bands[place]) - 180)
            parts.append(_shifted([*current, crossing], bands[place - 1]))
            current = [crossing]
        current.append(after)
    parts.append(_shifted(current, bands[-1]))
    return [part for part in parts if np.ptp(part, axis=0).any()]


def signed_area(ring: Outline) -> float:
    """(N, 2) corners -> square degrees on the map, positive where they go counterclockwise."""
    latitude, longitude = (ring - ring[0]).T
    return float(longitude @ np.roll(latitude, -1) - latitude @ np.roll(longitude, -1)) / 2


def _shorter(turn: NDArray[np.float64]) -> NDArray[np.float64]:
    return (turn + 180) % 360 - 180


def _unrolled(ring: Outline) -> Outline:
    """The ring and its first corner again, with longitudes that go on beyond 180°; a corner at a pole is two, from
    where the ring arrives to where it leaves, with the inside between them."""
    start = int(np.argmax(np.abs(ring[:, 0]) < _AT_POLE))
    closed = [*np.roll(ring, -start, axis=0).tolist(), ring[start].tolist()]
    points = [tuple(closed[0])]
    for (latitude, longitude), (_, following) in zip(closed[1:], [*closed[2:], closed[0]], strict=True):
        last = points[-1][1]
        if abs(latitude) < _AT_POLE:
            points.append((latitude, last + (longitude - last + 180) % 360 - 180))
            continue
        pole = copysign(90.0, latitude)
        turn = -((last - following) % 360) if pole > 0 else (following - last) % 360
        points += [(pole, last), (pole, last + turn)]
    return np.array(points)


def _from_antimeridian(path: Outline, turns: int) -> Outline:
    """A path around the pole, from where it crosses the antimeridian closest to that pole: the way to the pole from
    there is the edge of the map."""
    bands = np.floor((path[:, 1] + 180) / 360)
    changes = np.flatnonzero(np.diff(bands))
    crossings = [_crossing(path[one], path[one + 1], 360 * bands[one : one + 2].max() - 180) for one in changes]
    chosen = max(range(len(changes)), key=lambda one: turns * crossings[one][0])
    start, place, once = crossings[chosen], changes[chosen] + 1, [0, 360 * turns]
    found = np.concatenate([[start], path[place:], path[1:place] + once, [start + once]])
    return np.asarray(found - [0, start[1] + 180 * turns])


def _around_hole(ring: Outline) -> Outline:
    """What is outside of a clockwise ring, which is all of the map but a hole: one ring from the top of the hole once
    around the Earth, so that the hole is half on its left edge and half on its right."""
    top = int(ring[:, 0].argmax())
    ring = np.roll(ring, -top, axis=0)
    bottom = int(ring[:, 0].argmin())
    down, up = ring[: bottom + 1], np.concatenate([ring[bottom:], ring[:1]])
    around = [0.0, 360.0]
    south = [(-90.0, down[-1, 1]), (-90.0, down[-1, 1] + 360)]
    north = [(90.0, ring[0, 1] + 360), (90.0, ring[0, 1])]
    return np.concatenate([down, south, up + around, north])


def _between_antimeridians(whole: Outline) -> list[Outline]:
    lowest, highest = whole[:, 1].min(), whole[:, 1].max()
    last = ceil((highest - 180) / 360)
    rest, parts = [whole], list[Outline]()
    for band in range(floor((lowest + 180) / 360), last):
        halves = [_split(part, 360.0 * band + 180) for part in rest]
        parts += [_shifted(part, band) for west, _ in halves for part in west]
        rest = [part for _, east in halves for part in east]
    return parts + [_shifted(part, last) for part in rest]


def _split(ring: Outline, edge: float) -> tuple[list[Outline], list[Outline]]:
    """The parts of a counterclockwise ring west and east of a longitude.

    Sorted along the edge, the crossings are pairs with the inside between them; a part follows the ring from crossing
    to crossing, and the edge from there to the other of the pair.
    """
    east = ring[:, 1] >= edge
    if east.all() or not east.any():
        return ([], [ring]) if east.all() else ([ring], [])
    changes = np.flatnonzero(east != np.roll(east, -1))
    crossings = np.array([_crossing(ring[one], ring[(one + 1) % len(ring)], edge) for one in changes])
    order = np.argsort(crossings[:, 0], kind="stable")
    partner = {int(one): int(other) for one, other in zip(order, order.reshape(-1, 2)[:, ::-1].ravel(), strict=True)}
    parts: tuple[list[Outline], list[Outline]] = ([], [])
    unused = set(range(len(changes)))
    while unused:
        chain = min(unused)
        side, corners = int(east[(changes[chain] + 1) % len(ring)]), list[NDArray[np.float64]]()
        while chain in unused:
            unused.remove(chain)
            after = (chain + 1) % len(changes)
            inner = np.arange(changes[chain] + 1, changes[after] + 1 + (len(ring) if after <= chain else 0))
            corners += [crossings[chain], *ring[inner % len(ring)], crossings[after]]
            chain = partner[after]
        parts[side].append(np.array(corners))
    return parts


def _crossing(before: Outline, after: Outline, edge: float) -> Outline:
    share = (edge - before[1]) / (after[1] - before[1])
    return np.array([before[0] + share * (after[0] - before[0]), edge])


def _shifted(points: "list[Outline] | Outline", band: float) -> Outline:
    # Rounding may have left it a little outside.
    return np.clip(np.asarray(points) - [0, 360 * band], [-90, -180], [90, 180])
