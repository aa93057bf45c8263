"""The boxes of an annotation, checked one by one, in pixels of the photo that people see.

Edges are rounded to 32nds of a pixel, so that the same boxes are the same numbers whichever format they come from:
fractions with six digits are a few thousandths of a pixel off.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from mobilenet.datasets.sources.boxes.annotation import Annotation, Box, Corners, PhotoBoxes, Reason
from mobilenet.images.decode import PhotoSize

__all__ = ["Frame", "Settled", "settle", "turned"]

_STEPS = 32
"""Of a pixel: every number of them is exact in binary."""

_SIMILAR = 0.02
"""By how much the shapes of a photo and of a smaller copy may differ, from rounding."""

_TOLERANCE = 1e-3
"""The share of a photo by which a box may be beyond its edge without mention, from rounding; at least 1 pixel."""

_ROUNDING = 1.001
"""Exactly one pixel is within the tolerance."""

_Sides = tuple[float, float]
"""Height and width."""


class Frame(StrEnum):
    """The picture that the coordinates of an annotation are in, where it is not simply the photo as people see it."""

    TURNED = "the photo as stored, before it is turned by its EXIF orientation"
    SCALED = "a smaller or larger copy of the photo"
    EITHER = "the photo as people see it, or as stored: its EXIF orientation turns it, and the annotation does not tell"
    STRETCHED = "a picture of another shape, as the size in the annotation says"
    MISSIZED = "the photo, which is larger than its annotation says"


@dataclass(frozen=True, slots=True)
class Settled:
    """The boxes that are used, what is wrong with others, and the picture that they were in, None for the photo.

    `places`: where each of `faults` is, in shares of the upright photo, also beyond it; None for what is nowhere.
    `otherwise` (B, 4): in shares too, where the boxes would be if a doubtful `frame` were the other one; None for one
    that is not doubtful.
    """

    boxes: PhotoBoxes
    faults: tuple[tuple[Reason, str], ...]
    frame: Frame | None
    places: tuple[Corners | None, ...] = ()
    otherwise: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class _Picture:
    """The picture of an annotation: its `scale`, the height and width that coordinates are relative to; its `sides` in
    pixels of the photo; the EXIF orientation by which it is turned; and what a pixel is in coordinates, 0 for none."""

    scale: _Sides
    sides: tuple[int, int]
    orientation: int = 1
    frame: Frame | None = None
    unit: float = 1.0


def settle(said: Annotation, size: PhotoSize, names: tuple[str, ...] = ()) -> Settled | Reason:
    """The boxes of one photo, of a part of a data set with these classes; a reason if nobody can tell where its boxes
    are."""
    picture = _picture(said, size)
    if picture is None:
        return Reason.SIDEWAYS
    faults, kept = list(said.faults), dict[tuple[Corners, str], Box]()
    places: list[Corners | None] = [None for _ in faults]
    for box in said.boxes:
        reasons, corners = _checked(box.corners, picture)
        if corners is not None:
            upright = turned(corners, picture.sides, picture.orientation)
            if kept.setdefault((upright, box.label), box) is not box:
                reasons.append(Reason.REPEATED)
        faults += [(reason, _words(box)) for reason in reasons]
        places += [_place(box.corners, picture) for _ in reasons]
    boxes = _arrays(names, (size.height, size.width), kept)
    otherwise = _otherwise(boxes, picture, said, size)
    return Settled(boxes, tuple(faults), picture.frame, tuple(places), otherwise)


def turned(corners: Corners, sides: tuple[int, int], orientation: int) -> Corners:
    """Corners in pixels of a photo as stored, with that height and width -> of the photo as an EXIF orientation (1 to
    8) has it turned."""
    top, left, bottom, right = corners
    height, width = sides
    if orientation in (3, 4, 6, 7):
        top, bottom = height - bottom, height - top
    if orientation in (2, 3, 7, 8):
        left, right = width - right, width - left
    return (left, top, right, bottom) if orientation > 4 else (top, left, bottom, right)


def _picture(said: Annotation, size: PhotoSize) -> _Picture | None:
    """The picture that coordinates are in; None if the pixels were turned after the boxes were drawn, or the other way
    round, and nobody knows to which side."""
    upright, stored, claimed = (size.height, size.width), size.stored, said.size
    either = Frame.EITHER if size.orientation > 1 and said.boxes else None
    if said.unit == "fractions":
        return _Picture((1.0, 1.0), upright, frame=either, unit=0.0)
    if claimed is None:
        return _Picture(upright, upright, frame=either)
    if claimed == upright:
        return _Picture(upright, upright, frame=either if stored == upright else None)
    if claimed == stored:
        return _Picture(stored, stored, size.orientation, Frame.TURNED)
    if _fit(said, upright) and not _fit(said, claimed):
        return _Picture(upright, upright, frame=Frame.MISSIZED)
    if _similar(claimed, upright):
        return _Picture(claimed, upright, frame=either if either and _similar(claimed, stored) else Frame.SCALED)
    if _similar(claimed, stored):
        return _Picture(claimed, stored, size.orientation, Frame.TURNED)
    return None if _similar(claimed, upright[::-1]) else _Picture(claimed, upright, frame=Frame.STRETCHED)


def _fit(said: Annotation, sides: _Sides) -> bool:
    """Whether all boxes are within a picture of that height and width, but for a pixel."""
    return all(max(box.corners[::2]) <= sides[0] + 1 and max(box.corners[1::2]) <= sides[1] + 1 for box in said.boxes)


def _similar(one: _Sides, other: _Sides) -> bool:
    return abs(math.log(one[0] * other[1] / (one[1] * other[0]))) < _SIMILAR


def _checked(corners: Corners, picture: _Picture) -> tuple[list[Reason], Corners | None]:
    """What is wrong with a box, and its corners in pixels within the picture, None if it cannot be used."""
    if not all(map(math.isfinite, corners)):
        return [Reason.NOT_A_NUMBER], None
    (top, bottom), (left, right) = sorted(corners[::2]), sorted(corners[1::2])
    if top == bottom or left == right:
        return [Reason.NO_AREA], None
    reasons = [] if (top, left, bottom, right) == tuple(corners) else [Reason.SWAPPED]
    beyond, edges = False, list[float]()
    for edge, scale, side in zip((top, left, bottom, right), picture.scale * 2, picture.sides * 2, strict=True):
        whole = edge if scale == side else edge / scale * side
        inside = min(max(whole, 0.0), float(side))
        slack = max(picture.unit * side / scale, _TOLERANCE * side)
        beyond |= abs(whole - inside) > slack * _ROUNDING
        edges.append(inside)
    if edges[0] == edges[2] or edges[1] == edges[3]:
        return [Reason.OUTSIDE], None
    top, left, bottom, right = (round(edge * _STEPS) / _STEPS for edge in edges)
    if top == bottom or left == right:
        return [Reason.NO_AREA], None
    return [*reasons, Reason.CLIPPED] if beyond else reasons, (top, left, bottom, right)


def _arrays(names: tuple[str, ...], size: tuple[int, int], kept: dict[tuple[Corners, str], Box]) -> PhotoBoxes:
    """In an order that does not depend on the file."""
    ordered = sorted(kept)
    return PhotoBoxes(
        names,
        size,
        tuple(label for _, label in ordered),
        np.array([corners for corners, _ in ordered], np.float64).reshape(-1, 4),
        np.array([kept[key].crowd for key in ordered], np.bool_),
    )


def _place(corners: Corners, picture: _Picture) -> Corners | None:
    """Corners in shares of the upright photo, whatever is wrong with them; None without numbers."""
    if not all(map(math.isfinite, corners)):
        return None
    (top, bottom), (left, right) = sorted(corners[::2]), sorted(corners[1::2])
    (height, width) = picture.scale
    shares = (top / height, left / width, bottom / height, right / width)
    return turned(shares, (1, 1), picture.orientation)


def _otherwise(boxes: PhotoBoxes, picture: _Picture, said: Annotation, size: PhotoSize) -> NDArray[np.float64] | None:
    upright = np.array([size.height, size.width] * 2, np.float64)
    shares = boxes.boxes / upright
    if picture.frame is Frame.EITHER:
        rows = [
            turned((top, left, bottom, right), (1, 1), size.orientation) for top, left, bottom, right in shares.tolist()
        ]
        return np.array(rows, np.float64).reshape(-1, 4)
    if said.size is None or picture.frame not in (Frame.STRETCHED, Frame.MISSIZED):
        return None
    ratio = np.tile(said.size, 2) / upright
    return np.asarray(shares * ratio if picture.frame is Frame.STRETCHED else shares / ratio)


def _words(box: Box) -> str:
    """`cat at 12, 30, 12, 80`: as in the file, top, left, bottom, right."""
    return f"{box.label} at {', '.join(f'{edge:.6g}' for edge in box.corners)}"
