"""The boxes of an annotation, checked one by one, as fractions of the photo that people see."""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from mobilenet.datasets.sources.boxes.annotation import Annotation, Box, Corners, PhotoBoxes, Reason
from mobilenet.images.decode import PhotoSize

__all__ = ["Frame", "Settled", "settle", "turned"]

_SIMILAR = 0.02
"""By how much the shapes of a photo and of a smaller copy may differ, from rounding."""

_TOLERANCE = 1e-3
"""The share of a photo by which a box may be beyond its edge without mention, from rounding; at least 1 pixel."""


_ROUNDING = 1.001
"""Exactly one pixel is within the tolerance."""


class Frame(StrEnum):
    """The picture that the coordinates of an annotation are in, where it is not simply the photo as people see it."""

    TURNED = "the photo as stored, before it is turned by its EXIF orientation"
    SCALED = "a smaller or larger copy of the photo"
    STRETCHED = "a picture of another shape"
    DOUBTFUL = "the photo as people see it, or as stored: its EXIF orientation turns it, and the file does not tell"


@dataclass(frozen=True, slots=True)
class Settled:
    """The boxes that are used, what is wrong with others, and the picture that they were in, None for the photo."""

    boxes: PhotoBoxes
    faults: tuple[tuple[Reason, str], ...]
    frame: Frame | None


def settle(said: Annotation, size: PhotoSize | None) -> Settled | Reason:
    """The boxes of one photo; `size` is None if it is not known, which fractions do not need. A reason if nobody can
    tell where its boxes are."""
    if said.unit == "fractions":
        scale, orientation, frame = (1.0, 1.0), 1, None
    elif size is not None:
        if said.size is not None and _is_sideways(said.size, size):
            return Reason.SIDEWAYS
        scale, orientation, frame = _frame(said.size, size)
    elif said.size is not None:
        scale, orientation, frame = said.size, 1, None
    else:
        return Reason.NO_SIZE
    pixel = 0.0 if said.unit == "fractions" else 1.0
    slack = (max(pixel / scale[0], _TOLERANCE), max(pixel / scale[1], _TOLERANCE))
    faults, kept = list(said.faults), dict[tuple[str, Corners], Box]()
    for box in said.boxes:
        reasons, corners = _checked(box.corners, scale, slack)
        if corners is not None and kept.setdefault((box.label, corners), box) is not box:
            reasons.append(Reason.REPEATED)
        faults += [(reason, _words(box)) for reason in reasons]
    return Settled(_arrays(kept, orientation), tuple(faults), frame)


def turned(corners: Corners, orientation: int) -> Corners:
    """Corners as fractions of a photo as stored -> of the photo as an EXIF orientation (1 to 8) has it turned."""
    top, left, bottom, right = corners
    if orientation in (3, 4, 6, 7):
        top, bottom = 1 - bottom, 1 - top
    if orientation in (2, 3, 7, 8):
        left, right = 1 - right, 1 - left
    return (left, top, right, bottom) if orientation > 4 else (top, left, bottom, right)


def _frame(said: tuple[float, float] | None, size: PhotoSize) -> tuple[tuple[float, float], int, Frame | None]:
    """The height and width that coordinates are relative to, and the orientation by which they are to be turned."""
    upright, stored = (size.height, size.width), size.stored
    either = Frame.DOUBTFUL if size.orientation > 1 else None
    if said is None:
        return upright, 1, either
    if said == upright:
        return said, 1, either if stored == upright else None
    if said == stored:
        return said, size.orientation, Frame.TURNED
    if _similar(said, upright):
        return said, 1, either if either and _similar(said, stored) else Frame.SCALED
    if _similar(said, stored):
        return said, size.orientation, Frame.TURNED
    return said, 1, Frame.STRETCHED


def _is_sideways(said: tuple[float, float], size: PhotoSize) -> bool:
    """The pixels were turned after the boxes were drawn, or the other way round; nobody knows to which side."""
    upright = (size.height, size.width)
    return not any(_similar(said, sides) for sides in (upright, size.stored)) and _similar(said, upright[::-1])


def _similar(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return abs(math.log(one[0] * other[1] / (one[1] * other[0]))) < _SIMILAR


def _checked(
    corners: Corners, scale: tuple[float, float], slack: tuple[float, float]
) -> tuple[list[Reason], Corners | None]:
    """What is wrong with a box, and its corners as fractions within the photo, None if it cannot be used."""
    if not all(map(math.isfinite, corners)):
        return [Reason.NOT_A_NUMBER], None
    (top, bottom), (left, right) = sorted(corners[::2]), sorted(corners[1::2])
    if top == bottom or left == right:
        return [Reason.NO_AREA], None
    reasons = [] if (top, left, bottom, right) == tuple(corners) else [Reason.SWAPPED]
    whole = (top / scale[0], left / scale[1], bottom / scale[0], right / scale[1])
    inside = tuple(min(max(edge, 0.0), 1.0) for edge in whole)
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        return [Reason.OUTSIDE], None
    beyond = [abs(edge - kept) for edge, kept in zip(whole, inside, strict=True)]
    if any(by > most * _ROUNDING for by, most in zip(beyond, (*slack, *slack), strict=True)):
        reasons.append(Reason.CLIPPED)
    return reasons, (inside[0], inside[1], inside[2], inside[3])


def _arrays(kept: dict[tuple[str, Corners], Box], orientation: int) -> PhotoBoxes:
    corners = [turned(found, orientation) for _, found in kept]
    return PhotoBoxes(
        tuple(label for label, _ in kept),
        np.array(corners, np.float64).reshape(-1, 4),
        np.array([box.crowd for box in kept.values()], np.bool_),
        np.array([box.difficult for box in kept.values()], np.bool_),
    )


def _words(box: Box) -> str:
    """`cat at 12, 30, 12, 80`: as in the file, top, left, bottom, right."""
    return f"{box.label} at {', '.join(f'{edge:.6g}' for edge in box.corners)}"
