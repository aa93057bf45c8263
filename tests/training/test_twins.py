"""Photos that are in a batch twice, and the loss of answering them differently."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from mobilenet.images.augment import Augmentation, draw_crops
from mobilenet.tasks.classification.objective import ClassificationObjective
from mobilenet.training.twins import disagreement, twins


@pytest.mark.parametrize(("photos", "pairs"), [(4, 1), (7, 1), (8, 2), (32, 8)])
def test_the_last_quarter_are_the_first_photos_again_by_the_other_method(photos: int, pairs: int) -> None:
    samples = np.arange(100, 100 + photos)
    crops = draw_crops(Augmentation(aliasing=0.5), 0, 3, samples)
    both, drawn = twins(samples, crops)
    assert both.tolist() == [*range(100, 100 + photos - pairs), *range(100, 100 + pairs)]
    between = slice(pairs, photos - pairs)
    assert drawn.method[:pairs].tolist() == [0] * pairs
    assert drawn.method[photos - pairs :].tolist() == [1] * pairs
    np.testing.assert_array_equal(drawn.method[between], crops.method[between])
    for name in ("box", "mirrored", "gain", "offset"):
        values = getattr(drawn, name)
        np.testing.assert_array_equal(values[: photos - pairs], getattr(crops, name)[: photos - pairs])
        np.testing.assert_array_equal(values[photos - pairs :], values[:pairs])


def test_disagreement_is_the_mean_of_both_divergences() -> None:
    logits = np.random.default_rng(0).normal(size=(11, 4)).astype(np.float32) * 3
    found = disagreement(ClassificationObjective(4), {"probabilities": torch.from_numpy(logits)})
    first, second = log_softmax(logits[:2].astype(float), 1), log_softmax(logits[-2:].astype(float), 1)
    there = (np.exp(second) * (second - first)).sum(1)
    back = (np.exp(first) * (first - second)).sum(1)
    assert float(found) == pytest.approx(float((there + back).mean() / 2), rel=1e-5)


def test_twins_pull_each_other_and_agreeing_ones_do_not() -> None:
    logits = torch.tensor([[2.0, 0.0], [5.0, 1.0], [1.0, 2.0], [0.0, 0.0]], requires_grad=True)
    disagreement(ClassificationObjective(2), {"probabilities": logits}).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    # Each by half the difference of the probabilities: softmax(2, 0) = (0.881, 0.119).
    assert logits.grad.tolist() == pytest.approx(np.array([[0.190, -0.190], [0, 0], [0, 0], [-0.190, 0.190]]), abs=1e-3)
    same = torch.tensor([[2.0, 0.0], [5.0, 1.0], [1.0, 2.0], [2.0, 0.0]])
    assert float(disagreement(ClassificationObjective(2), {"probabilities": same})) == pytest.approx(0, abs=1e-7)
