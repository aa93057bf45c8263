"""Which candidates of a grid are measured; the others are estimated from them."""

from collections.abc import Sequence

__all__ = ["for_latency", "for_memory"]

_PATTERN, _MEASURED = 5, (0, 2, 4)
"""Of every five candidates on a diagonal these are measured: three of five in every row and in every column."""

_FEW = 8
"""Up to this number of candidates, the memory of each is measured."""


def for_latency(widths: Sequence[float], resolutions: Sequence[int]) -> list[tuple[float, int]]:
    """The corners of the grid, and a pattern that covers every width and every resolution."""
    corners = {(width, side) for width in (min(widths), max(widths)) for side in (min(resolutions), max(resolutions))}
    return [
        (width, side)
        for row, width in enumerate(widths)
        for column, side in enumerate(resolutions)
        if (2 * row + column) % _PATTERN in _MEASURED or (width, side) in corners
    ]


def for_memory(points: Sequence[tuple[float, int]]) -> list[tuple[float, int]]:
    """Every second point and the last, as each needs a process of its own; all if there are few."""
    if len(points) <= _FEW:
        return list(points)
    return [point for number, point in enumerate(points) if number % 2 == 0 or number == len(points) - 1]
