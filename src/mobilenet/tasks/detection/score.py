"""The figures of a detector: COCO's averages, and at one score what was found, missed, invented and swapped.

Crowds count nowhere. A class without boxes has no figures, and is not in the means.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.metrics import detection as metrics
from mobilenet.metrics.detection import BACKGROUND, RECALLS, SIZES, Averages, Detections, Matches, Truth
from mobilenet.tasks.detection.targets import BoxTargets, Found

__all__ = ["Judged", "agreement", "background_name", "judged", "score"]

_CURVE_STEP = 2
"""Of the 101 points of a class's curve, every second one is stored."""

_AGREEING, _NEARLY, _OVERLAP = 0.3, 2 / 3, 0.9
"""Boxes of at least this score are compared; their counterparts may have a share less, and overlap by this IoU."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What was found in each of N photos, their `targets`, and both in pixels: `everything` that was found and `truth`,
    the labelled boxes (M, 4); `found` (K, 4) are detections of at least `threshold`, `pairs` their matches at IoU 0.5.

    `threshold`: the score with the best F1 on these photos; None, and no detections, if there is no hit at any score.
    """

    photos: Sequence[Found]
    targets: BoxTargets
    everything: Detections
    truth: Truth
    threshold: float | None
    found: Detections
    pairs: Matches


def background_name(names: Sequence[str]) -> str:
    """What stands in place of a name where there is no box: a word that is none of the names."""
    name = "background"
    while name in names:
        name = f"({name})"
    return name


def judged(found: Sequence[Found], targets: BoxTargets) -> Judged:
    """What was found in N photos beside their (M, 4) boxes, from the score up that has the best F1."""
    everything, truth = _detections(found, targets), _truth(targets)
    hits = _hits(everything, truth, metrics.matches(everything, truth, len(targets)))
    in_crowd = hits.truth == metrics.IN_CROWD
    right = hits.truth >= 0
    single = int((~truth.crowd).sum())
    threshold = metrics.best_threshold(everything.scores[~in_crowd], right[~in_crowd], single)
    chosen = everything.scores >= (np.inf if threshold is None else threshold)
    kept = Detections(*(values[chosen] for values in _columns(everything)))
    pairs = metrics.matches(kept, truth, len(targets))
    return Judged(found, targets, everything, truth, threshold, kept, pairs)


def score(at: Judged, names: Sequence[str]) -> dict[str, Any]:
    """All figures of detections beside labelled boxes as JSON values, None where there is nothing to measure them on.

    `ap` is COCO's mean over classes and IoU 0.5 … 0.95, and `loss` what it lacks of 1; `ap50` and `ap75` are at one
    IoU, `ar_10` is the recall of the best 10 boxes per photo and class. `threshold` is the score with the best F1, at
    which `precision`, `recall`, `f1`, the confusion and the counts of each class are taken.
    """
    targets, classes = at.targets, len(names)
    coco = metrics.averages(at.everything, at.truth, len(targets), classes)
    confusion = metrics.confusion(at.found, at.truth, at.pairs, classes)
    right = int(np.diag(confusion)[:classes].sum())
    boxes, shown = int(confusion[:classes].sum()), int(confusion[:, :classes].sum())
    empty = targets.starts[1:] == targets.starts[:-1]
    ap = coco.ap()
    return {
        "ap": ap,
        "loss": None if ap is None else 1 - ap,
        "ap50": coco.ap(0.5),
        "ap75": coco.ap(0.75),
        **{f"ap_{size}": coco.ap(size=size) for size in list(SIZES)[1:]},
        "ar_1": coco.ar(1),
        "ar_10": coco.ar(10),
        "ar_100": coco.ar(100),
        **{f"ar_{size}": coco.ar(size=size) for size in list(SIZES)[1:]},
        "threshold": at.threshold,
        "precision": _ratio(right, shown),
        "recall": _ratio(right, boxes),
        "f1": _ratio(2 * right, shown + boxes),
        "boxes": boxes,
        "crowds": int(at.truth.crowd.sum()),
        "detections": shown,
        "empty_photos": int(empty.sum()),
        "empty_photos_with_detections": int(empty[np.unique(at.found.photos)].sum()),
        "labels": list(names),
        "background": background_name(names),
        "classes": _classes(names, coco, confusion, at),
        "sizes": _sizes(coco, at),
        "curves": _curves(coco),
        "confusion": _cells(confusion),
    }


def agreement(ours: Sequence[Found], theirs: Sequence[Found]) -> float:
    """What two networks found in N photos -> the share (0…1) of the boxes with a score of at least 0.3 that the
    other one has too: of the same class, with an IoU of at least 0.9 and a score of at least 0.2.

    Where no box of either has such a score, both limits are lower: a third and half of the best one. 0 if neither found
    anything, which proves nothing.
    """
    best = max((float(one.scores.max(initial=0)) for one in (*ours, *theirs)), default=0.0)
    least = _AGREEING if best >= _AGREEING else best / 2
    counts = [
        _shared(first, second, least)
        for one, other in zip(ours, theirs, strict=True)
        for first, second in ((one, other), (other, one))
    ]
    shared, all_boxes = np.array(counts).reshape(-1, 2).sum(0).tolist()
    return float(shared / all_boxes) if all_boxes else 0.0


