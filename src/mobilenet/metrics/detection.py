"""Metrics of boxes: average precision and recall as on COCO, and which box was taken for which.

Boxes are (top, left, bottom, right) in pixels of the original photo. Average precision comes from hotcoco, which gives
the numbers of pycocotools bit for bit and takes arrays; matching at one overlap is done here, since it also says which
boxes were matched.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BACKGROUND",
    "IN_CROWD",
    "RECALLS",
    "SIZES",
    "Averages",
    "Detections",
    "Matches",
    "Size",
    "Truth",
    "averages",
    "best_threshold",
    "confusion",
    "iou",
    "matches",
    "size_of",
]

AnyFloats = NDArray[np.floating[Any]]

Size = Literal["all", "small", "medium", "large"]

SIZES: dict[Size, tuple[float, float]] = {
    "all": (0.0, 1e10),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}
"""COCO's ranges of a box's area in pixels² of the original photo; a box on a bound is in both."""

RECALLS = np.linspace(0.0, 1.0, 101)
"""(101,) the recalls at which precision is taken."""

BACKGROUND = -1
"""In place of an index: no box."""

IN_CROWD = -2
"""In place of an index: a crowd of the same class, in which a detection is neither right nor wrong."""

_OVERLAPS = np.linspace(0.5, 0.95, 10)
_MOST = (1, 10, 100)


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """M labelled boxes: `photos` (M,) int64 in ascending order, `boxes` (M, 4) float64 in pixels, `labels` (M,) int64,
    `crowd` (M,) bool: around more things than can be told apart, neither to be found nor wrong to find."""

    photos: NDArray[np.int64]
    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    crowd: NDArray[np.bool_]

    def __post_init__(self) -> None:
        _check(self.photos, self.boxes, self.labels, self.crowd)

    @property
    def areas(self) -> NDArray[np.float64]:
        """(M,) in pixels²."""
        return _areas(self.boxes).astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """K boxes that were found: `photos` (K,) int64 in ascending order, `boxes` (K, 4) float64 in pixels, `labels` (K,)
    int64, `scores` (K,) float64."""

    photos: NDArray[np.int64]
    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]

    def __post_init__(self) -> None:
        _check(self.photos, self.boxes, self.labels, self.scores)


@dataclass(frozen=True, eq=False)
class Averages:
    """COCO's arrays: `precision` (10 overlaps, 101 recalls, classes, 4 sizes) of at most 100 boxes per photo and class,
    and `recall` (10 overlaps, classes, 4 sizes, 3 numbers of boxes: 1, 10, 100); -1 where a class has no boxes."""

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]

    def ap(self, overlap: float | None = None, size: Size = "all") -> float | None:
        """Mean average precision, 0…1, at one IoU of 0.5, 0.55 … 0.95 or their mean; None without boxes."""
        return _mean(self._precision(overlap, size))

    def class_ap(self, label: int, overlap: float | None = None) -> float | None:
        """Average precision of one class; None if it has no boxes."""
        return _mean(self._precision(overlap, "all")[:, :, label])

    def ar(self, most: Literal[1, 10, 100] = 100, size: Size = "all") -> float | None:
        """Mean over IoU 0.5 … 0.95 of the recall of the best `most` boxes per photo and class; None without boxes."""
        return _mean(self.recall[:, :, _place(size), _MOST.index(most)])

    def class_ar(self, label: int) -> float | None:
        """The recall of the best 100 boxes of one class; None if it has none to be found."""
        return _mean(self.recall[:, label, 0, -1])

    @cached_property
    def curves(self) -> NDArray[np.float64]:
        """(101, classes) precision at IoU 0.5 and each of `RECALLS`; -1 for a class without boxes."""
        return np.asarray(self._precision(0.5, "all")[0])

    @property
    def mean_curve(self) -> NDArray[np.float64] | None:
        """(101,) mean of the curves of the classes that have boxes; None if there are none."""
        measured = self.curves[:, self.curves[0] > -1]
        return measured.mean(1) if measured.size else None

    def _precision(self, overlap: float | None, size: Size) -> NDArray[np.float64]:
        chosen = slice(None) if overlap is None else np.isclose(_OVERLAPS, overlap)
        return np.asarray(self.precision[chosen, :, :, _place(size)])


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """`truth` (K,) int64: for each detection the index of the box that it was matched with, whatever its class,
    `BACKGROUND` or `IN_CROWD`; `found` (M,) int64: for each labelled box the index of the detection, `BACKGROUND`
    without one. A match between equal classes is a hit."""

    truth: NDArray[np.int64]
    found: NDArray[np.int64]


def averages(found: Detections, truth: Truth, photos: int, classes: int) -> Averages:
    """COCO's average precision and recall of K detections (K, 4) for M boxes (M, 4) in `photos` photos.

    Sizes are by the area of a box, where COCO's own annotations have that of the object's outline.
    ModuleNotFoundError without hotcoco.
    """
    from hotcoco import COCO, COCOeval

    labelled = COCO.from_arrays(
        [{"id": number + 1, "width": 1, "height": 1} for number in range(photos)],
        [{"id": number + 1, "name": str(number)} for number in range(classes)],
        truth.photos + 1,
        truth.labels + 1,
        _xywh(truth.boxes),
        area=truth.areas,
        iscrowd=truth.crowd,
    )
    rows = (found.photos + 1, *_xywh(found.boxes).T, found.scores, found.labels + 1)
    evaluation = COCOeval(labelled, labelled.load_res(np.column_stack(rows).astype(np.float64)), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    result: dict[str, Any] = evaluation.eval or {}
    return Averages(result["precision"][..., -1], result["recall"])


def iou(boxes: AnyFloats, others: AnyFloats) -> AnyFloats:
    """(K, 4), (M, 4), float32 or float64 -> (K, M) intersection over union, 0…1; 0 for boxes without area."""
    both = _intersection(boxes, others)
    union = _areas(boxes)[:, None] + _areas(others)[None] - both
    return np.asarray(np.divide(both, union, out=np.zeros_like(both), where=union > 0))


def matches(found: Detections, truth: Truth, photos: int, overlap: float = 0.5) -> Matches:
    """Pairs of (K, 4) detections and (M, 4) boxes of one photo with at least that IoU, one to one, best score first.

    Boxes of the same class are matched first, as on COCO: the hits from any score upwards are those that its precision
    counts. What is left is then matched whatever its class: those are things that were found and named wrongly.
    """
    pairs = Matches(np.full(len(found.photos), BACKGROUND), np.full(len(truth.photos), BACKGROUND))
    for these, those in _by_photo(found, truth, photos):
        _match(found, truth, pairs, these, those, overlap)
    return pairs


def confusion(found: Detections, truth: Truth, pairs: Matches, classes: int) -> NDArray[np.int64]:
    """(classes + 1, classes + 1) boxes by their class (row) and the class they were found as (column); the last row are
    (K, 4) detections of nothing, the last column those of the (M, 4) boxes that were not found."""
    counts = np.zeros((classes + 1, classes + 1), np.int64)
    single = ~truth.crowd
    named = np.where(pairs.found >= 0, found.labels[pairs.found] if len(found.labels) else classes, classes)
    np.add.at(counts, (truth.labels[single], named[single]), 1)
    np.add.at(counts, (classes, found.labels[pairs.truth == BACKGROUND]), 1)
    return counts


def best_threshold(scores: NDArray[np.float64], hits: NDArray[np.bool_], boxes: int) -> float | None:
    """(K,) scores of detections, (K,) whether each is a hit -> the score from which up their F1 for that many boxes is
    highest, the highest of equally good ones; None without a hit.

    It lies midway between the lowest score that counts and the next one below, so that rounding changes no answer.
    """
    if not hits.any():
        return None
    order = np.argsort(-scores, kind="stable")
    ordered, right = scores[order], np.cumsum(hits[order])
    last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    best = int(np.argmax(2 * right[last] / (last + 1 + boxes)))
    below = ordered[last[best + 1]] if best + 1 < len(last) else 0.0
    return float((ordered[last[best]] + below) / 2)


def size_of(areas: NDArray[np.float64]) -> NDArray[np.int64]:
    """(M,) areas in pixels² -> (M,) 0 small, 1 medium, 2 large."""
    return np.digitize(areas, [SIZES["medium"][0], SIZES["large"][0]])


def _match(
    found: Detections,
    truth: Truth,
    pairs: Matches,
    these: NDArray[np.int64],
    those: NDArray[np.int64],
    overlap: float,
) -> None:
    """Writes the pairs of one photo, of the detections `these`, best first, and the boxes `those`."""
    shared = iou(found.boxes[these], truth.boxes[those])
    same = found.labels[these][:, None] == truth.labels[those][None]
    single = ~truth.crowd[those]
    limit = min(overlap, 1 - 1e-10)
    _pair(np.where(same & single, shared, -1.0), limit, pairs, these, those)
    many = those[truth.crowd[those]]
    if len(many):
        left = these[pairs.truth[these] == BACKGROUND]
        inside = _share_inside(found.boxes[left], truth.boxes[many]) >= limit
        inside &= found.labels[left][:, None] == truth.labels[many][None]
        pairs.truth[left[inside.any(1)]] = IN_CROWD
    _pair(np.where(single, shared, -1.0), limit, pairs, these, those)


def _pair(
    shared: NDArray[np.float64], limit: float, pairs: Matches, these: NDArray[np.int64], those: NDArray[np.int64]
) -> None:
    """Gives each detection without a box, in order, the free one with which it shares the most, the last of equals."""
    free = pairs.found[those] == BACKGROUND
    for row in np.flatnonzero((pairs.truth[these] == BACKGROUND) & (shared >= limit).any(1)).tolist():
        values = np.where(free, shared[row], -1.0)
        best = len(values) - 1 - int(np.argmax(values[::-1]))
        if values[best] >= limit:
            free[best] = False
            pairs.truth[these[row]], pairs.found[those[best]] = those[best], these[row]


def _by_photo(found: Detections, truth: Truth, photos: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The detections, best first, and the boxes of each photo that has both."""
    ends = [np.searchsorted(which, np.arange(photos + 1)) for which in (found.photos, truth.photos)]
    for photo in range(photos):
        these, those = (np.arange(end[photo], end[photo + 1]) for end in ends)
        if len(these) and len(those):
            yield these[np.argsort(-found.scores[these], kind="stable")], those


