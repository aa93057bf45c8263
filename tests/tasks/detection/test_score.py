"""The figures of detectors: what can be counted by hand, and the averages of pycocotools."""

import contextlib
import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mobilenet.tasks.detection.mistakes import mistakes
from mobilenet.tasks.detection.score import agreement, background_name, judged, score
from mobilenet.tasks.detection.targets import BoxTargets, Found

NAMES = ("ace", "king", "queen")
SIZES = ((200, 100), (480, 640), (64, 80))

Box = tuple[float, float, float, float]


def targets_of(photos: Sequence[Sequence[tuple[Box, int, bool]]], sizes: Sequence[tuple[int, int]]) -> BoxTargets:
    """For each photo: box in shares, class, crowd."""
    rows = [row for photo in photos for row in photo]
    return BoxTargets(
        np.array([row[0] for row in rows], np.float32).reshape(-1, 4),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[2] for row in rows], np.bool_),
        np.array(sizes, np.int32).reshape(-1, 2),
        np.cumsum([0, *map(len, photos)]).astype(np.int64),
    )


def found_of(*rows: tuple[Box, int, float]) -> Found:
    """Box in shares, class, score; sorted here."""
    rows = tuple(sorted(rows, key=lambda row: -row[2]))
    return Found(
        np.array([row[0] for row in rows], np.float32).reshape(-1, 4),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[2] for row in rows], np.float32),
    )


def by_pycocotools(found: Sequence[Found], targets: BoxTargets) -> list[float | None]:
    """The twelve numbers that it prints, from annotations in pixels as COCO writes them."""

    def annotation(number: int, photo: int, box: np.ndarray[Any, Any], label: int) -> dict[str, Any]:
        height, width = targets.sizes[photo].tolist()
        top, left, bottom, right = (
            side * size for side, size in zip(box.tolist(), (height, width, height, width), strict=True)
        )
        bbox = [left, top, right - left, bottom - top]
        row = {"id": number + 1, "image_id": photo, "category_id": label, "bbox": bbox, "area": bbox[2] * bbox[3]}
        return {**row, "iscrowd": 0}

    true = [
        annotation(number, int(photo), targets.boxes[number], int(targets.labels[number]))
        | {"iscrowd": int(targets.crowd[number])}
        for number, photo in enumerate(targets.of_photos())
    ]
    answers = [
        annotation(0, photo, box, int(label)) | {"score": float(sure)}
        for photo, one in enumerate(found)
        for box, label, sure in zip(one.boxes, one.labels, one.scores, strict=True)
    ]
    answers = [row | {"id": number + 1} for number, row in enumerate(answers)]
    with contextlib.redirect_stdout(io.StringIO()):
        sets = []
        for rows in (true, answers):
            made = COCO()
            made.dataset = {
                "images": [{"id": number} for number in range(len(targets))],
                "categories": [{"id": number} for number in range(len(NAMES))],
                "annotations": rows,
            }
            made.createIndex()
            sets.append(made)
        evaluation = COCOeval(*sets, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [None if value == -1 else pytest.approx(value, abs=1e-12) for value in evaluation.stats]


_FIGURES = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
_FIGURES += ("ar_1", "ar_10", "ar_100", "ar_small", "ar_medium", "ar_large")


@st.composite
def shares(draw: st.DrawFn) -> Box:
    top, left = draw(st.integers(0, 6)) / 8, draw(st.integers(0, 6)) / 8
    height, width = draw(st.integers(1, 2)) / 8, draw(st.integers(1, 2)) / 8
    return top, left, top + height, left + width


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Found], BoxTargets]:
    label = st.integers(0, len(NAMES) - 1)
    crowd = st.sampled_from([False, False, False, True])
    truth = [draw(st.lists(st.tuples(shares(), label, crowd), max_size=4)) for _ in SIZES]
    sure = st.integers(1, 9).map(lambda number: number / 10)
    found = []
    for photo in truth:
        rows = [(row[0], draw(label), draw(sure)) for row in photo] + [
            (row[0], row[1], draw(sure)) for row in photo if draw(st.booleans())
        ]
        found.append(found_of(*rows, *draw(st.lists(st.tuples(shares(), label, sure), max_size=3))))
    return found, targets_of(truth, SIZES)


