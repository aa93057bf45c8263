"""Decoding and suppression of boxes in ONNX, as `model.suppression.suppress` does it, for any number of photos."""

import numpy as np

from mobilenet.export.onnx.parts import Parts
from mobilenet.model.suppression import BOXES, CLASSES, COUNT, LARGEST, SCORES, Suppression

__all__ = ["write_suppression"]

_ABSENT = -1.0
"""The score of what is not a box of the photo."""


def write_suppression(how: Suppression, parts: Parts) -> None:
    """The tensors of `how.outputs`, (N, most, …), from those called `how.boxes` (N, P, 4) and `how.scores` (N, P, C).

    NonMaxSuppression gives the boxes of all photos in one list: M rows of photo, class and prior. `most`
    rows of photo -1 follow, so that TopK finds `most` of them for every photo.
    """
    corners = _decoded(how, parts)
    by_class = parts.node("Transpose", [how.scores], "scores by class", perm=[0, 2, 1])
    limits = [
        parts.constant("most", how.most, np.int64),
        parts.constant("overlap", how.overlap, np.float32),
        # Above, not from: the largest number below.
        parts.constant("least score", np.nextafter(np.float32(how.least_score), np.float32(-1)), np.float32),
    ]
    chosen = parts.node("NonMaxSuppression", [corners, by_class, *limits], "kept")
    fill = parts.constant("none", np.zeros((how.most, 3)), np.int64)
    rows = parts.node("Concat", [chosen, fill], "kept and none", axis=0)
    photo, label, prior = (_column(rows, place, parts) for place in range(3))
    values = parts.node("GatherND", [by_class, rows], "kept/scores")
    scores, places = _best(how, chosen, values, parts)
    found = parts.node("Greater", [scores, parts.shared("absent", _ABSENT, np.float32)], "found")
    real = parts.node("Cast", [found], "found/float32", to=1)
    parts.end("Mul", [scores, real], SCORES)
    parts.end("Mul", [parts.node("Gather", [_floats(label, parts), places], "classes"), real], CLASSES)
    one = parts.constant("axis 1", [1], np.int64)
    parts.end("ReduceSum", [real, one], COUNT, keepdims=0)
    pairs = parts.node("Concat", [photo, prior], "kept/priors", axis=1)
    boxes = parts.node("Gather", [parts.node("GatherND", [corners, pairs], "kept/boxes"), places], "boxes")
    last = parts.constant("axis 2", [2], np.int64)
    parts.end("Mul", [boxes, parts.node("Unsqueeze", [real, last], "found/boxes")], BOXES)


def _decoded(how: Suppression, parts: Parts) -> str:
    """(N, P, 4) top, left, bottom, right."""
    halves = parts.constant("halves", [2, 2], np.int64)
    scaled = parts.node("Div", [how.boxes, parts.constant("scales", how.scales, np.float32)], "codes")
    centre, logarithm = parts.several("Split", [scaled, halves], ["codes/centres", "codes/sides"], axis=2)
    sides = parts.constant("priors/sides", how.priors[:, 2:], np.float32)
    moved = parts.node("Mul", [centre, sides], "moved")
    middle = parts.node("Add", [moved, parts.constant("priors/centres", how.priors[:, :2], np.float32)], "centres")
    bounded = parts.node("Min", [logarithm, parts.constant("largest", LARGEST, np.float32)], "codes/bounded")
    lengths = parts.node("Mul", [parts.node("Exp", [bounded], "codes/exp"), sides], "sides")
    half = parts.node("Mul", [lengths, parts.constant("half", 0.5, np.float32)], "sides/half")
    ends = [parts.node("Sub", [middle, half], "starts"), parts.node("Add", [middle, half], "ends")]
    return parts.node("Concat", ends, "corners", axis=2)


def _column(rows: str, place: int, parts: Parts) -> str:
    """(M + most, 1)"""
    which = parts.constant(f"column {place}", [place], np.int64)
    return parts.node("Gather", [rows, which], f"kept/{place}", axis=1)


def _floats(column: str, parts: Parts) -> str:
    """(M + most, 1) int64 -> (M + most,) float32."""
    flat = parts.node("Squeeze", [column, parts.constant("column", [1], np.int64)], f"{column}/flat")
    return parts.node("Cast", [flat], f"{column}/float32", to=1)


def _best(how: Suppression, chosen: str, values: str, parts: Parts) -> tuple[str, str]:
    """For each of N photos the scores of its best boxes and their rows, (N, most); the others have the score -1."""
    of_none = parts.constant("of none", np.full(how.most, -1), np.int64)
    given = parts.node("Gather", [chosen, parts.constant("photo", 0, np.int64)], "kept/photo", axis=1)
    owners = parts.node("Concat", [given, of_none], "owners", axis=0)
    shape = parts.node("Shape", [how.scores], "photos/shape")
    count = parts.node("Gather", [shape, parts.constant("first", 0, np.int64)], "photos/count", axis=0)
    ends = [parts.constant("start", 0, np.int64), count, parts.constant("step", 1, np.int64)]
    photos = parts.node("Range", ends, "photos/numbers")
    column = parts.node("Unsqueeze", [photos, parts.constant("as column", [1], np.int64)], "photos")
    own = parts.node("Equal", [column, owners], "own")
    known = parts.node("Where", [own, values, parts.shared("absent", _ABSENT, np.float32)], "own/scores")
    most = parts.constant("how many", [how.most], np.int64)
    scores, places = parts.several("TopK", [known, most], ["best", "best/places"], axis=1, largest=1, sorted=1)
    return scores, places
