"""Losses of vectors, against sums written out in plain Python."""

import math

import pytest
import torch

from mobilenet.nn.losses import angular_margin_loss, contrastive_loss, vector_distance


def _cosine(one: list[float], other: list[float]) -> float:
    dot = sum(a * b for a, b in zip(one, other, strict=True))
    return dot / math.sqrt(sum(a * a for a in one) * sum(b * b for b in other))


def _drawn(seed: int, photos: int, dimensions: int) -> torch.Tensor:
    return torch.randn(photos, dimensions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_an_angular_margin_is_added_to_the_angle_of_the_own_centre() -> None:
    vectors, centres, labels = _drawn(0, 6, 4), _drawn(1, 3, 4), torch.tensor([0, 1, 2, 2, 1, 0])
    scale, margin, losses = 8.0, 0.3, []
    for vector, label in zip(vectors.tolist(), labels.tolist(), strict=True):
        angles = [math.acos(_cosine(vector, centre)) for centre in centres.tolist()]
        assert angles[label] + margin < math.pi
        angles[label] += margin
        logits = [scale * math.cos(angle) for angle in angles]
        losses.append(math.log(sum(math.exp(logit) for logit in logits)) - logits[label])
    found = angular_margin_loss(vectors, centres, labels, scale=scale, margin=margin)
    assert float(found) == pytest.approx(sum(losses) / len(losses))


def test_without_a_margin_it_is_a_softmax_of_cosines_and_with_one_never_easier() -> None:
    vectors, centres, labels = _drawn(2, 32, 3), _drawn(3, 5, 3), torch.arange(32) % 5
    cosines = torch.nn.functional.cosine_similarity(vectors[:, None], centres[None], 2)
    plain = float(angular_margin_loss(vectors, centres, labels, scale=5, margin=0))
    assert plain == pytest.approx(float(torch.nn.functional.cross_entropy(5 * cosines, labels)))
    losses = [float(angular_margin_loss(vectors, centres, labels, scale=5, margin=0.1 * step)) for step in range(6)]
    assert losses == sorted(losses)


def test_a_vector_on_its_centre_or_opposite_has_a_finite_gradient() -> None:
    vectors = torch.tensor([[2.0, 0.0], [-1.0, 0.0]], requires_grad=True)
    angular_margin_loss(vectors, torch.eye(2), torch.tensor([0, 0]), scale=30, margin=0.5).backward()
    assert vectors.grad is not None
    assert torch.isfinite(vectors.grad).all()


def test_contrastive_loss_by_its_definition() -> None:
    vectors, labels, temperature = _drawn(4, 7, 3), [0, 1, 0, 0, 1, 2, 1], 0.2
    losses = []
    for anchor, vector in enumerate(vectors.tolist()):
        others = [row for row in range(7) if row != anchor]
        scores = {row: math.exp(_cosine(vector, vectors[row].tolist()) / temperature) for row in others}
        mates = [row for row in others if labels[row] == labels[anchor]]
        if mates:
            losses.append(-sum(math.log(scores[row] / sum(scores.values())) for row in mates) / len(mates))
    assert len(losses) == 6
    assert float(contrastive_loss(vectors, torch.tensor(labels), temperature)) == pytest.approx(sum(losses) / 6)


def test_contrastive_loss_of_strangers_is_zero_with_a_gradient_of_zero() -> None:
    vectors = _drawn(5, 3, 2).requires_grad_()
    loss = contrastive_loss(vectors, torch.arange(3), 0.1)
    loss.backward()
    assert float(loss.detach()) == 0
    assert vectors.grad is not None
    assert not vectors.grad.any()


def test_the_distance_of_vectors_is_that_of_their_directions() -> None:
    one, other = torch.tensor([[3.0, 0.0], [0.0, 2.0]]), torch.tensor([[0.0, 5.0], [0.0, 1.0]])
    assert vector_distance(one, other).tolist() == pytest.approx([2.0, 0.0])