def _shared(first: Found, second: Found, least: float) -> tuple[int, int]:
    """Of the boxes of `first` with that score: how many `second` has too, and how many there are."""
    mine, others = first.scores >= least, second.scores >= least * _NEARLY
    overlaps = metrics.iou(first.boxes[mine].astype(np.float64), second.boxes[others].astype(np.float64))
    same = first.labels[mine][:, None] == second.labels[others][None]
    return int(((overlaps >= _OVERLAP) & same).any(1).sum()), int(mine.sum())


def _hits(found: Detections, truth: Truth, pairs: Matches) -> Matches:
    """The matches between equal classes alone."""
    place = np.flatnonzero(pairs.truth >= 0)
    swapped = place[truth.labels[pairs.truth[place]] != found.labels[place]]
    only = Matches(pairs.truth.copy(), pairs.found.copy())
    only.found[only.truth[swapped]] = BACKGROUND
    only.truth[swapped] = BACKGROUND
    return only


def _classes(names: Sequence[str], coco: Averages, confusion: NDArray[np.int64], at: Judged) -> list[dict[str, Any]]:
    single = ~at.truth.crowd
    photos = np.unique(np.stack([at.truth.labels[single], at.truth.photos[single]]), axis=1)[0]
    boxes, shown = confusion[:-1].sum(1).tolist(), confusion[:, :-1].sum(0).tolist()
    right = np.diag(confusion).tolist()
    return [
        {
            "label": name,
            "boxes": boxes[place],
            "photos": int((photos == place).sum()),
            "ap": coco.class_ap(place),
            "ap50": coco.class_ap(place, 0.5),
            "ar_100": coco.class_ar(place),
            "precision": _ratio(right[place], shown[place]),
            "recall": _ratio(right[place], boxes[place]),
            "misses": int(confusion[place, -1]),
            "false_alarms": int(confusion[-1, place]),
            "swapped": boxes[place] - right[place] - int(confusion[place, -1]),
        }
        for place, name in enumerate(names)
    ]


def _sizes(coco: Averages, at: Judged) -> list[dict[str, Any]]:
    single = ~at.truth.crowd
    sizes = metrics.size_of(at.truth.areas)
    hit = _hits(at.found, at.truth, at.pairs).found >= 0
    return [
        {
            "size": size,
            "boxes": int((these := single & (sizes == place)).sum()),
            "ap": coco.ap(size=size),
            "ar_100": coco.ar(size=size),
            "recall": _ratio(int(hit[these].sum()), int(these.sum())),
        }
        for place, size in enumerate(list(SIZES)[1:])
    ]


def _curves(coco: Averages) -> dict[str, Any]:
    mean = coco.mean_curve
    return {
        "recall": RECALLS[::_CURVE_STEP].round(4).tolist(),
        "mean": None if mean is None else mean[::_CURVE_STEP].round(4).tolist(),
        "classes": [
            None if curve[0] < 0 else curve[::_CURVE_STEP].round(4).tolist() for curve in np.asarray(coco.curves).T
        ],
    }


def _cells(confusion: NDArray[np.int64]) -> dict[str, list[int]]:
    """The cells that are not zero, row by row, as columns: the place after the last class is the background."""
    true, predicted = np.nonzero(confusion)
    return {"true": true.tolist(), "predicted": predicted.tolist(), "boxes": confusion[true, predicted].tolist()}


def _detections(found: Sequence[Found], targets: BoxTargets) -> Detections:
    counts = [len(one.scores) for one in found]
    photos = np.repeat(np.arange(len(found)), counts)
    if not sum(counts):
        return Detections(photos, np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0))
    return Detections(
        photos,
        np.concatenate([one.boxes for one in found]) * _sides(targets, photos),
        np.concatenate([one.labels for one in found]).astype(np.int64),
        np.concatenate([one.scores for one in found]).astype(np.float64),
    )


def _truth(targets: BoxTargets) -> Truth:
    photos = targets.of_photos()
    return Truth(photos, targets.boxes * _sides(targets, photos), targets.labels, targets.crowd)


def _sides(targets: BoxTargets, photos: NDArray[np.int64]) -> NDArray[np.float64]:
    """(K, 4) height, width, height, width in pixels of the photo of each box."""
    return targets.sizes[photos].astype(np.float64)[:, [0, 1, 0, 1]]


def _columns(found: Detections) -> tuple[NDArray[Any], ...]:
    return found.photos, found.boxes, found.labels, found.scores


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