@settings(deadline=None, max_examples=40)
@given(cases())
def test_averages_are_those_of_pycocotools_and_every_count_adds_up(case: tuple[list[Found], BoxTargets]) -> None:
    found, targets = case
    figures = score(judged(found, targets), NAMES)
    json.dumps(figures, allow_nan=False)
    assert [figures[name] for name in _FIGURES] == by_pycocotools(found, targets)
    assert sum(row["boxes"] for row in figures["classes"]) == figures["boxes"] == int((~targets.crowd).sum())
    assert sum(row["boxes"] for row in figures["sizes"]) == figures["boxes"]
    cells = figures["confusion"]
    nothing = len(NAMES)
    pairs = list(zip(cells["true"], cells["predicted"], cells["boxes"], strict=True))
    assert sum(count for true, _, count in pairs if true < nothing) == figures["boxes"]
    assert sum(count for _, predicted, count in pairs if predicted < nothing) == figures["detections"]
    for place, row in enumerate(figures["classes"]):
        right = sum(count for true, predicted, count in pairs if true == predicted == place)
        assert row["boxes"] == right + row["misses"] + row["swapped"]
        assert row["recall"] == (right / row["boxes"] if row["boxes"] else None)


_HERE, _THERE, _FAR = (0.0, 0.0, 0.5, 0.5), (0.5, 0.5, 1.0, 1.0), (0.0, 0.75, 0.25, 1.0)


def _by_hand() -> tuple[list[Found], BoxTargets]:
    """An ace found and one taken for a king; a queen missed; a king invented in a photo without boxes."""
    targets = targets_of([[(_HERE, 0, False), (_THERE, 0, False)], [(_HERE, 2, False)], []], SIZES)
    found = [
        found_of((_HERE, 0, 0.9), (_THERE, 1, 0.8)),
        found_of((_HERE, 2, 0.25), (_FAR, 0, 0.125)),
        found_of((_FAR, 1, 0.7)),
    ]
    return found, targets


def test_figures_by_hand() -> None:
    found, targets = _by_hand()
    figures = score(judged(found, targets), NAMES)
    # From 0.9 up the F1 is 2/(1 + 3), from 0.25 up it is 4/(4 + 3), from 0.125 up 4/(5 + 3).
    assert figures["threshold"] == pytest.approx((0.25 + 0.125) / 2)
    assert (figures["precision"], figures["recall"], figures["f1"]) == (2 / 4, 2 / 3, pytest.approx(4 / 7))
    counts = [figures[name] for name in ("boxes", "detections", "crowds", "empty_photos")]
    assert counts == [3, 4, 0, 1]
    assert figures["empty_photos_with_detections"] == 1
    assert figures["confusion"] == {"true": [0, 0, 2, 3], "predicted": [0, 1, 2, 1], "boxes": [1, 1, 1, 1]}
    ace, king, queen = figures["classes"]
    assert [ace[name] for name in ("label", "boxes", "photos", "swapped", "misses")] == ["ace", 2, 1, 1, 0]
    assert (king["ap"], king["recall"], king["precision"], king["false_alarms"]) == (None, None, 0.0, 1)
    assert (queen["ap50"], queen["recall"]) == (pytest.approx(1.0), 1.0)
    # At recalls up to 0.5 the precision for aces is 1, beyond it is 0; queens have 1 everywhere.
    assert figures["ap50"] == pytest.approx((51 / 101 + 1) / 2)
    assert figures["curves"]["classes"][0] == [1.0] * 26 + [0.0] * 25
    assert figures["curves"]["classes"][1] is None
    assert figures["curves"]["mean"] == [1.0] * 26 + [0.5] * 25
    small = {row["size"]: (row["boxes"], row["recall"]) for row in figures["sizes"]}
    # 100 x 50 and 240 x 320 pixels
    assert small == {"small": (0, None), "medium": (2, 0.5), "large": (1, 1.0)}


