"""Average precision of boxes: pycocotools' numbers; matching: its hits, and what can be counted by hand."""

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mobilenet.metrics.detection import (
    BACKGROUND,
    IN_CROWD,
    RECALLS,
    SIZES,
    Averages,
    Detections,
    Truth,
    averages,
    best_threshold,
    confusion,
    iou,
    matches,
    size_of,
)

PHOTOS, CLASSES = 3, 3


def _boxes(rows: list[tuple[float, ...]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array(rows, np.float64).reshape(-1, 4)


def truth_of(*rows: tuple[int, tuple[float, ...], int, bool]) -> Truth:
    """Photo, box, class, crowd."""
    rows = tuple(sorted(rows, key=lambda row: row[0]))
    return Truth(
        np.array([row[0] for row in rows], np.int64),
        _boxes([row[1] for row in rows]),
        np.array([row[2] for row in rows], np.int64),
        np.array([row[3] for row in rows], np.bool_),
    )


def found_of(*rows: tuple[int, tuple[float, ...], int, float]) -> Detections:
    """Photo, box, class, score."""
    rows = tuple(sorted(rows, key=lambda row: row[0]))
    return Detections(
        np.array([row[0] for row in rows], np.int64),
        _boxes([row[1] for row in rows]),
        np.array([row[2] for row in rows], np.int64),
        np.array([row[3] for row in rows], np.float64),
    )


def by_pycocotools(found: Detections, truth: Truth, photos: int, classes: int) -> COCOeval:
    """Its evaluation of the same boxes; it prints, and cannot read an empty list of detections."""

    def annotations(which: Any, **others: Any) -> list[dict[str, Any]]:
        rows = []
        for number, (photo, (top, left, bottom, right), label) in enumerate(
            zip(which.photos.tolist(), which.boxes.tolist(), which.labels.tolist(), strict=True)
        ):
            box = [left, top, right - left, bottom - top]
            row = {"id": number + 1, "image_id": photo + 1, "category_id": label + 1, "bbox": box, "iscrowd": 0}
            extra = {name: values[number].item() for name, values in others.items()}
            rows.append({**row, "area": box[2] * box[3], **extra})
        return rows

    with contextlib.redirect_stdout(io.StringIO()):
        sets = []
        for rows in (annotations(truth, iscrowd=truth.crowd.astype(int)), annotations(found, score=found.scores)):
            made = COCO()
            made.dataset = {
                "images": [{"id": number + 1, "width": 1, "height": 1} for number in range(photos)],
                "categories": [{"id": number + 1, "name": str(number)} for number in range(classes)],
                "annotations": rows,
            }
            made.createIndex()
            sets.append(made)
        evaluation = COCOeval(*sets, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


@st.composite
def boxes(draw: st.DrawFn) -> tuple[float, ...]:
    """Small enough to overlap often; some beyond 32 and 96 pixels, some without area."""
    scale = draw(st.sampled_from([1, 5, 20]))
    top, left = draw(st.integers(0, 8)), draw(st.integers(0, 8))
    height, width = draw(st.integers(0, 8)), draw(st.integers(0, 8))
    return (scale * top, scale * left, scale * (top + height), scale * (left + width))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Detections, Truth]:
    """Detections with ties, most of them near boxes; photos, classes and whole sets without either."""
    photo, label = st.integers(0, PHOTOS - 1), st.integers(0, CLASSES - 1)
    rows = draw(st.lists(st.tuples(photo, boxes(), label, st.sampled_from([False, False, False, True])), max_size=12))
    score = st.integers(1, 6).map(lambda number: number / 7)
    hits = [
        (row[0], tuple(side + draw(st.integers(-1, 1)) * (place > 1) for place, side in enumerate(row[1])), row[2])
        for row in rows
        for _ in range(draw(st.integers(0, 2)))
    ]
    found = [(*hit, draw(score)) for hit in hits if hit[1][2] >= hit[1][0] and hit[1][3] >= hit[1][1]]
    found += draw(st.lists(st.tuples(photo, boxes(), label, score), max_size=12))
    return found_of(*found), truth_of(*rows)


def _or_none(value: float) -> float | None:
    return None if value == -1 else pytest.approx(value, abs=1e-12)


def _equal(ours: Averages, theirs: COCOeval, classes: int) -> None:
    sizes = tuple(SIZES)
    assert np.array_equal(ours.precision, theirs.eval["precision"][..., -1])
    assert np.array_equal(ours.recall, theirs.eval["recall"])
    figures = [ours.ap(), ours.ap(0.5), ours.ap(0.75), *(ours.ap(size=size) for size in sizes[1:])]
    figures += [ours.ar(1), ours.ar(10), ours.ar(), *(ours.ar(size=size) for size in sizes[1:])]
    assert figures == [_or_none(value) for value in theirs.stats]
    for label in range(classes):
        precision = theirs.eval["precision"][:, :, label, 0, 2]
        assert ours.class_ap(label) == _or_none(precision.mean())
        assert ours.class_ap(label, 0.5) == _or_none(precision[0].mean())
        assert ours.class_ar(label) == _or_none(theirs.eval["recall"][:, label, 0, 2].mean())
        assert np.array_equal(ours.curves[:, label], precision[0])


@settings(deadline=None, max_examples=60)
@given(cases())
def test_averages_are_those_of_pycocotools(case: tuple[Detections, Truth]) -> None:
    found, truth = case
    _equal(averages(found, truth, PHOTOS, CLASSES), by_pycocotools(found, truth, PHOTOS, CLASSES), CLASSES)


def test_many_boxes_have_the_averages_of_pycocotools() -> None:
    """More than 100 of a class in a photo, at positions between pixels."""
    rng = np.random.default_rng(0)
    top_left, sides = rng.uniform(0, 300, (300, 2)), rng.uniform(4, 250, (300, 2))
    around = np.concatenate([top_left, top_left + sides], 1)
    truth = truth_of(*((i % 4, tuple(box), i % 5, i % 17 == 0) for i, box in enumerate(around)))
    near = np.repeat(around, 4, 0) + rng.normal(0, 6, (1200, 4)) * np.array([0, 0, 1, 1])
    near[:, 2:] = np.maximum(near[:, 2:], near[:, :2])
    found = found_of(
        *((i // 4 % 4, tuple(box), 0 if i % 2 else i // 4 % 5, rng.random()) for i, box in enumerate(near))
    )
    _equal(averages(found, truth, 4, 5), by_pycocotools(found, truth, 4, 5), 5)


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    averages(found_of((0, (0, 0, 9, 9), 0, 0.5)), truth_of((0, (0, 0, 9, 9), 0, False)), 1, 1)
    averages(found_of(), truth_of(), 1, 1)
    assert capfd.readouterr() == ("", "")


def test_without_boxes_nothing_is_measured_and_without_detections_nothing_is_found() -> None:
    box = (0.0, 0.0, 9.0, 9.0)
    nothing = averages(found_of((0, box, 0, 0.9)), truth_of(), 1, 1)
    assert (nothing.ap(), nothing.ap(0.5), nothing.ar(), nothing.class_ap(0), nothing.mean_curve) == (None,) * 5
    crowd = averages(found_of((0, box, 0, 0.9)), truth_of((0, box, 0, True)), 1, 1)
    assert (crowd.ap(), crowd.ar()) == (None, None)
    missed = averages(found_of(), truth_of((0, box, 0, False)), 1, 2)
    assert (missed.ap(), missed.ar(), missed.ap(size="large"), missed.class_ap(1)) == (0.0, 0.0, None, None)
    assert missed.mean_curve is not None
    assert not missed.mean_curve.any()


def test_average_precision_by_hand() -> None:
    """Two boxes; found: one of them exactly, then nothing, then the other with an IoU of 0.6."""
    truth = truth_of((0, (0, 0, 10, 10), 0, False), (1, (0, 0, 10, 10), 0, False))
    found = found_of((0, (0, 0, 10, 10), 0, 0.9), (0, (50, 50, 60, 60), 0, 0.8), (1, (0, 0, 6, 10), 0, 0.7))
    ours = averages(found, truth, 2, 1)
    half, whole = (RECALLS <= 0.5).sum(), (RECALLS > 0.5).sum()
    assert ours.ap(0.5) == pytest.approx((half + whole * 2 / 3) / 101)
    assert ours.ap(0.75) == pytest.approx(half / 101)
    assert ours.ar(1) == pytest.approx((3 * 1 + 7 * 0.5) / 10)


@settings(max_examples=40)
@given(boxes(), boxes())
def test_iou_is_counted_in_pixels(one: tuple[float, ...], other: tuple[float, ...]) -> None:
    masks = np.zeros((2, 320, 320), np.bool_)
    for mask, (top, left, bottom, right) in zip(masks, (one, other), strict=True):
        mask[int(top) : int(bottom), int(left) : int(right)] = True
    union = (masks[0] | masks[1]).sum()
    assert iou(_boxes([one]), _boxes([other]))[0, 0] == pytest.approx(
        (masks[0] & masks[1]).sum() / union if union else 0
    )


@settings(deadline=None, max_examples=60)
@given(cases(), st.sampled_from([0.5, 0.75]))
def test_hits_are_those_of_pycocotools(case: tuple[Detections, Truth], overlap: float) -> None:
    """Of each detection: matched with a box of its class, with a crowd of its class, or with none."""
    found, truth = case
    pairs = matches(found, truth, PHOTOS, overlap)
    place = round((overlap - 0.5) / 0.05)
    theirs: dict[int, int] = {}
    for photo in by_pycocotools(found, truth, PHOTOS, CLASSES).evalImgs:
        if photo is not None and photo["aRng"] == [0, 1e10]:
            for number, match, ignored in zip(
                photo["dtIds"], photo["dtMatches"][place], photo["dtIgnore"][place], strict=True
            ):
                theirs[number - 1] = IN_CROWD if ignored else 1 if match else BACKGROUND
    same = [
        label == truth.labels[match] if match >= 0 else False
        for label, match in zip(found.labels.tolist(), pairs.truth.tolist(), strict=True)
    ]
    ours = {
        number: 1 if hit else IN_CROWD if match == IN_CROWD else BACKGROUND
        for number, (hit, match) in enumerate(zip(same, pairs.truth.tolist(), strict=True))
    }
    assert ours == theirs


@settings(max_examples=60)
@given(cases())
def test_every_box_and_every_detection_is_counted_once(case: tuple[Detections, Truth]) -> None:
    found, truth = case
    pairs = matches(found, truth, PHOTOS)
    counts = confusion(found, truth, pairs, CLASSES)
    single = np.bincount(truth.labels[~truth.crowd], minlength=CLASSES)
    assert counts[:CLASSES].sum(1).tolist() == single.tolist()
    shown = pairs.truth != IN_CROWD
    assert counts[:, :CLASSES].sum(0).tolist() == np.bincount(found.labels[shown], minlength=CLASSES).tolist()
    taken = pairs.truth[pairs.truth >= 0]
    assert len(set(taken.tolist())) == len(taken)
    assert pairs.found[taken].tolist() == np.flatnonzero(pairs.truth >= 0).tolist()
    assert not truth.crowd[taken].any()
    assert (found.photos[pairs.truth >= 0] == truth.photos[taken]).all()


def test_confusion_by_hand() -> None:
    here, there, far = (0.0, 0.0, 10.0, 10.0), (0.0, 20.0, 10.0, 30.0), (50.0, 50.0, 60.0, 60.0)
    truth = truth_of((0, here, 0, False), (0, there, 1, False), (1, here, 2, False), (1, far, 0, True))
    found = found_of(
        (0, here, 1, 0.9),  # a second box around what another one names rightly
        (0, here, 0, 0.4),
        (0, there, 2, 0.8),  # named wrongly
        (1, far, 0, 0.7),  # inside of a crowd
        (1, far, 1, 0.6),  # not of the crowd's class
    )
    pairs = matches(found, truth, 2)
    assert pairs.truth.tolist() == [BACKGROUND, 0, 1, IN_CROWD, BACKGROUND]
    assert pairs.found.tolist() == [1, 2, BACKGROUND, BACKGROUND]
    assert confusion(found, truth, pairs, 3).tolist() == [
        [1, 0, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 1],
        [0, 2, 0, 0],
    ]


def test_the_best_score_is_matched_first() -> None:
    here = (0.0, 0.0, 10.0, 10.0)
    truth = truth_of((0, here, 0, False))
    assert matches(found_of((0, here, 0, 0.2), (0, here, 0, 0.9)), truth, 1).truth.tolist() == [BACKGROUND, 0]
    assert matches(found_of((0, here, 1, 0.2), (0, here, 2, 0.9)), truth, 1).found.tolist() == [1]


@given(st.lists(st.tuples(st.integers(1, 9), st.booleans()), max_size=12), st.integers(0, 5))
def test_no_threshold_has_a_higher_f1(rows: list[tuple[int, bool]], missed: int) -> None:
    scores, hits = np.array([row[0] / 10 for row in rows]), np.array([row[1] for row in rows], np.bool_)
    boxes = int(hits.sum()) + missed
    found = best_threshold(scores, hits, boxes)
    if found is None:
        assert not hits.any()
        return

    def f1(limit: float) -> float:
        return 2 * hits[scores >= limit].sum() / ((scores >= limit).sum() + boxes)

    assert f1(found) == max(f1(score) for score in scores)
    assert np.abs(scores - found).min() >= 0.05 - 1e-9
    assert all(f1(score) < f1(found) for score in scores[scores > found] if score > scores[scores > found].min())


def test_sizes_of_areas() -> None:
    assert size_of(np.array([0, 1023, 1024, 9215, 9216.0])).tolist() == [0, 0, 1, 1, 2]


@pytest.mark.parametrize(
    ("photos", "box", "score", "message"),
    [
        ([1, 0], (0, 0, 1, 1), 0.5, "not in the order"),
        ([0, 0], (0, 0, np.nan, 1), 0.5, "not finite"),
        ([0, 0], (0, 0, 1, 1), np.inf, "not finite"),
        ([0, 0, 0], (0, 0, 1, 1), 0.5, "arrays of 3 boxes have the shapes"),
    ],
)
def test_what_is_no_list_of_boxes_is_refused(
    photos: list[int], box: tuple[float, ...], score: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Detections(np.array(photos), _boxes([box] * 2), np.zeros(2, np.int64), np.full(2, score))
