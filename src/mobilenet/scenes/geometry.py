"""Outlines: closed polygons of (n, 2) float64 points, x to the right and y down, and the pose that places them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Points", "Pose", "ellipse", "extent", "mirrored", "rectangle", "ribbon", "ring", "rounded"]

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pose:
    """A projective map from the object's plane to the image: `matrix` is (3, 3)."""

    matrix: NDArray[np.float64]

    def place(self, points: Points) -> Points:
        """(n, 2) points of the object -> (n, 2) points of the image."""
        mapped = points @ self.matrix[:, :2].T + self.matrix[:, 2]
        return np.asarray(mapped[:, :2] / mapped[:, 2:])

    def then(self, scale: float, shift: Points) -> "Pose":
        """This pose, then every image coordinate times `scale` plus `shift` (2,)."""
        after = np.array([[scale, 0, shift[0]], [0, scale, shift[1]], [0, 0, 1]])
        return Pose(after @ self.matrix)


def ellipse(centre: tuple[float, float], radius_x: float, radius_y: float, points: int = 28) -> Points:
    """The outline (points, 2) of an axis-aligned ellipse."""
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return np.stack([centre[0] + radius_x * np.cos(angle), centre[1] + radius_y * np.sin(angle)], axis=1)


def ring(centre: tuple[float, float], radius_x: float, radius_y: float, thickness: float) -> Points:
    """An ellipse with a hole, as one outline (n, 2) that runs around the outside and back around the inside."""
    outer = ellipse(centre, radius_x, radius_y)
    inner = ellipse(centre, max(radius_x - thickness, 0.01), max(radius_y - thickness, 0.01))
    return np.concatenate([outer, outer[:1], inner[:1], inner[:0:-1], inner[:1]])


def rectangle(left: float, top: float, right: float, bottom: float) -> Points:
    """The outline (4, 2) of an axis-aligned rectangle."""
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=float)


def mirrored(half: Points) -> Points:
    """The outline (2n, 2) whose right half is `half` (n, 2), from top to bottom, and whose left half mirrors it."""
    return np.concatenate([half, half[::-1] * [-1, 1]])


def ribbon(line: Points, width: float | Points) -> Points:
    """The outline (2n, 2) of a line (n, 2) drawn with a pen; `width` is one number or one per point (n,)."""
    along = np.gradient(line, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    across = np.stack([-along[:, 1], along[:, 0]], axis=1) * np.reshape(width, (-1, 1)) / 2
    return np.concatenate([line + across, (line - across)[::-1]])


def rounded(outline: Points, passes: int = 2) -> Points:
    """The outline (n, 2) with its corners cut `passes` times (Chaikin), which doubles n each time."""
    for _ in range(passes):
        following = np.roll(outline, -1, axis=0)
        cuts = np.stack([0.75 * outline + 0.25 * following, 0.25 * outline + 0.75 * following], axis=1)
        outline = cuts.reshape(-1, 2)
    return outline


def extent(outlines: list[Points]) -> tuple[Points, Points]:
    """The smallest and the largest x and y over all outlines: two arrays (2,)."""
    points = np.concatenate(outlines)
    return points.min(axis=0), points.max(axis=0)
