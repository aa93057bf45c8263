from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenet.datasets.split import split_by_content

_PHOTOS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3)), min_size=1, max_size=120)


def _contents(numbers: list[int]) -> list[bytes]:
    return [number.to_bytes(16, "little") for number in numbers]


@given(_PHOTOS, st.floats(0.01, 0.99), st.integers(-5, 5))
def test_properties_of_every_split(photos: list[tuple[int, int]], fraction: float, seed: int) -> None:
    numbers, labels = [list(column) for column in zip(*photos, strict=True)]
    chosen = split_by_content(_contents(numbers), np.array(labels), fraction, seed)
    sides: dict[int, set[bool]] = {}
    given_labels: dict[int, set[int]] = {}
    for number, label, side in zip(numbers, labels, chosen.tolist(), strict=True):
        sides.setdefault(number, set()).add(side)
        given_labels.setdefault(number, set()).add(label)
    assert all(len(side) == 1 for side in sides.values()), "copies lie on one side"
    assert all(sides[number] == {False} for number, found in given_labels.items() if len(found) > 1)
    for label in set(labels):
        kept = {
            number
            for number, found in zip(numbers, chosen.tolist(), strict=True)
            if not found and label in given_labels[number]
        }
        assert kept, "every class is learnt from"
        clear = {number for number, found in given_labels.items() if found == {label}}
        assert any(True in sides[number] for number in clear) == (len(clear) > 1)


@given(_PHOTOS, st.integers(0, 5), st.randoms())
def test_the_order_does_not_matter(photos: list[tuple[int, int]], seed: int, random: "np.random.Generator") -> None:
    def validation(items: list[tuple[int, int]]) -> Counter[tuple[int, int]]:
        chosen = split_by_content(
            _contents([number for number, _ in items]), np.array([label for _, label in items]), 0.3, seed
        )
        return Counter(item for item, found in zip(items, chosen.tolist(), strict=True) if found)

    shuffled = list(photos)
    random.shuffle(shuffled)
    assert validation(photos) == validation(shuffled)


@pytest.mark.parametrize(
    ("count", "fraction", "expected"),
    [(100, 0.1, 10), (1000, 0.25, 250), (14, 0.1, 1), (2, 0.1, 1), (2, 0.9, 1), (1, 0.5, 0)],
)
def test_the_fraction_of_distinct_photos(count: int, fraction: float, expected: int) -> None:
    labels = np.zeros(count, dtype=np.int64)
    assert split_by_content(_contents(list(range(count))), labels, fraction, 0).sum() == expected


def test_seeds_choose_differently_and_evenly() -> None:
    contents, labels = _contents(list(range(200))), np.zeros(200, dtype=np.int64)
    draws = np.stack([split_by_content(contents, labels, 0.2, seed) for seed in range(100)])
    assert len({draw.tobytes() for draw in draws}) == 100
    # Binomial: 100 draws at 0.2 have a standard deviation of 4, so 5 of them bound all 200 photos.
    assert draws.sum(axis=0).min() > 0
    assert draws.sum(axis=0).max() < 40


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3), st.integers(0, 12)), min_size=1, max_size=120),
    st.integers(0, 5),
)
def test_photos_of_one_place_lie_on_one_side(photos: list[tuple[int, int, int]], seed: int) -> None:
    numbers, labels, places = [list(column) for column in zip(*photos, strict=True)]
    chosen = split_by_content(_contents(numbers), np.array(labels), 0.3, seed, np.array(places))
    together = [{row} for row in range(len(photos))]
    for one in range(len(photos)):
        for other in range(one):
            if numbers[one] == numbers[other] or places[one] == places[other]:
                together[one] |= together[other]
                for row in together[one]:
                    together[row] = together[one]
    for rows in together:
        assert len({bool(chosen[row]) for row in rows}) == 1, "by copies and places, through any number of others"
        if len({labels[row] for row in rows}) > 1:
            assert not chosen[list(rows)].any(), "what contradicts itself measures nothing"
    for label in set(labels):
        clear = {min(rows) for rows in together if {labels[row] for row in rows} == {label}}
        assert any(chosen[row] for row in clear) == (len(clear) > 1)


def test_places_that_nobody_shares_change_nothing() -> None:
    contents, labels = _contents(list(range(100))), np.arange(100) % 3
    without = split_by_content(contents, labels, 0.2, 1)
    assert split_by_content(contents, labels, 0.2, 1, np.arange(100)[::-1].copy()).tolist() == without.tolist()
