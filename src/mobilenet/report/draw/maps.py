"""A map of the world or of a part of it, as paths for the page's SVG: an equirectangular projection that is true to
scale at the middle of what it shows."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mobilenet.geography.antimeridian import Outline, cut_line, cut_ring
from mobilenet.geography.circles import circle, great_circle, with_great_circles
from mobilenet.geography.land import land
from mobilenet.tasks.sections import Degrees, Map, Spot

__all__ = ["DrawnMap", "Shape", "drawn_map"]

_WIDTH = 1000.0
"""Units across."""

_MARGIN = 0.15
_LEAST_DEG = 16.0
"""Of latitude: what is closer has no shape at this scale of coasts."""

_WIDE = 200.0
"""A window of more degrees of longitude is the whole world."""

_STEPS = (2, 5, 10, 15, 30)
_LINES = 7
"""Most meridians of the grid, and most parallels."""

_LABEL = 6.0
"""Units between a label and the edge."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One path with its opacity (0…1), and what is shown for the mouse."""

    kind: str
    path: str
    title: str = ""
    opacity: float = 1.0


@dataclass(frozen=True, slots=True)
class DrawnMap:
    """`shapes` from the bottom to the top; `labels` of the grid: text, x, y, anchor; `key`: kind and words."""

    description: str
    width: float
    height: float
    land: str
    grid: str
    labels: tuple[tuple[str, float, float, str], ...]
    shapes: tuple[Shape, ...]
    key: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Window:
    """What is shown: degrees, of which `east` may be beyond 180; units per degree across and down."""

    south: float
    north: float
    west: float
    east: float

    @property
    def across(self) -> float:
        return _WIDTH / (self.east - self.west)

    @property
    def down(self) -> float:
        return self.across / _narrowness((self.south + self.north) / 2)

    @property
    def height(self) -> float:
        return self.down * (self.north - self.south)


def drawn_map(part: Map) -> DrawnMap:
    """The paths of a map; coordinates have one decimal of a thousandth of its width."""
    window = _WORLD if part.extent == "world" else _around(part)
    grid, labels = _grid(window)
    return DrawnMap(
        description=part.description,
        width=_WIDTH,
        height=round(window.height, 1),
        land=_path(window, land(), close=True),
        grid=grid,
        labels=labels,
        shapes=tuple(_shapes(window, part)),
        key=part.key,
    )


def _narrowness(latitude: float) -> float:
    """How much shorter a degree of longitude is than one of latitude; near a pole, where maps would be endlessly high,
    what it is at 75°."""
    return float(np.cos(np.radians(min(abs(latitude), 75.0))))


_WORLD = _Window(-90, 90, -180, 180)


def _shapes(window: _Window, part: Map) -> Iterator[Shape]:
    outlines = [with_great_circles(np.array(area.corners)) for area in part.areas]
    for area, outline in zip(part.areas, outlines, strict=True):
        yield Shape("area", _path(window, cut_ring(outline), close=True), area.title, 0.1 + 0.8 * area.value)
    yield from _lines(window, "edge", map(_closed, outlines))
    rings = [circle(*one.centre, one.radius_km) for one in part.circles]
    for one, ring in zip(part.circles, rings, strict=True):
        yield Shape("circle", _path(window, cut_ring(ring), close=True), one.title)
    yield from _lines(window, "round", map(_closed, rings))
    yield from _lines(window, "error", (great_circle(*error) for error in part.errors))
    kinds: tuple[Literal["true", "predicted"], ...] = ("true", "predicted")
    for kind in kinds:
        yield from _spots(window, kind, [spot for spot in part.spots if spot.kind == kind])


def _closed(ring: Outline) -> Outline:
    return np.concatenate([ring, ring[:1]])


def _lines(window: _Window, kind: str, lines: Iterable[Outline]) -> Iterator[Shape]:
    """Edges are lines of their own: what is cut has an edge more."""
    pieces = [piece for line in lines for piece in cut_line(line)]
    if pieces:
        yield Shape(kind, _path(window, pieces, close=False))


def _spots(window: _Window, kind: str, spots: Sequence[Spot]) -> Iterator[Shape]:
    """Dots on a halo, which keeps them apart from what is below; those without a title are one path."""
    if spots:
        yield Shape("halo", _dots(window, [spot.place for spot in spots]))
    untitled = [spot.place for spot in spots if not spot.title]
    if untitled:
        yield Shape(kind, _dots(window, untitled))
    for spot in spots:
        if spot.title:
            yield Shape(kind, _dots(window, [spot.place]), spot.title)


def _dots(window: _Window, places: Iterable[Degrees]) -> str:
    """Lines of no length, whose round ends are dots of the same size on every screen."""
    found = []
    for latitude, longitude in places:
        x = (longitude - window.west) % 360 * window.across
        found.append(f"M{x:.1f} {(window.north - latitude) * window.down:.1f}h0")
    return "".join(found)


