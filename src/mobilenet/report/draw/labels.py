"""Placement of point labels in a plot so that they overlap neither each other nor a line; all lengths in points."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Box", "place"]

_CHARACTER, _LINE = 0.6, 1.2
"""Width of a character and height of a line, relative to the font size; generous, since browsers differ."""

_GAPS = (7.0, 12.0, 18.0, 26.0)
_SIDES = ((1, 1), (1, -1), (-1, 1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1))
_SLANT = 0.35
"""A name to the right or left of its point is raised or lowered by this fraction of its gap."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle; y grows upwards."""

    left: float
    bottom: float
    right: float
    top: float

    def shared(self, other: "Box") -> float:
        """The area of the intersection."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(width, 0.0) * max(height, 0.0)

    @property
    def area(self) -> float:
        """Width times height."""
        return (self.right - self.left) * (self.top - self.bottom)


def place(
    names: Sequence[str], points: Sequence[tuple[float, float]], taken: Sequence[Box], within: Box, size: float
) -> tuple[Box, ...]:
    """A box for each name near its point, in order: the first position that overlaps neither earlier boxes nor `taken`
    and lies `within`, else the one that overlaps least. `size` is the font size."""
    found: list[Box] = []
    for name, point in zip(names, points, strict=True):
        others = [*taken, *found]
        found.append(min(_around(name, point, size), key=lambda box: _in_the_way(box, others, within)))
    return tuple(found)


def _in_the_way(box: Box, others: Sequence[Box], within: Box) -> float:
    return box.area - box.shared(within) + sum(box.shared(other) for other in others)


def _around(name: str, point: tuple[float, float], size: float) -> Iterator[Box]:
    """Candidate positions, best first."""
    width, height = _CHARACTER * size * len(name), _LINE * size
    for gap in _GAPS:
        for right, up in _SIDES:
            left = point[0] + {1: gap, 0: -width / 2, -1: -gap - width}[right]
            rise = gap * (_SLANT if right else 1.0)
            bottom = point[1] + {1: rise, 0: -height / 2, -1: -rise - height}[up]
            yield Box(left, bottom, left + width, bottom + height)