def _share_inside(boxes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K, 4), (M, 4) -> (K, M) the share of each box that lies inside of each other one."""
    areas = np.broadcast_to(_areas(boxes)[:, None], (len(boxes), len(others)))
    both = _intersection(boxes, others)
    return np.divide(both, areas, out=np.zeros_like(both), where=areas > 0)


def _intersection(boxes: AnyFloats, others: AnyFloats) -> AnyFloats:
    # Side by side: NumPy is slow on axes as short as two.
    height, width = (
        np.minimum(boxes[:, None, side + 2], others[:, side + 2]) - np.maximum(boxes[:, None, side], others[:, side])
        for side in (0, 1)
    )
    return np.asarray(np.maximum(height, 0) * np.maximum(width, 0))


def _areas(boxes: AnyFloats) -> AnyFloats:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


def _xywh(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(M, 4) as COCO writes them: left, top, width, height."""
    top, left, bottom, right = boxes.T
    return np.column_stack([left, top, right - left, bottom - top])


def _place(size: Size) -> int:
    return list(SIZES).index(size)


def _mean(values: NDArray[np.float64]) -> float | None:
    measured = values[values > -1]
    return float(measured.mean()) if measured.size else None


def _check(photos: NDArray[Any], boxes: NDArray[Any], *others: NDArray[Any]) -> None:
    """ValueError unless all are of the same boxes, in the order of their photos, and finite."""
    count = len(photos)
    if boxes.shape != (count, 4) or any(values.shape != (count,) for values in others):
        raise ValueError(f"arrays of {count} boxes have the shapes {[a.shape for a in (photos, boxes, *others)]}")
    if np.any(np.diff(photos) < 0):
        raise ValueError("boxes are not in the order of their photos")
    if not all(np.isfinite(values).all() for values in (boxes, *others)):
        raise ValueError("a box or a score is not finite")
