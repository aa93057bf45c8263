"""What turns raw numbers into outputs, and how far two networks' raw outputs are apart, against formulas in NumPy."""

import numpy as np
import pytest
import torch

from mobilenet.model.outputs import Ending
from mobilenet.nn.endings import ended
from mobilenet.nn.losses import softmax_divergence

_RAW = np.random.default_rng(0).normal(0, 3, (5, 4, 6))


def _softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        ("softmax", _softmax(_RAW)),
        ("sigmoid", 1 / (1 + np.exp(-_RAW))),
        ("l2", _RAW / np.sqrt((_RAW**2).sum(-1, keepdims=True))),
        ("none", _RAW),
    ],
)
def test_endings_go_along_the_last_axis(ending: Ending, expected: np.ndarray) -> None:
    np.testing.assert_allclose(ended(torch.from_numpy(_RAW), ending).numpy(), expected, rtol=1e-12)


def test_a_vector_of_zeros_stays_one() -> None:
    assert not ended(torch.zeros(2, 3), "l2").any()


def test_the_divergence_of_classes_is_a_sum_over_photos_in_nats() -> None:
    ours, theirs = _RAW[:, 0], _RAW[:, 1]
    found = softmax_divergence(torch.from_numpy(ours), torch.from_numpy(theirs))
    expected = (_softmax(theirs) * np.log(_softmax(theirs) / _softmax(ours))).sum()
    assert float(found) == pytest.approx(expected, rel=1e-12)
