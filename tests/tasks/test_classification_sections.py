"""What a report shows of a classifier, against counts that can be checked by hand."""

from dataclasses import dataclass
from typing import Any

import pytest

from mobilenet.tasks.classification.sections import headline, sections, summary
from mobilenet.tasks.sections import Bars, Cell, Gallery, Matrix, Section, Table, in_words


@dataclass(frozen=True)
class _Evaluated:
    photos: int
    figures: dict[str, Any]


def _evaluated(labels: tuple[str, ...], confusion: list[list[int]], **figures: Any) -> _Evaluated:
    plain = {
        "top1": 0.5,
        "top1_interval": [0.25, 0.75],
        "top5": None,
        "loss": 1.25,
        "ece": 0.125,
        "labels": list(labels),
        "confusion": confusion,
        "per_class": [],
        "levels": [],
        "families": [],
        "reliability": [],
    }
    return _Evaluated(sum(map(sum, confusion)), {**plain, **figures})


def _family(
    label: str, children: list[str], confusion: list[list[int]], inside: int, outside: int = 0
) -> dict[str, Any]:
    photos = sum(map(sum, confusion)) + outside
    return {
        "label": label,
        "children": children,
        "photos": photos,
        "inside": inside,
        "outside": outside,
        "confusion": confusion,
    }


_LEVELS = [
    {"name": "level 1", "groups": 2, "top1": 0.75, "top1_interval": [0.3, 0.95], "inside": 0},
    {"name": "leaf", "groups": 3, "top1": 0.5, "top1_interval": [0.15, 0.85], "inside": 1},
]


def _part(found: tuple[Section, ...], anchor: str) -> tuple[Any, ...]:
    (section,) = (section for section in found if section.anchor == anchor)
    return section.parts


def test_the_goal_comes_first_and_top5_only_where_it_says_something() -> None:
    figures = headline(_evaluated(("a", "b"), [[1, 0], [1, 0]]))
    assert [(figure.name, figure.value) for figure in figures] == [
        ("Top-1 accuracy", 0.5),
        ("Loss, nats", 1.25),
        ("Expected calibration error", 0.125),
    ]
    assert figures[0].interval == (0.25, 0.75)
    assert headline(_evaluated(("a", "b"), [[1, 0], [1, 0]], top5=0.9))[1].value == 0.9


def test_commonest_confusions_come_first() -> None:
    found = sections(_evaluated(("a", "b", "c"), [[3, 1, 0], [1, 1, 0], [2, 0, 6]]))
    matrix, table = _part(found, "confusion")
    assert matrix.labels == ("a", "b", "c")
    assert matrix.cells == ((0, 0, 3), (0, 1, 1), (1, 0, 1), (1, 1, 1), (2, 0, 2), (2, 2, 6))
    assert table.rows == (("c", "a", 2, 0.25), ("b", "a", 1, 0.5), ("a", "b", 1, 0.25))
    assert not table.on_terminal


def test_without_a_mistake_there_is_nothing_to_list() -> None:
    found = sections(_evaluated(("a", "b"), [[2, 0], [0, 2]]))
    assert [type(part) for part in _part(found, "confusion")] == [Matrix]
    assert _part(found, "mistakes") == ()
    assert [section.anchor for section in found] == ["confusion", "mistakes", "calibration", "classes"]


def test_families_have_the_names_of_their_children_most_mistakes_first() -> None:
    one = _family("A/Dog", ["A/Dog", "A/Dog/Big"], [[1, 1], [0, 1]], 1)
    none = _family("Pear", ["Pear/a", "Pear/b"], [[1, 0], [0, 0]], 0, outside=2)
    two = _family("Apple", ["Apple/Fuji", "Apple/Gala"], [[0, 1], [1, 1]], 2)
    found = sections(_evaluated(("a", "b"), [[1, 0], [1, 0]], levels=_LEVELS, families=[one, none, two]))
    levels, families, first, second = _part(found, "levels")
    assert [row[-1] for row in levels.rows] == [None, 1]
    assert families.rows == (("A/Dog", 2, 3, 1, 0), ("Pear", 2, 3, 0, 2), ("Apple", 2, 3, 2, 0))
    assert (first.title, first.names, first.cells) == (
        "Inside Apple",
        ("Fuji", "Gala"),
        ((0, 1, 1), (1, 0, 1), (1, 1, 1)),
    )
    assert (second.title, second.names) == ("Inside A/Dog", ("Dog itself", "Big"))


def test_twelve_families_are_drawn_at_most() -> None:
    many = [_family(f"{n}", [f"{n}/a", f"{n}/b"], [[16 - n, n], [0, 0]], n) for n in range(1, 16)]
    found = sections(_evaluated(("a", "b"), [[1, 0], [1, 0]], levels=_LEVELS, families=many))
    drawn = [part.title for part in _part(found, "levels") if isinstance(part, Matrix)]
    assert drawn == [f"Inside {n}" for n in range(15, 3, -1)]


