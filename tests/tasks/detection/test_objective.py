"""The loss of a detector and what it finds, by hand and by property."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tasks.detection.detector import card_of

from mobilenet.errors import ConfigError
from mobilenet.images.augment import whole_photos
from mobilenet.metrics.detection import iou
from mobilenet.model.suppression import corners
from mobilenet.nn.boxes import Matches, encode, matches, overlap, overlap_loss
from mobilenet.tasks.detection.found import found_boxes
from mobilenet.tasks.detection.priors import BOX_SCALES, prior_boxes
from mobilenet.tasks.detection.targets import BoxTargets
from mobilenet.tasks.detection.task import Detection
from mobilenet.training.settings import TrainingSettings

_CARD = card_of(128)
_PRIORS = prior_boxes(_CARD)


def _targets(boxes: list[list[float]], labels: list[int], crowd: list[bool] | None = None) -> BoxTargets:
    """Two photos, the second without boxes."""
    return BoxTargets(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(labels, np.int64),
        np.array(crowd or [False] * len(labels), np.bool_),
        np.array([[100, 200], [50, 50]], np.int32),
        np.array([0, len(labels), len(labels)], np.int64),
    )


def _perfect(targets: BoxTargets, sure: float = 12.0) -> dict[str, torch.Tensor]:
    """Outputs before their endings that find exactly these boxes, from every prior that matches one."""
    count = len(_PRIORS)
    codes = np.zeros((len(targets), count, 4), np.float32)
    scores = np.full((len(targets), count, 2), -sure, np.float32)
    priors = corners(_PRIORS)
    for photo in range(len(targets)):
        at = targets.photo(photo)
        for box, label in zip(targets.boxes[at], targets.labels[at].tolist(), strict=True):
            shared = iou(priors, box[None])[:, 0]
            chosen = np.flatnonzero((shared >= 0.5) | (shared == shared.max()))
            wanted = np.repeat(box[None], len(chosen), 0)
            made = encode(torch.from_numpy(wanted), torch.from_numpy(_PRIORS[chosen]))
            codes[photo, chosen] = made.numpy() * np.array(BOX_SCALES, np.float32)
            scores[photo, chosen, label] = sure
    return {"boxes": torch.from_numpy(codes), "scores": torch.from_numpy(scores)}


def _loss(
    task: Detection, outputs: dict[str, torch.Tensor], targets: BoxTargets, said: TrainingSettings | None = None
) -> list[float]:
    objective = task.objective(_CARD, said)
    arrays = objective.batch(targets, np.arange(len(targets)), whole_photos(len(targets)))
    found: list[float] = objective(outputs, {name: torch.from_numpy(array) for name, array in arrays.items()}).tolist()
    return found


_TWO = _targets([[0.1, 0.1, 0.35, 0.3], [0.4, 0.5, 0.95, 0.9]], [0, 1])


@pytest.mark.parametrize("score_loss", ["focal", "varifocal", "hard-negatives"])
@pytest.mark.parametrize("box_loss", ["giou", "smooth-l1"])
def test_the_right_answer_costs_nothing_and_others_do(score_loss: str, box_loss: str) -> None:
    task = Detection(score_loss=score_loss, box_loss=box_loss)  # type: ignore[arg-type]
    right = _perfect(_TWO)
    assert _loss(task, right, _TWO) == pytest.approx([0, 0, 0], abs=1e-3)
    swapped = {**right, "scores": right["scores"].flip(2)}
    _, score_loss_of_swapped, box_loss_of_swapped = _loss(task, swapped, _TWO)
    assert score_loss_of_swapped > 1
    assert box_loss_of_swapped == pytest.approx(0, abs=1e-3)
    moved = {**right, "boxes": right["boxes"] + 1}
    assert _loss(task, moved, _TWO)[2] > 0.05
    nothing = {**right, "scores": torch.full_like(right["scores"], -12.0)}
    assert _loss(task, nothing, _TWO)[1] > 1


def test_crowds_are_neither_learned_nor_background() -> None:
    task, crowd = Detection(), _targets([[0.1, 0.1, 0.9, 0.9]], [0], [True])
    within = _perfect(_targets([[0.3, 0.3, 0.6, 0.6]], [0]))
    assert _loss(task, within, crowd) == pytest.approx([0, 0, 0], abs=1e-3)
    assert _loss(task, within, _targets([], []))[0] > 1, "where there is no crowd, that is a false alarm"


def _undecided() -> tuple[dict[str, torch.Tensor], BoxTargets, Matches]:
    """Outputs that say 1/2 of everything, the first photo of two, and what its priors are to predict."""
    outputs = {"boxes": torch.zeros(1, len(_PRIORS), 4), "scores": torch.zeros(1, len(_PRIORS), 2)}
    photo = _TWO.take(np.array([0]))
    wanted = torch.ones(1, len(photo.boxes), dtype=torch.bool)
    return outputs, photo, matches(torch.tensor(corners(_PRIORS)), torch.from_numpy(photo.boxes)[None], wanted, ~wanted)


def test_the_focal_loss_of_one_prior_by_hand() -> None:
    """Lin et al. 2017, equation 5: -alpha (1 - p)² log p of the matched class, -(1 - alpha) p² log(1 - p) otherwise."""
    outputs, photo, found = _undecided()
    matched, counted = int(found.matched.sum()), int(found.counted.sum())
    each = 0.25 * math.log(2)
    expected = (matched * 0.25 + matched * 0.75 + (counted - matched) * 2 * 0.75) * each / matched
    assert _loss(Detection(score_loss="focal"), outputs, photo)[1] == pytest.approx(expected, rel=1e-5)


def test_the_varifocal_loss_of_one_photo_by_hand() -> None:
    """Matched priors are to say how well their own box, here the prior itself, overlaps; all scores are 1/2."""
    outputs, photo, found = _undecided()
    matched, counted = int(found.matched.sum()), int(found.counted.sum())
    # At 1/2 the cross-entropy is log 2, whatever is wanted.
    expected = (matched * 2 + (counted - matched) * 2 * 0.75 / 4) * math.log(2) / matched
    task = Detection(score_loss="varifocal")
    assert _loss(task, outputs, photo)[1] == pytest.approx(expected, rel=1e-5)
    # For a score of about 1 it is 1 - the overlap wanted, times the score before the sigmoid.
    sure, shared = torch.full_like(outputs["scores"], -20.0), iou(corners(_PRIORS), photo.boxes)
    which = found.matched[0].numpy()
    sure[0, which, photo.labels[found.which[0].numpy()[which]]] = 20.0
    overlaps = shared[np.arange(len(shared)), found.which[0].numpy()][which]
    expected = float(((1 - overlaps) * 20).sum()) / matched
    assert _loss(task, {**outputs, "scores": sure}, photo)[1] == pytest.approx(expected, rel=1e-4)


def test_scores_are_learned_by_hard_negatives_from_random_weights_alone() -> None:
    outputs = {"boxes": torch.zeros(2, len(_PRIORS), 4), "scores": torch.zeros(2, len(_PRIORS), 2)}
    focal, hard = (_loss(Detection(score_loss=name), outputs, _TWO) for name in ("focal", "hard-negatives"))
    assert focal != hard
    random = TrainingSettings(Path("photos"))
    assert _loss(Detection(), outputs, _TWO, random) == hard
    assert _loss(Detection(), outputs, _TWO, replace(random, weights="model")) == focal
    assert _loss(Detection(score_loss="focal"), outputs, _TWO, random) == focal


def test_every_box_has_a_prior_however_small() -> None:
    boxes = torch.tensor([[[0.5, 0.5, 0.501, 0.501], [0.1, 0.1, 0.9, 0.9], [0.0, 0.0, 0.02, 0.9]]])
    yes = torch.ones(1, 3, dtype=torch.bool)
    found = matches(torch.tensor(corners(_PRIORS)), boxes, yes, ~yes)
    assert set(found.which[found.matched].tolist()) == {0, 1, 2}
    assert not (found.matched & ~found.counted).any()


_SIDES = st.floats(0.01, 0.99)


@settings(max_examples=50)
@given(st.lists(st.tuples(_SIDES, _SIDES, _SIDES, _SIDES), min_size=1, max_size=5))
def test_overlaps_are_shares_and_those_of_the_loss(quads: list[tuple[float, float, float, float]]) -> None:
    boxes = np.array([[min(a, c), min(b, d), max(a, c) + 0.01, max(b, d) + 0.01] for a, b, c, d in quads], np.float32)
    shared = iou(boxes, boxes)
    assert ((shared >= 0) & (shared <= 1 + 1e-6)).all()
    np.testing.assert_allclose(np.diag(shared), 1, atol=1e-5)
    np.testing.assert_allclose(shared, shared.T, atol=1e-6)
    tensor = torch.from_numpy(boxes)
    middle = torch.tensor([[0.5, 0.5, 0.4, 0.4]]).expand(len(boxes), -1)
    loss = overlap_loss(encode(tensor, middle), middle, tensor)
    np.testing.assert_allclose(loss.numpy(), 0, atol=1e-3)
    one = torch.zeros(1, 4).expand(len(boxes), -1)
    np.testing.assert_allclose(overlap(one, middle, tensor), iou(corners(middle[:1].numpy()), boxes)[0], atol=1e-5)


def test_what_is_found_is_what_was_there_once_and_best_first() -> None:
    right = _perfect(_TWO, sure=3.0)
    right["scores"][0, :, 1] += 1.0
    outputs = {"boxes": right["boxes"].numpy(), "scores": right["scores"].sigmoid().numpy()}
    first, second = found_boxes(outputs, _CARD, least_score=0.5)
    assert first.labels.tolist() == [1, 0]
    np.testing.assert_allclose(first.boxes, _TWO.boxes[[1, 0]], atol=1e-4)
    assert (np.diff(first.scores) <= 0).all()
    assert len(second) == 0


def test_unknown_options_are_refused() -> None:
    with pytest.raises(ConfigError, match="unknown ssd 'heavy'; use one of lite, plain"):
        Detection(ssd="heavy")  # type: ignore[arg-type]