def test_what_is_found_in_a_crowd_counts_nowhere() -> None:
    targets = targets_of([[(_HERE, 0, False), (_THERE, 0, True)], [(_HERE, 0, False)]], SIZES[:2])
    found = [found_of((_HERE, 0, 0.9), *[(_THERE, 0, 0.5)] * 10), found_of((_HERE, 0, 0.4))]
    figures = score(judged(found, targets), ("ace",))
    assert figures["threshold"] == pytest.approx(0.2)
    assert [figures[name] for name in ("boxes", "crowds", "detections", "f1", "ap")] == [2, 1, 2, 1.0, 1.0]


def test_sizes_are_those_of_the_photo_in_pixels() -> None:
    box = [((0.0, 0.0, 0.5, 0.5), 0, False)]
    found = [found_of((box[0][0], 0, 0.5))]
    for side, size in ((63, "small"), (65, "medium"), (191, "medium"), (193, "large")):
        figures = score(judged(found, targets_of([box], [(side, side)])), ("ace",))
        assert {name: figures[f"ap_{name}"] for name in ("small", "medium", "large")} == {
            "small": None,
            "medium": None,
            "large": None,
            size: pytest.approx(1.0),
        }


@pytest.mark.parametrize("names", [("ace",), NAMES])
def test_without_detections_everything_is_missed(names: tuple[str, ...]) -> None:
    targets = targets_of([[(_HERE, 0, False)], [], [(_HERE, 0, True)]], SIZES)
    figures = score(judged([found_of()] * 3, targets), names)
    assert [figures[name] for name in ("ap", "recall", "f1", "precision", "threshold")] == [0.0, 0.0, 0.0, None, None]
    assert figures["confusion"] == {"true": [0], "predicted": [len(names)], "boxes": [1]}
    assert (figures["crowds"], figures["empty_photos"]) == (1, 1)


def test_without_boxes_nothing_is_measured() -> None:
    targets = targets_of([[], []], SIZES[:2])
    at = judged([found_of((_HERE, 0, 0.9)), found_of()], targets)
    figures = score(at, NAMES)
    assert [figures[name] for name in (*_FIGURES, "recall", "threshold")] == [None] * 14
    assert figures["curves"]["mean"] is None
    assert mistakes(at, NAMES) == []


def test_the_background_has_a_name_of_its_own() -> None:
    assert background_name(NAMES) == "background"
    assert background_name(("background", "(background)")) == "((background))"


def test_mistakes_by_hand() -> None:
    found, targets = _by_hand()
    alarm, swap = mistakes(judged(found, targets), NAMES)
    assert (alarm.photo, alarm.label, alarm.predicted) == (2, "background", "king")
    assert alarm.confidence == pytest.approx(0.7)
    assert (alarm.labelled_regions, [region.name for region in alarm.predicted_regions]) == ((), ["king 70 %"])
    assert alarm.predicted_regions[0].box == _FAR
    assert (swap.photo, swap.label, swap.predicted) == (0, "ace", "king")
    assert [(one.name, one.box, one.wrong) for one in swap.labelled_regions] == [
        ("ace", _THERE, True),
        ("ace", _HERE, False),
    ]
    assert [(one.name, one.wrong) for one in swap.predicted_regions] == [("king 80 %", True), ("ace 90 %", False)]


