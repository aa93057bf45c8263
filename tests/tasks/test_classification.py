"""What a classifier's outputs mean."""

import numpy as np
import pytest

from mobilenet.errors import DataError, ModelError
from mobilenet.model.card import classifier_output
from mobilenet.model.outputs import checked_outputs
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.tasks.classification import ClassTargets
from mobilenet.tasks.classification.answers import Prediction, answers, parents
from mobilenet.tasks.classification.score import score
from mobilenet.tasks.classification.targets import relabelled


def test_answers_are_labels_best_first() -> None:
    probabilities = np.array([[0.25, 0.5, 0.25]], np.float32)
    assert answers(probabilities, ("cat", "dog", "owl"), 2) == [[Prediction("dog", 0.5), Prediction("cat", 0.25)]]
    assert len(answers(probabilities, ("cat", "dog", "owl"), 9)[0]) == 3


def test_the_parents_of_the_first_answer_have_the_probability_of_all_their_classes() -> None:
    labels = ("Cat", "Dog/Big/Dane", "Dog/Big/Poodle", "Dog/Small")
    assert parents(np.array([0.125, 0.5, 0.25, 0.125]), labels) == [
        Prediction("Dog/Big", 0.75),
        Prediction("Dog", 0.875),
    ]
    assert parents(np.array([0.125, 0.25, 0.125, 0.5]), labels) == [Prediction("Dog", 0.875)]
    assert parents(np.array([0.5, 0.25, 0.125, 0.125]), labels) == []
    assert parents(np.array([0.5, 0.25, 0.25]), ("Apple", "Apple/Fuji", "Pear")) == [Prediction("Apple", 0.75)]
    assert parents(np.array([0.5, 0.5]), ("n/a", "cat")) == []


def test_classes_are_matched_by_name_not_by_order() -> None:
    targets = ClassTargets(np.array([0, 1, 1]))
    assert relabelled(targets, Vocabulary(("owl", "cat")), Vocabulary(("cat", "dog", "owl"))).numbers.tolist() == [
        2,
        0,
        0,
    ]


def test_unknown_classes_are_named_in_one_line() -> None:
    with pytest.raises(DataError) as error:
        relabelled(ClassTargets(np.array([0])), Vocabulary(("cat", "fox", "elk")), Vocabulary(("cat", "dog")))
    assert str(error.value) == (
        "the model does not know 'fox', 'elk'; it knows 'cat', 'dog': rename the folders or use another model"
    )


def test_a_hundred_unknown_classes_stay_one_readable_line() -> None:
    with pytest.raises(DataError, match="and 90 more; it knows"):
        relabelled(
            ClassTargets(np.array([0])), Vocabulary(tuple(f"kind {n}" for n in range(100))), Vocabulary(("cat",))
        )


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"boxes": np.zeros((2, 4))}, r"\['boxes'\], without probabilities"),
        ({"probabilities": np.zeros((2, 4))}, r"shape \(2, 4\), \(2, 3\) expected"),
        ({"probabilities": np.full((2, 3), np.nan)}, "NaN or infinity"),
    ],
)
def test_outputs_that_are_no_probabilities_are_refused(outputs: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        checked_outputs(outputs, (classifier_output(3),), 2)


def test_top5_is_left_out_where_it_would_say_nothing() -> None:
    numbers = np.array([0, 1])
    assert score(np.full((2, 5), 0.2), numbers, tuple("abcde"))["top5"] is None
    assert score(np.full((2, 6), 1 / 6), numbers, tuple("abcdef"))["top5"] == 1.0


def test_scores_of_one_photo() -> None:
    figures = score(np.array([[0.2, 0.8]]), np.array([0]), ("cat", "dog"))
    assert figures["top1"] == 0.0
    assert figures["loss"] == pytest.approx(-np.log(0.2))
    assert figures["ece"] == pytest.approx(0.8)
    assert figures["confusion"] == {"true": [0], "predicted": [1], "photos": [1]}
