"""Retrieval by hand and by brute force."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobilenet.metrics.retrieval import nearest, retrieval


def _on_circle(*degrees: float) -> np.ndarray:
    return np.array([(math.cos(math.radians(at)), math.sin(math.radians(at))) for at in degrees], np.float32)


def test_photos_on_a_circle_by_hand() -> None:
    """Three of class 0 at 0, 10 and 40 degrees, two of class 1 at 20 and 90, and one of class 2 at 200.

    Nearest first: 0 finds 10 (right), 20 (wrong), 40 (right): R = 2, so its average precision is 1/2. 10 finds 0 or 20
    (0 at the same angle comes first), R = 2: 0, 20 -> 1/2. 40 finds 20, 10, 0: of its first two, the second is right
    with precision 1/2 -> 1/4. 20 finds 10, 0 or 40, then 90: R = 1 -> 0. 90 finds 40 -> 0. 200 has no other.
    """
    found = retrieval(_on_circle(0, 10, 40, 20, 90, 200), np.array([0, 0, 0, 1, 1, 2]))
    assert found.queries == 5
    assert found.recall_at_1 == pytest.approx(2 / 5)
    assert found.recall_at_5 == 1
    assert found.map_at_r == pytest.approx((1 / 2 + 1 / 2 + 1 / 4) / 5)


def test_a_gallery_is_searched_instead_of_the_others() -> None:
    gallery = _on_circle(0, 90), np.array([7, 8])
    found = retrieval(_on_circle(10, 80, 100), np.array([7, 7, 9]), gallery)
    assert (found.queries, found.recall_at_1, found.recall_at_5) == (2, 0.5, 1)


def test_nothing_to_find_is_nothing_found() -> None:
    found = retrieval(_on_circle(0, 10), np.array([0, 1]))
    assert (found.queries, found.recall_at_1, found.map_at_r) == (0, 0, 0)


def _by_loops(vectors: np.ndarray, labels: np.ndarray) -> tuple[float, float, float]:
    firsts, fives, precisions = [], [], []
    for query in range(len(labels)):
        others = sorted(
            (row for row in range(len(labels)) if row != query), key=lambda row: -(vectors[query] @ vectors[row])
        )
        right = [labels[row] == labels[query] for row in others]
        if not (relevant := sum(right)):
            continue
        firsts.append(right[0])
        fives.append(any(right[:5]))
        hits = [sum(right[: rank + 1]) / (rank + 1) for rank in range(relevant) if right[rank]]
        precisions.append(sum(hits) / relevant)
    return tuple(float(np.mean(values)) if values else 0.0 for values in (firsts, fives, precisions))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 40), st.integers(1, 6))
def test_any_photos_as_by_loops(seed: int, photos: int, classes: int) -> None:
    random = np.random.default_rng(seed)
    vectors, labels = random.normal(size=(photos, 5)), random.integers(0, classes, photos)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = vectors.astype(np.float32)
    found = retrieval(vectors, labels)
    assert (found.recall_at_1, found.recall_at_5, found.map_at_r) == pytest.approx(_by_loops(vectors, labels))


def test_neighbours_are_in_order_and_never_the_photo_itself() -> None:
    vectors = np.random.default_rng(0).normal(size=(1100, 4)).astype(np.float32)
    rows, similarities = nearest(vectors, 3)
    every = vectors @ vectors.T
    np.fill_diagonal(every, -np.inf)
    assert np.array_equal(rows, np.argsort(-every, axis=1)[:, :3])
    assert (np.diff(similarities, axis=1) <= 0).all()
    assert nearest(vectors[:2], 5)[0].tolist() == [[1], [0]]