def test_what_was_missed_most_surely_comes_first() -> None:
    """The larger of two that nothing hints at, then one that was found with a low score; once per photo."""
    boxes, sizes = [(_FAR, 0, False), (_HERE, 0, False)], [(100, 100), (100, 100), (200, 200)]
    targets = targets_of([[(_HERE, 1, False), (_THERE, 1, False)], [(_HERE, 1, False)], boxes], sizes)
    hit = [((0.0, 0.0, 0.25, 0.25), 2, 0.9)]
    sure = found_of((_HERE, 1, 0.875), (_THERE, 1, 0.875))
    alarms = [((0.75, 0.0, 1.0, 0.25), 2, 0.02)] * 3
    found = [sure, found_of((_HERE, 0, 0.25), *hit), found_of((_FAR, 0, 0.01), *alarms)]
    wrong = [one for one in mistakes(judged(found, targets), NAMES) if one.predicted == "background"]
    assert [(one.photo, one.label, one.confidence) for one in wrong] == [(2, "ace", 1.0), (1, "king", 1.0)]
    large, small = wrong[0].labelled_regions
    assert (large.box, large.wrong, small.box, small.wrong) == (_HERE, True, _FAR, True)


def test_mistakes_are_the_worst_of_each_kind() -> None:
    many = 60
    targets = targets_of([[(_HERE, 0, False)] * 30] * many, [(100, 100)] * many)
    found = [found_of(*[(_FAR, 1, 0.5)] * 40, (_HERE, 0, 0.9)) for _ in range(many)]
    wrong = mistakes(judged(found, targets), NAMES)
    kinds = [(one.label, one.predicted) for one in wrong]
    assert {kind: kinds.count(kind) for kind in kinds} == {("ace", "background"): 24}
    assert all(len(one.labelled_regions) == 24 and len(one.predicted_regions) <= 24 for one in wrong)
    assert len({one.photo for one in wrong}) == 24


def _moved(box: Box, by: float) -> Box:
    return box[0] + by, box[1], box[2] + by, box[3]


def test_agreement_by_hand() -> None:
    ours = [found_of((_HERE, 0, 0.9), (_THERE, 1, 0.31), (_FAR, 2, 0.2)), found_of()]
    assert agreement(ours, ours) == 1
    # An IoU of 0.48/0.52; a score at the limit on the one side alone
    near = [found_of((_moved(_HERE, 0.02), 0, 0.8), (_THERE, 1, 0.29)), found_of()]
    assert agreement(ours, near) == agreement(near, ours) == 1
    far = [found_of((_moved(_HERE, 0.04), 0, 0.9), (_THERE, 1, 0.5)), found_of()]
    assert agreement(ours, far) == agreement(far, ours) == 2 / 4
    renamed = [found_of((_HERE, 1, 0.9), (_THERE, 1, 0.3)), found_of((_HERE, 0, 0.9))]
    assert agreement(ours, renamed) == agreement(renamed, ours) == 2 / 5
    weak = [found_of((_HERE, 0, 0.19), (_THERE, 1, 0.19)), found_of()]
    assert agreement(ours, weak) == agreement(weak, ours) == 0


def test_networks_that_are_unsure_are_compared_at_lower_scores() -> None:
    unsure = [found_of((_HERE, 0, 0.1), (_THERE, 1, 0.02))]
    assert agreement(unsure, unsure) == 1
    assert agreement(unsure, [found_of((_FAR, 0, 0.1))]) == 0
    assert agreement(unsure, [found_of((_HERE, 0, 0.09))]) == 1


def test_nothing_agrees_with_nothing() -> None:
    """It would prove a file whose every box was lost, on a network that finds none."""
    assert agreement([found_of()], [found_of()]) == 0
    assert agreement([], []) == 0


@settings(deadline=None, max_examples=40)
@given(cases())
def test_agreement_has_no_sides(case: tuple[list[Found], BoxTargets]) -> None:
    found, targets = case
    truth = [
        found_of(
            *(
                (tuple(box), label, 0.5)
                for box, label in zip(targets.boxes[at].tolist(), targets.labels[at].tolist(), strict=True)
            )
        )
        for at in map(targets.photo, range(len(targets)))
    ]
    assert agreement(found, truth) == agreement(truth, found)
    if any(len(one.scores) for one in found):
        assert agreement(found, found) == 1
