"""The worst mistakes of a detector: boxes that it missed, that are not there, and that it named wrongly."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobilenet.metrics.detection import BACKGROUND, iou
from mobilenet.tasks.detection.score import Judged, background_name
from mobilenet.tasks.detection.targets import Found
from mobilenet.tasks.task import Region, Wrong

__all__ = ["mistakes"]

_MOST_PHOTOS = 24
"""Of each kind."""

_MOST_REGIONS = 24
"""On one photo, of the labelled ones and of the predicted ones."""

_OVERLAP = 0.5


@dataclass(frozen=True, slots=True)
class _Mistake:
    """About a labelled box, a detection or a pair, by their places; `area` (pixels²) orders equally confident ones."""

    photo: int
    box: int
    detection: int
    confidence: float
    area: float = 0.0


@dataclass(frozen=True, slots=True)
class _Photos:
    """What the mistakes are drawn on: all boxes, what they are called, and the word for none."""

    at: Judged
    names: Sequence[str]
    background: str


def mistakes(at: Judged, names: Sequence[str]) -> list[Wrong]:
    """Detections beside labelled boxes -> for each kind of mistake the 24 photos with the worst ones, at the score with
    the best F1; of each photo the worst one, with the others of its kind among its regions.

    The label of what is not there, and the prediction for what was missed, is the background. A miss is as confident as
    the best score of a box there of its class is low; the largest come first.
    """
    photos = _Photos(at, names, background_name(names))
    kinds = (_misses(at), _false_alarms(at), _swaps(at))
    return [wrong for kind in kinds for wrong in _worst(kind, photos)]


def _misses(at: Judged) -> Iterator[_Mistake]:
    areas, targets = at.truth.areas, at.targets
    for box in np.flatnonzero((at.pairs.found == BACKGROUND) & ~at.truth.crowd).tolist():
        photo = int(at.truth.photos[box])
        there = _score_there(at.photos[photo], targets.boxes[box], int(targets.labels[box]))
        yield _Mistake(photo, box, BACKGROUND, 1 - there, float(areas[box]))


def _score_there(found: Found, box: NDArray[np.float32], label: int) -> float:
    """The best score of what was found of that class around the box (4,), however low; 0 for nothing."""
    same = found.labels == label
    shared = iou(found.boxes[same].astype(np.float64), box[None].astype(np.float64))[:, 0]
    return float(found.scores[same][shared >= _OVERLAP].max(initial=0))


def _false_alarms(at: Judged) -> Iterator[_Mistake]:
    for detection in np.flatnonzero(at.pairs.truth == BACKGROUND).tolist():
        yield _Mistake(int(at.found.photos[detection]), BACKGROUND, detection, float(at.found.scores[detection]))


def _swaps(at: Judged) -> Iterator[_Mistake]:
    for detection in np.flatnonzero(at.pairs.truth >= 0).tolist():
        box = int(at.pairs.truth[detection])
        if at.truth.labels[box] != at.found.labels[detection]:
            yield _Mistake(int(at.found.photos[detection]), box, detection, float(at.found.scores[detection]))


def _worst(kind: Iterator[_Mistake], photos: _Photos) -> Iterator[Wrong]:
    by_photo: dict[int, list[_Mistake]] = defaultdict(list)
    for mistake in sorted(kind, key=lambda one: (-one.confidence, -one.area, one.photo)):
        by_photo[mistake.photo].append(mistake)
    for photo, (worst, *others) in list(by_photo.items())[:_MOST_PHOTOS]:
        yield _wrong(photo, worst, [worst, *others], photos)


def _wrong(photo: int, worst: _Mistake, alike: Sequence[_Mistake], photos: _Photos) -> Wrong:
    at, names = photos.at, photos.names
    return Wrong(
        photo,
        photos.background if worst.box == BACKGROUND else names[at.truth.labels[worst.box]],
        photos.background if worst.detection == BACKGROUND else names[at.found.labels[worst.detection]],
        min(max(worst.confidence, 0.0), 1.0),
        _labelled(photo, {one.box for one in alike}, photos),
        _predicted(photo, {one.detection for one in alike}, photos),
    )


def _labelled(photo: int, wrong: set[int], photos: _Photos) -> tuple[Region, ...]:
    targets, areas = photos.at.targets, photos.at.truth.areas
    here = targets.photo(photo)
    order = sorted(range(here.start, here.stop), key=lambda place: (place not in wrong, -areas[place], place))
    return tuple(
        Region(_rounded(targets.boxes[place]), photos.names[targets.labels[place]], place in wrong)
        for place in order[:_MOST_REGIONS]
    )


def _predicted(photo: int, wrong: set[int], photos: _Photos) -> tuple[Region, ...]:
    found = photos.at.found
    height, width = photos.at.targets.sizes[photo].tolist()
    here = np.flatnonzero(found.photos == photo).tolist()
    order = sorted(here, key=lambda place: (place not in wrong, -found.scores[place], place))
    return tuple(
        Region(
            _rounded(found.boxes[place] / (height, width, height, width)),
            f"{photos.names[found.labels[place]]} {100 * found.scores[place]:.0f} %",
            place in wrong,
        )
        for place in order[:_MOST_REGIONS]
    )


def _rounded(box: NDArray[np.float32] | NDArray[np.float64]) -> tuple[float, float, float, float]:
    top, left, bottom, right = (round(side, 4) for side in box.tolist())
    return top, left, bottom, right
