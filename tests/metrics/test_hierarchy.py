"""Levels and families against counts by hand, and against reading every photo's answer by itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mobilenet.metrics.classification import confusion_matrix, wilson_interval
from mobilenet.metrics.hierarchy import Family, Level, ancestor, depth, families, levels

FRUIT = ("Apple/Fuji", "Apple/Gala", "Banana", "Pear/Kaiser", "Pear/Anjou")
CONFUSION = np.array(
    [
        [3, 2, 1, 0, 0],
        [1, 4, 0, 0, 0],
        [1, 0, 5, 0, 0],
        [0, 0, 0, 2, 0],
        [0, 0, 0, 0, 1],
    ]
)


def test_the_levels_of_fruit_by_hand() -> None:
    """20 photos: 15 right; 3 apples taken for the other apple; an apple for a banana and a banana for an apple."""
    assert levels(FRUIT, CONFUSION) == (
        Level("level 1", 3, 18 / 20, wilson_interval(18, 20), 0),
        Level("leaf", 5, 15 / 20, wilson_interval(15, 20), 3),
    )


def test_the_families_of_fruit_by_hand() -> None:
    assert families(FRUIT, CONFUSION) == (
        Family("Apple", ("Apple/Fuji", "Apple/Gala"), photos=11, inside=3, outside=1, confusion=((3, 2), (1, 4))),
        Family("Pear", ("Pear/Kaiser", "Pear/Anjou"), photos=3, inside=0, outside=0, confusion=((2, 0), (0, 1))),
    )


def test_three_levels_of_which_some_classes_end_early() -> None:
    """A big dog for the other big dog is inside Dog/Big; for a small dog inside Dog; for a cat outside of both."""
    labels = ("Cat", "Dog/Big/Dane", "Dog/Big/Poodle", "Dog/Small")
    confusion = np.array([[1, 0, 0, 0], [1, 2, 3, 4], [0, 0, 5, 0], [0, 2, 0, 2]])
    assert [(row.name, row.groups, row.top1, row.inside) for row in levels(labels, confusion)] == [
        ("level 1", 2, 19 / 20, 0),
        ("level 2", 3, 13 / 20, 6),
        ("leaf", 4, 10 / 20, 3),
    ]
    dog, big = families(labels, confusion)
    assert (dog.label, dog.children, dog.confusion) == ("Dog", ("Dog/Big", "Dog/Small"), ((10, 4), (2, 2)))
    assert (dog.photos, dog.inside, dog.outside) == (19, 6, 1)
    assert (big.label, big.children, big.confusion) == ("Dog/Big", labels[1:3], ((2, 3), (0, 5)))
    assert (big.photos, big.inside, big.outside) == (15, 3, 5)


def test_a_class_that_is_also_a_parent_is_its_own_child() -> None:
    labels = ("Apple", "Apple/Fuji", "Banana")
    confusion = np.array([[1, 2, 0], [0, 3, 0], [0, 1, 3]])
    assert [row.top1 for row in levels(labels, confusion)] == [9 / 10, 7 / 10]
    (apple,) = families(labels, confusion)
    assert (apple.children, apple.inside, apple.outside) == (("Apple", "Apple/Fuji"), 2, 0)


@pytest.mark.parametrize("labels", [("cat", "dog"), ("n/a", "dog"), ("a/x/1", "b/x/1"), ("only",)])
def test_flat_classes_have_no_levels(labels: tuple[str, ...]) -> None:
    confusion = np.eye(len(labels), dtype=int)
    assert depth(labels) == 1
    assert levels(labels, confusion) == ()
    assert families(labels, confusion) == ()


def test_an_ancestor_is_what_comes_first_in_a_name() -> None:
    assert [ancestor("Früchte/苹果/Fuji", level) for level in (1, 2, 3, 9)] == [
        "Früchte",
        "Früchte/苹果",
        "Früchte/苹果/Fuji",
        "Früchte/苹果/Fuji",
    ]
    # a backslash is a letter like any other, and names that begin alike are no relatives
    assert depth(("a\\b", "a\\c", "a", "ab/c")) == 1


def test_without_photos_nothing_is_invented() -> None:
    with pytest.raises(ValueError, match="no photos"):
        levels(FRUIT, np.zeros((5, 5), int))


Answered = tuple[tuple[str, ...], NDArray[np.int64], NDArray[np.int64]]


@st.composite
def _answered(draw: st.DrawFn) -> Answered:
    """Names up to four levels deep in which parents and classes may coincide; true classes and answers."""
    names = st.lists(st.sampled_from("ab"), min_size=1, max_size=4).map("/".join)
    labels = tuple(draw(st.lists(names, min_size=1, max_size=12, unique=True)))
    class_numbers = st.integers(0, len(labels) - 1)
    pairs = draw(st.lists(st.tuples(class_numbers, class_numbers), min_size=1, max_size=40))
    true, predicted = np.array(pairs, np.int64).T
    return labels, true, predicted


@given(_answered())
def test_a_level_is_right_where_the_first_parts_of_both_names_agree(answered: Answered) -> None:
    labels, true, predicted = answered
    rows = levels(labels, confusion_matrix(true, predicted, len(labels)))
    for level, row in enumerate(rows, 1):
        first = [label.split("/")[:level] for label in labels]
        assert row.top1 == sum(first[a] == first[b] for a, b in zip(true, predicted, strict=True)) / len(true)
        assert row.groups == len({tuple(parts) for parts in first})
    if rows:
        assert rows[-1].top1 == (true == predicted).mean()


@given(_answered())
def test_accuracy_never_falls_on_the_way_up_and_every_mistake_has_one_place(answered: Answered) -> None:
    labels, true, predicted = answered
    confusion = confusion_matrix(true, predicted, len(labels))
    rows, found = levels(labels, confusion), families(labels, confusion)
    accuracies = [row.top1 for row in rows]
    assert accuracies == sorted(accuracies, reverse=True)
    tops = [label.split("/")[0] for label in labels]
    shared = sum(a != b and tops[a] == tops[b] for a, b in zip(true, predicted, strict=True))
    assert sum(family.inside for family in found) == sum(row.inside for row in rows) == shared
    for family in found:
        assert len(family.children) > 1
        assert family.photos == sum(
            labels[number] == family.label or labels[number].startswith(f"{family.label}/") for number in true
        )
        assert family.inside + family.outside + np.trace(family.confusion) == family.photos