def _path(window: _Window, lines: Iterable[Outline], *, close: bool) -> str:
    """Rings or lines within -180…180, as far as they are in the window, which may reach beyond it on either side."""
    end = "z" if close else ""
    turned = (line + np.array([0, turn]) for line in lines for turn in (-360, 0, 360))
    return "".join(_drawn(window, line, end) for line in turned if _seen(window, line))


def _seen(window: _Window, line: Outline) -> bool:
    """Whether a line may be within the window: its box is."""
    (south, west), (north, east) = line.min(axis=0), line.max(axis=0)
    return bool(south <= window.north and north >= window.south and west < window.east and east > window.west)


def _drawn(window: _Window, line: Outline, end: str) -> str:
    points = np.stack([(line[:, 1] - window.west) * window.across, (window.north - line[:, 0]) * window.down], axis=1)
    tenths = np.rint(points * 10).astype(np.int64)
    moved = np.any(np.diff(tenths, axis=0), axis=1)
    steps = np.diff(tenths[np.concatenate([[True], moved])], axis=0)
    start = f"M{tenths[0, 0] / 10:g} {tenths[0, 1] / 10:g}"
    return start + "l" + " ".join(f"{x / 10:g} {y / 10:g}" for x, y in steps.tolist()) + end if len(steps) else ""


def _grid(window: _Window) -> tuple[str, tuple[tuple[str, float, float, str], ...]]:
    """Meridians and parallels, and their labels at the lower and at the left edge."""
    spread = max(window.east - window.west, window.north - window.south)
    step = next((step for step in _STEPS if spread / step <= _LINES), 60 if spread > 200 else _STEPS[-1])
    path, labels = [], []
    for meridian in _between(window.west, window.east, step):
        x = (meridian - window.west) * window.across
        path.append(f"M{x:.1f} 0v{window.height:.1f}")
        labels.append((_named((meridian + 180) % 360 - 180, "E", "W"), x, window.height - _LABEL, "middle"))
    for parallel in _between(window.south, window.north, min(step, 30)):
        y = (window.north - parallel) * window.down
        path.append(f"M0 {y:.1f}h{_WIDTH:g}")
        labels.append((_named(parallel, "N", "S"), _LABEL, y - _LABEL, "start"))
    return "".join(path), tuple((text, round(x, 1), round(y, 1), anchor) for text, x, y, anchor in labels)


def _between(low: float, high: float, step: int) -> list[int]:
    """Multiples of a step that are not at the edges."""
    margin = 0.03 * (high - low)
    first, last = int(np.ceil((low + margin) / step)), int(np.floor((high - margin) / step))
    return [step * number for number in range(first, last + 1)]


def _named(degrees: float, positive: str, negative: str) -> str:
    return f"{abs(degrees):g}°" + ("" if degrees in {0, -180} else f" {positive if degrees > 0 else negative}")


def _around(part: Map) -> _Window:
    """The window around what a map shows, on the page 1.5 to 2 times as wide as high."""
    points = np.concatenate([*_contents(part), np.empty((0, 2))])
    if not len(points):
        return _WORLD
    west, east = _span(points[:, 1])
    south, north = points[:, 0].min(), points[:, 0].max()
    high = max((north - south) * (1 + 2 * _MARGIN), _LEAST_DEG)
    middle = _on_earth((south + north) / 2, high)
    narrow = _narrowness(middle)
    wide = max((east - west) * (1 + 2 * _MARGIN), 1.5 * high / narrow)
    if wide > _WIDE or high > 120:
        return _WORLD
    high = max(high, wide * narrow / 2)
    middle, centre = _on_earth(middle, high), (west + east) / 2
    return _Window(middle - high / 2, middle + high / 2, centre - wide / 2, centre + wide / 2)


def _on_earth(middle: float, high: float) -> float:
    """The middle of a window that does not reach beyond a pole."""
    return float(np.clip(middle, high / 2 - 90, 90 - high / 2))


def _contents(part: Map) -> Iterator[Outline]:
    yield from (np.array([spot.place]) for spot in part.spots)
    yield from (np.array(error) for error in part.errors)
    yield from (np.concatenate(cut_ring(np.array(area.corners))) for area in part.areas)
    yield from (np.concatenate(cut_ring(circle(*one.centre, one.radius_km))) for one in part.circles)


def _span(longitudes: Outline) -> tuple[float, float]:
    """The shortest range of longitudes that has them all: all but the widest gap; the second may be beyond 180."""
    ordered = np.unique(longitudes % 360)
    gaps = np.diff(ordered, append=ordered[0] + 360)
    widest = int(gaps.argmax())
    west = float(ordered[(widest + 1) % len(ordered)])
    return west, west + 360 - float(gaps[widest])
