"""The confusion matrix in an evaluation: small for many classes, lossless, and as earlier versions wrote it."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenet.errors import DataError
from mobilenet.evaluate import Evaluation
from mobilenet.metrics.classification import confusion_matrix
from mobilenet.report.draw.matrix import drawing
from mobilenet.tasks.classification.confusion import cells, columns
from mobilenet.tasks.classification.score import score
from mobilenet.tasks.classification.sections import sections, summary
from mobilenet.tasks.sections import Matrix

_CLASSES = st.shared(st.integers(1, 9), key="classes")
_PAIRS = _CLASSES.flatmap(
    lambda classes: st.lists(st.tuples(st.integers(0, classes - 1), st.integers(0, classes - 1)), max_size=40)
)


@dataclass(frozen=True)
class _Evaluated:
    photos: int
    figures: dict[str, Any]


@given(_CLASSES, _PAIRS)
def test_a_matrix_survives_json_in_the_form_of_this_version_and_of_earlier_ones(
    classes: int, pairs: list[tuple[int, int]]
) -> None:
    true, predicted = np.array(pairs, np.int64).reshape(-1, 2).T
    matrix = confusion_matrix(true, predicted, classes)
    expected = tuple((*pair, photos) for pair, photos in sorted(Counter(pairs).items()))
    stored = json.loads(json.dumps(columns(matrix)))
    assert cells(stored, classes) == expected
    assert len(stored["photos"]) == len(set(pairs))
    assert cells(json.loads(json.dumps(matrix.tolist())), classes) == expected


def _scored(labels: tuple[str, ...], photos: int) -> dict[str, Any]:
    """Two photos of each class, of which the second is taken for the next class."""
    numbers = np.arange(photos) % len(labels)
    predicted = np.where(np.arange(photos) < len(labels), numbers, (numbers + 1) % len(labels))
    probabilities = np.zeros((photos, len(labels)), np.float16)
    probabilities[np.arange(photos), predicted] = 1
    # A float32 copy would have four times the size of the matrix; the loss is not what is tested.
    probabilities[np.arange(photos), numbers] += np.float16(0.25)
    return score(probabilities, numbers, labels)


@pytest.mark.parametrize("name", ["{:04}", "plant/{:04}"], ids=["flat", "nested"])
def test_an_evaluation_of_many_classes_is_small(name: str) -> None:
    classes = 1000
    figures = _scored(tuple(name.format(number) for number in range(classes)), 2 * classes)
    text = Evaluation("classification", 2 * classes, figures).to_json()
    # The whole matrix has a million cells, in two bytes at least.
    assert len(text) < 250_000
    again = Evaluation.from_json(text)
    assert again.figures == figures
    found = cells(again.figures["confusion"], classes)
    assert found[:2] == ((0, 0, 1), (0, 1, 1))
    assert len(found) == 2 * classes


def test_the_sections_of_many_classes_list_what_is_confused() -> None:
    labels = tuple(f"{number:04}" for number in range(1000))
    evaluated = _Evaluated(2000, _scored(labels, 2000))
    matrix, table = sections(evaluated)[0].parts
    assert isinstance(matrix, Matrix)
    assert drawing(matrix) is None
    assert not isinstance(table, str)
    assert table.rows[:2] == (("0000", "0001", 1, 0.5), ("0001", "0002", 1, 0.5))  # type: ignore[union-attr]


def test_an_evaluation_of_an_earlier_version_has_the_same_sections() -> None:
    labels = ("a/x", "a/y", "b")
    figures = _scored(labels, 6)
    old = json.loads(json.dumps(figures))
    old["confusion"] = [[1, 1, 0], [0, 1, 1], [1, 0, 1]]
    old["families"][0]["confusion"] = [[1, 1], [0, 1]]
    assert sections(_Evaluated(6, old)) == sections(_Evaluated(6, figures))
    assert summary(_Evaluated(6, old)) == summary(_Evaluated(6, figures))


@pytest.mark.parametrize(
    "damaged",
    [
        {"true": [0], "predicted": [1]},
        {"true": [0], "predicted": [1, 0], "photos": [1]},
        {"true": [0], "predicted": [3], "photos": [1]},
        {"true": [-1], "predicted": [0], "photos": [1]},
        {"true": [0], "predicted": [0], "photos": [-1]},
        {"true": ["a"], "predicted": [0], "photos": [1]},
        [[0, 0, 0], [0, 0, 0], [0, 0, 0], [1, 0, 0]],
        [1, 2, 3],
        None,
    ],
)
def test_a_damaged_matrix_is_one_line(damaged: Any) -> None:
    with pytest.raises(DataError, match=r"^the confusion matrix of the evaluation is damaged; run mobilenet evaluate"):
        cells(damaged, 3)
