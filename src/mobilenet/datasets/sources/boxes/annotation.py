"""The boxes of one photo: as an annotation file has them, and as they are used; and what may be wrong with them."""

import unicodedata
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "MENDED",
    "Annotation",
    "Box",
    "Corners",
    "Fault",
    "PhotoBoxes",
    "Reason",
    "as_label",
    "as_number",
    "as_size",
]

Corners = tuple[float, float, float, float]
"""Top, left, bottom, right."""

_LONGEST_LABEL = 256
_LONGEST_SIDE = 1e9


class Reason(StrEnum):
    """Why a box is not used, or is not used as it is written."""

    NO_BOX = "object without a box"
    NOT_A_NUMBER = "coordinate that is not a number"
    NO_AREA = "box without area"
    OUTSIDE = "box outside the photo"
    REPEATED = "box listed twice"
    NO_CLASS = "object without a known class"
    NO_PHOTO = "photo that is missing, or whose name several have"
    UNREADABLE = "photo that cannot be read"
    SIDEWAYS = "photo whose height and width are swapped in its annotation, while no EXIF orientation says why"
    NO_ANNOTATION = "annotation that is missing"
    DAMAGED = "annotation that cannot be read"
    SWAPPED = "corners in the wrong order"
    CLIPPED = "box beyond the edge of the photo"


MENDED = frozenset({Reason.SWAPPED, Reason.CLIPPED})
"""The box is used all the same: its corners put in order, or clipped to the photo."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one object of a photo, or with its annotation as a whole; `detail` is what the file says.

    `photo` is its name in `BoxSet.photos`, or what the annotation calls a photo that is not there; `place` is where the
    object is, in shares of the upright photo, also beyond it, None where nobody can tell.
    """

    photo: str
    reason: Reason
    detail: str = ""
    place: Corners | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Box:
    """One object as a file has it, in the unit of its annotation."""

    label: str
    corners: Corners
    crowd: bool = False


@dataclass(frozen=True, slots=True)
class Annotation:
    """What a file says of one photo, neither checked nor turned.

    `size`: the height and width of the photo in pixels, as the file claims, or None. `faults` (reason and detail) are
    those of objects that have no box to check.
    """

    boxes: tuple[Box, ...]
    unit: Literal["pixels", "fractions"]
    size: tuple[float, float] | None = None
    faults: tuple[tuple[Reason, str], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class PhotoBoxes:
    """The B boxes of one photo, in the order of their corners: `labels` (B,), and `boxes` (B, 4) float64, the top,
    left, bottom and right of each in pixels of the photo as people see it, in whole 32nds, within the photo.

    `crowd` (B,) bool: a box around many objects. `size`: the height and width of that photo in pixels. `names` are the
    classes of its part of the data set, which may have no box.
    """

    names: tuple[str, ...]
    size: tuple[int, int]
    labels: tuple[str, ...]
    boxes: NDArray[np.float64]
    crowd: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.labels)


def as_number(value: object) -> float:
    """A number of a JSON or text file as a float, whatever its type; NaN for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return float("nan")
    if isinstance(value, str) and "_" in value:
        # Python's own way of writing 1_000.
        return float("nan")
    try:
        return float(value)
    except (ValueError, OverflowError):
        return float("nan")


def as_label(value: object) -> str | None:
    """The name of a class, trimmed and composed; None for what cannot be one, as more than 256 letters."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or (not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text)):
        return None
    label = " ".join(unicodedata.normalize("NFC", text[: 2 * _LONGEST_LABEL]).split())
    return label if 0 < len(label) <= _LONGEST_LABEL else None


def as_size(height: object, width: object) -> tuple[float, float] | None:
    """The height and width of a photo in pixels, None unless both are such: some tools write 0 for what they did not
    know."""
    size = (as_number(height), as_number(width))
    return size if all(1 <= side <= _LONGEST_SIDE for side in size) else None
