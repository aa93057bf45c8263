"""What a report shows of a detector, against counts that can be checked by hand."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from mobilenet.tasks.detection.score import judged, score
from mobilenet.tasks.detection.sections import headline, sections, summary
from mobilenet.tasks.detection.shapes import beside_priors
from mobilenet.tasks.detection.targets import BoxTargets, Found
from mobilenet.tasks.sections import Curves, Dots, Gallery, Matrix, Section, Table

NAMES = ("ace", "king", "queen")

_HERE, _THERE, _FAR = (0.0, 0.0, 0.5, 0.5), (0.5, 0.5, 1.0, 1.0), (0.0, 0.75, 0.25, 1.0)


@dataclass(frozen=True)
class _Evaluated:
    photos: int
    figures: dict[str, Any]


def _found(*rows: tuple[tuple[float, ...], int, float]) -> Found:
    boxes, labels, scores = zip(*rows, strict=True) if rows else ((), (), ())
    return Found(np.array(boxes, np.float32).reshape(-1, 4), np.array(labels, np.int64), np.array(scores, np.float32))


def _targets(*photos: list[tuple[tuple[float, ...], int]]) -> BoxTargets:
    rows = [row for photo in photos for row in photo]
    return BoxTargets(
        np.array([row[0] for row in rows], np.float32).reshape(-1, 4),
        np.array([row[1] for row in rows], np.int64),
        np.zeros(len(rows), np.bool_),
        np.full((len(photos), 2), 100, np.int32),
        np.cumsum([0, *map(len, photos)]).astype(np.int64),
    )


@pytest.fixture
def evaluation() -> _Evaluated:
    """Two aces found, one taken for a king, one missed; a king that is not there; no queen anywhere."""
    targets = _targets([(_HERE, 0), (_THERE, 0)], [(_HERE, 0), (_THERE, 0)], [(_HERE, 1)])
    found = [
        _found((_HERE, 0, 0.9), (_THERE, 1, 0.8)),
        _found((_HERE, 0, 0.85)),
        _found((_HERE, 1, 0.7), (_FAR, 1, 0.75)),
    ]
    return _Evaluated(3, score(judged(found, targets), NAMES))


def _section(found: tuple[Section, ...], anchor: str) -> Section:
    (section,) = (section for section in found if section.anchor == anchor)
    return section


def test_the_goal_comes_first_and_each_figure_is_one_of_the_evaluation(evaluation: _Evaluated) -> None:
    figures = headline(evaluation)
    prominent = [(figure.name, figure.value) for figure in figures if figure.prominent]
    assert [name for name, _ in prominent] == ["Average precision", "Average precision at IoU 0.5", "F1"]
    assert [value for _, value in prominent] == [evaluation.figures[name] for name in ("ap", "ap50", "f1")]
    assert len({figure.name for figure in figures}) == len(figures) == 16
    assert "from a score of 0.35" in figures[2].note


def test_classes_are_weakest_first_and_unmeasured_ones_last(evaluation: _Evaluated) -> None:
    (table,) = _section(sections(evaluation), "classes").parts
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == ["king", "ace", "queen"]
    titles = [column.title for column in table.columns]
    king, ace, queen = (dict(zip(titles, row, strict=True)) for row in table.rows)
    assert [ace[name] for name in ("Boxes", "Photos", "Missed", "Swapped", "False alarms")] == [4, 2, 1, 1, 0]
    assert (ace["Precision"], ace["Recall"], king["Recall"]) == (1.0, 0.5, 1.0)
    assert (king["False alarms"], king["Precision"]) == (1, pytest.approx(1 / 3))
    assert (queen["Boxes"], queen["AP"], queen["Precision"]) == (0, None, None)
    assert summary(evaluation)[1] == "not measured, as no validation photo has a box of it: queen"


def test_the_confusion_matrix_has_the_background_last(evaluation: _Evaluated) -> None:
    matrix, table = _section(sections(evaluation), "confusion").parts
    assert isinstance(matrix, Matrix)
    assert matrix.labels == (*NAMES, "background")
    assert sorted(matrix.cells) == [(0, 0, 2), (0, 1, 1), (0, 3, 1), (1, 1, 1), (3, 1, 1)]
    assert isinstance(table, Table)
    assert table.rows == (("ace", "king", 1), ("ace", "background", 1), ("background", "king", 1))


def test_curves_are_of_all_classes_and_then_of_each(evaluation: _Evaluated) -> None:
    (curves,) = _section(sections(evaluation), "precision-and-recall").parts
    assert isinstance(curves, Curves)
    mean, king, ace = curves.plots
    assert mean.title.startswith("All classes: AP50 ")
    assert (ace.title.split(":")[0], king.title.split(":")[0]) == ("ace", "king")
    assert ace.marked == (0.5, 1.0)
    assert ace.points[0] == (0.0, 1.0)
    assert [precision for recall, precision in ace.points if recall > 0.5] == [0.0] * 25
    assert [round((one + other) / 2, 3) for (_, one), (_, other) in zip(ace.points, king.points, strict=True)] == [
        pytest.approx(precision, abs=1e-3) for _, precision in mean.points
    ]


def test_sizes_are_in_their_order(evaluation: _Evaluated) -> None:
    (table,) = _section(sections(evaluation), "sizes").parts
    assert isinstance(table, Table)
    assert [(row[0], row[2], row[5]) for row in table.rows] == [
        ("Small", 0, None),
        ("Medium", 5, pytest.approx(3 / 5)),
        ("Large", 0, None),
    ]


def test_each_kind_of_mistake_has_a_gallery_of_its_own(evaluation: _Evaluated) -> None:
    parts = _section(sections(evaluation), "mistakes").parts
    assert [part for part in parts if isinstance(part, str)] == [
        "Missed: 1.",
        "Found, but not there: 1.",
        "Found as another class: 1.",
    ]
    galleries = [part for part in parts if isinstance(part, Gallery)]
    kinds = [("ace", "background"), ("background", "king"), ("ace", "king")]
    assert [[gallery.shows(*kind) for kind in kinds] for gallery in galleries] == [
        [True, False, False],
        [False, True, False],
        [False, False, True],
    ]


def test_without_mistakes_there_is_no_gallery() -> None:
    figures = score(judged([_found((_HERE, 0, 0.9))], _targets([(_HERE, 0)])), ("ace",))
    section = _section(sections(_Evaluated(1, figures)), "mistakes")
    assert (section.parts, section.note) == ((), "No box was missed, invented or swapped.")
    (curves,) = _section(sections(_Evaluated(1, figures)), "precision-and-recall").parts
    assert isinstance(curves, Curves)
    assert len(curves.plots) == 1


@pytest.mark.parametrize("boxes", [[], [(_HERE, 0)]])
def test_nothing_found_or_nothing_to_find_is_shown_as_that(boxes: list[tuple[tuple[float, ...], int]]) -> None:
    evaluation = _Evaluated(1, score(judged([_found()], _targets(boxes)), NAMES))
    assert headline(evaluation)[0].value == (0.0 if boxes else None)
    anchors = [section.anchor for section in sections(evaluation)]
    assert ("precision-and-recall" in anchors) == bool(boxes)
    assert summary(evaluation)[0].startswith("AP50 0.0 %, F1 0.0 %, with" if boxes else "AP50 -, F1 -, with")


def test_prior_boxes_are_drawn_over_the_labelled_ones(evaluation: _Evaluated) -> None:
    """One box of 0.2 × 0.4 and one of 0.4 × 0.2, which the square of 0.4 overlaps by half; one without an area."""
    assert "prior-boxes" not in {section.anchor for section in sections(evaluation)}
    boxes = np.array([[0.1, 0.1, 0.3, 0.5], [0.1, 0.1, 0.5, 0.3], [0.1, 0.1, 0.1, 0.3]], np.float32)
    shapes = beside_priors(boxes, [[[0.4, 0.4]], [[0.9, 0.9], [0.7, 1.2]]])
    evaluation.figures["shapes"] = shapes
    section = _section(sections(evaluation), "prior-boxes")
    assert "by 50.0 % in the mean" in section.note
    (dots,) = section.parts
    assert isinstance(dots, Dots)
    assert dots.points == ((0.4, 0.2), (0.2, 0.4))
    assert dots.marks == ((0.4, 0.4), (0.9, 0.9))
    evaluation.figures["shapes"] = beside_priors(boxes[2:], [[[0.4, 0.4]]])
    assert "prior-boxes" not in {section.anchor for section in sections(evaluation)}
