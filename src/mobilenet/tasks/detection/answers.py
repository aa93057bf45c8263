"""What was found in a photo, in its pixels: as lines, as JSON, and drawn on it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.images.overlay import Mark, draw_marks, palette_colour
from mobilenet.tasks.detection.targets import Found
from mobilenet.tasks.sections import Part

__all__ = ["DEFAULT_THRESHOLD", "THRESHOLD", "Detected", "Located", "detected", "drawn", "least_score"]

THRESHOLD = "threshold"
"""The field of the vocabulary: the score from which boxes are shown."""

DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class Located:
    """One thing in a photo: its name and the name's place in the vocabulary, the score (0…1), and the sides of its box
    in pixels of the upright original photo."""

    label: str
    place: int
    score: float
    top: float
    left: float
    bottom: float
    right: float


@dataclass(frozen=True, slots=True)
class Detected:
    """What was found in a photo of `height` by `width` pixels with a score of at least `least`, best first."""

    boxes: tuple[Located, ...]
    height: int
    width: int
    least: float

    def to_json(self) -> dict[str, Any]:
        """As an object for `json.dumps`; pixels have two decimals."""
        boxes = [
            {"label": one.label, "score": one.score}
            | {side: round(getattr(one, side), 2) for side in ("top", "left", "bottom", "right")}
            for one in self.boxes
        ]
        return {"height": self.height, "width": self.width, "least_score": self.least, "boxes": boxes}

    def lines(self) -> Iterator[str]:
        """As lines of text: `97.0 %  ace at x 12…80, y 3…44`."""
        for one in self.boxes:
            across, down = f"{one.left:.0f}…{one.right:.0f}", f"{one.top:.0f}…{one.bottom:.0f}"
            yield f"{100 * one.score:5.1f} %  {one.label} at x {across}, y {down}"
        if not self.boxes:
            yield f"nothing with a score of {100 * self.least:.0f} % or more"

    def drawn(self, pixels: NDArray[np.uint8], /) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 the upright photo -> a copy with the boxes and their names; see `drawn`."""
        return drawn(pixels, self)

    def parts(self) -> tuple[Part, ...]:
        """Nothing beside the picture."""
        return ()


def least_score(decoding: Mapping[str, Any], min_confidence: float | None) -> float:
    """The score from which boxes are shown: what the user asks for, else that of the vocabulary's fields, else 0.5."""
    return float(decoding.get(THRESHOLD, DEFAULT_THRESHOLD) if min_confidence is None else min_confidence)


def detected(found: Sequence[Found], names: Sequence[str], sizes: NDArray[Any], least: float) -> list[Detected]:
    """What was found in N photos -> the answer for each; `sizes` (N, 2) heights and widths in pixels."""
    return [
        _detected(one, names, height, width, least)
        for one, (height, width) in zip(found, np.asarray(sizes).tolist(), strict=True)
    ]


def drawn(pixels: NDArray[np.uint8], answer: Detected) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 the upright photo -> a copy with the boxes and their names, (k·H, k·W, 3) for a small photo; see
    `images.overlay`."""
    sides = (answer.height, answer.width, answer.height, answer.width)
    marks = []
    for one in answer.boxes:
        top, left, bottom, right = (
            side / length for side, length in zip((one.top, one.left, one.bottom, one.right), sides, strict=True)
        )
        text = f"{one.label} {100 * one.score:.0f} %"
        marks.append(Mark((top, left, bottom, right), text, palette_colour(one.place)))
    return draw_marks(pixels, marks)


def _detected(found: Found, names: Sequence[str], height: int, width: int, least: float) -> Detected:
    kept = found.scores >= least
    pixels = found.boxes[kept].astype(np.float64) * (height, width, height, width)
    rows = zip(found.labels[kept].tolist(), found.scores[kept].tolist(), pixels.tolist(), strict=True)
    boxes = tuple(Located(names[label], label, score, *sides) for label, score, sides in rows)
    return Detected(boxes, height, width, least)