def test_the_weakest_class_comes_first_and_one_without_photos_last() -> None:
    rows = [
        {"label": "x", "photos": 0, "recall": None, "precision": None},
        {"label": "b", "photos": 2, "recall": 0.5, "precision": 1.0},
        {"label": "a", "photos": 2, "recall": 0.5, "precision": 0.5},
        {"label": "c", "photos": 2, "recall": 0.0, "precision": None},
    ]
    (table,) = _part(sections(_evaluated(("a", "b"), [[1, 0], [1, 0]], per_class=rows)), "classes")
    assert [row[0] for row in table.rows] == ["c", "a", "b", "x"]


def test_calibration_has_a_diagram_and_a_table_of_the_ranges_that_hold_photos() -> None:
    bins = [
        {"lower": 0.0, "upper": 0.5, "photos": 0, "confidence": None, "accuracy": None},
        {"lower": 0.5, "upper": 1.0, "photos": 4, "confidence": 0.75, "accuracy": 0.5},
    ]
    bars, words, table = _part(sections(_evaluated(("a", "b"), [[1, 0], [1, 0]], reliability=bins)), "calibration")
    assert isinstance(bars, Bars)
    assert len(bars.bins) == 2
    assert words == "Expected calibration error 12.5 %, loss 1.250 nats."
    assert isinstance(table, Table)
    assert table.rows == (((0.5, 1.0), 4, 0.75, 0.5),)


_BEFORE = [{"lower": 0.0, "upper": 1.0, "photos": 4, "confidence": 0.75, "accuracy": 0.25}]
_WARM = {
    "value": 0.5,
    "note": "",
    "photos": 340,
    "folds": 5,
    "ece_before": 0.25,
    "ece_cross_fitted": 0.0625,
    "loss_before": 1.5,
    "loss_cross_fitted": 1.375,
    "reliability_before": _BEFORE,
}
_COLD = {"value": 1.0, "note": "49 validation photos are too few; at least 50 are needed", "photos": 49}


def test_a_run_with_a_temperature_shows_its_calibration_before_and_after() -> None:
    found = _evaluated(("a", "b"), [[1, 0], [1, 0]], ece_floor=0.03125, temperature=_WARM)
    bars, after, floor, words, _ = _part(sections(found), "calibration")
    assert bars.before == ((0.0, 1.0, 4, 0.75, 0.25),)
    assert after.startswith("Expected calibration error 12.5 %")
    assert floor == "On these photos, true confidences would have an error of 3.1 % on average."
    assert words == (
        "The logits are divided by 0.50, a temperature fitted to 340 validation photos. Before, the error was 25.0 % "
        "and the loss 1.500 nats. Cross-fitted (5 folds), on photos that the temperature was not fitted on, they are "
        "6.2 % and 1.375 nats."
    )
    assert [(figure.name, figure.value) for figure in headline(found)[2:]] == [
        ("Expected calibration error", 0.125),
        ("Expected calibration error, cross-fitted", 0.0625),
        ("Expected calibration error, before temperature", 0.25),
        ("Expected calibration error of true confidences", 0.03125),
    ]
    assert summary(found) == ("temperature 0.50: calibration error 25.0% before, 6.2% after (cross-fitted)",)


def test_a_run_without_a_temperature_says_why() -> None:
    found = _evaluated(("a", "b"), [[1, 0], [1, 0]], temperature=_COLD)
    bars, _, words, _ = _part(sections(found), "calibration")
    assert bars.before == ()
    assert words == f"No temperature was applied: {_COLD['note']}."
    assert [figure.name for figure in headline(found)[2:]] == ["Expected calibration error"]
    assert summary(found) == (f"no temperature: {_COLD['note']}",)


def test_mistakes_are_counted_and_shown() -> None:
    (section,) = (part for part in sections(_evaluated(("a", "b"), [[3, 1], [2, 4]])) if part.anchor == "mistakes")
    assert section.note.startswith("3 of 10 predictions were wrong.")
    assert section.parts == (Gallery(),)


def test_training_sums_up_the_levels_of_nested_classes() -> None:
    nested = _evaluated(("a", "b"), [[1, 1], [1, 1]], levels=_LEVELS)
    assert summary(nested) == ("level 1 75.0%, leaf 50.0%; 1 of 2 mistakes stay inside a parent",)
    assert summary(_evaluated(("a", "b"), [[1, 0], [0, 1]], levels=_LEVELS)) == ("level 1 75.0%, leaf 50.0%",)
    assert summary(_evaluated(("a", "b"), [[1, 1], [1, 1]])) == ()


@pytest.mark.parametrize(
    ("value", "kind", "digits", "text"),
    [
        ("cat", "text", 1, "cat"),
        (None, "share", 1, None),
        (1204, "count", 1, "1,204"),
        (0.8363, "share", 1, "83.6 %"),
        (1, "meter", 0, "100 %"),
        ((0.1, 0.25), "interval", 1, "10.0 % to 25.0 %"),
        (0.31249, "number", 1, "0.312"),
        (1234.56, "number", 1, "1,234.6"),
    ],
)
def test_cells_in_words(value: Cell, kind: str, digits: int, text: str | None) -> None:
    assert in_words(value, kind, digits) == text
