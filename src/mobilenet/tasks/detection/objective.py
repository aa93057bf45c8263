"""What a detector minimises: a loss of scores, over all priors, and one of boxes, over those that match a box."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from mobilenet.datasets.targets import Targets
from mobilenet.images.augment import Crops
from mobilenet.model.ssd import BOXES, SCORES
from mobilenet.model.suppression import corners
from mobilenet.nn.boxes import encode, matches, overlap, overlap_loss
from mobilenet.nn.losses import sigmoid_divergence
from mobilenet.nn.objective import Raw
from mobilenet.tasks.detection.moving import IGNORED, NOTHING, moved
from mobilenet.tasks.detection.targets import BoxTargets

__all__ = ["DetectionObjective"]

_LABELS = "labels"
_ALPHA, _GAMMA = 0.25, 2.0
"""Of the focal loss (Lin et al. 2017, arXiv 1708.02002)."""

_OTHERS = 0.75
"""The weight of a prior without a box in the varifocal loss (Zhang et al. 2021, arXiv 2008.13367)."""

_NEGATIVES = 3
"""Priors without a box per prior with one, for hard negatives (Liu et al. 2016)."""

_RARE = 0.01
"""The score that everything has at first."""

_STEP = 8
"""Boxes per photo are filled up to a multiple of this."""


class DetectionObjective:
    """Minimises the loss of scores plus that of boxes; also reports both.

    `priors` (P, 4) centre from the top and from the left, height and width; `scales` those of codes; `box_rows` and
    `score_rows` compute the outputs.
    """

    names = ("loss", "score_loss", "box_loss")
    zero_start: tuple[str, ...] = ()
    fits_head = False

    def __init__(
        self,
        priors: NDArray[np.float32],
        scales: Sequence[float],
        *,
        box_rows: Sequence[str],
        score_rows: Sequence[str],
        score_loss: Literal["focal", "varifocal", "hard-negatives"] = "focal",
        box_loss: Literal["giou", "smooth-l1"] = "giou",
    ) -> None:
        self._priors, self._scales = torch.tensor(priors), torch.tensor(scales)
        self._corners = torch.tensor(corners(priors))
        self._score_loss, self._box_loss = score_loss, box_loss
        # Every prior begins with itself for a box, and says that there is nothing.
        rare = -math.log(1 / _RARE - 1)
        self.initial = {
            **{f"{row}.conv.weight": 0.0 for row in (*box_rows, *score_rows)},
            **{f"{row}.conv.bias": rare for row in score_rows},
        }

    def learned(self, _targets: Targets) -> None:
        """Nothing beside the network."""

    def batch(self, targets: Targets, indices: NDArray[np.int64], crops: Crops) -> dict[str, NDArray[Any]]:
        """{"boxes": (B, G, 4) float32 within the crops, "labels": (B, G) int64}, for G as large as a photo needs."""
        return dict(zip((BOXES, _LABELS), moved(*_padded(_boxes(targets).take(indices)), crops), strict=True))

    def __call__(self, outputs: Raw, targets: Mapping[str, Tensor]) -> Tensor:
        """(3,) float32: the loss and its two parts, per matched prior."""
        self._move(outputs[BOXES].device)
        boxes, labels = targets[BOXES], targets[_LABELS]
        found = matches(self._corners, boxes, labels >= 0, labels == IGNORED)
        count = found.matched.sum().clamp_min(1)
        wanted = F.one_hot(labels.gather(1, found.which).clamp_min(0), outputs[SCORES].shape[2]).float()
        chosen = boxes.gather(1, found.which[..., None].expand(-1, -1, 4))
        wanted = wanted * self._certainty(outputs[BOXES].detach(), found.matched, chosen)[..., None]
        scores = self._of_scores(outputs[SCORES], wanted, found.matched, found.counted) / count
        placed = self._of_boxes(outputs[BOXES], found.matched, chosen) / count
        return torch.stack([scores + placed, scores.detach(), placed.detach()])

    def distil(self, student: Raw, teacher: Raw, temperature: float = 1.0) -> Tensor:
        """The divergence of the scores, and the squared difference of codes where the teacher sees something: (),
        summed over photos."""
        scores = sigmoid_divergence(student[SCORES].flatten(1), teacher[SCORES].flatten(1), temperature)
        seen = teacher[SCORES].sigmoid().amax(2)
        placed = ((student[BOXES] - teacher[BOXES]).square().mean(2) * seen).sum() / seen.sum().clamp_min(1e-6)
        return scores + placed * len(seen)

    def fit_head(self, *_: object) -> None:
        """Nothing: boxes are not a matter of one average over the photo."""

    def _move(self, device: torch.device) -> None:
        self._priors, self._scales = self._priors.to(device), self._scales.to(device)
        self._corners = self._corners.to(device)

    def _certainty(self, codes: Tensor, matched: Tensor, boxes: Tensor) -> Tensor:
        """(B, P) the score that a prior is to have for the class of its box: 1 or, in the varifocal loss, the overlap
        of this box (B, P, 4) with the predicted one, so that the best of several boxes is preferred; 0 without one."""
        certainty = matched.float()
        if self._score_loss == "varifocal":
            priors = self._priors.expand(len(codes), -1, -1)[matched]
            certainty[matched] = overlap(codes[matched] / self._scales, priors, boxes[matched])
        return certainty

    def _of_scores(self, scores: Tensor, wanted: Tensor, matched: Tensor, counted: Tensor) -> Tensor:
        """() the sum over photos; `counted` (B, P): the priors that are matched or background."""
        each = F.binary_cross_entropy_with_logits(scores, wanted, reduction="none")
        if self._score_loss == "hard-negatives":
            return _hardest(each.sum(2) * counted, matched)
        weight = _focal(scores, wanted) if self._score_loss == "focal" else _varifocal(scores.detach(), matched)
        weighted: Tensor = each * weight * counted[..., None]
        return weighted.sum()

    def _of_boxes(self, codes: Tensor, matched: Tensor, boxes: Tensor) -> Tensor:
        """() the sum over the matched priors."""
        priors = self._priors.expand(len(codes), -1, -1)[matched]
        if self._box_loss == "giou":
            return 2 * overlap_loss(codes[matched] / self._scales, priors, boxes[matched]).sum()
        wanted = encode(boxes[matched], priors) * self._scales
        return F.smooth_l1_loss(codes[matched], wanted, reduction="sum")


def _focal(scores: Tensor, wanted: Tensor) -> Tensor:
    """(B, P, C) weights: less for what is nearly right already."""
    sure = torch.where(wanted > 0, 1 - scores.sigmoid(), scores.sigmoid()) ** _GAMMA
    return sure * torch.where(wanted > 0, _ALPHA, 1 - _ALPHA)


def _varifocal(scores: Tensor, matched: Tensor) -> Tensor:
    """(B, P, C) weights: less for background that is nearly right already. Unlike the authors', every class counts in
    full at a matched prior, which tells similar classes apart."""
    return torch.where(matched[..., None], 1.0, _OTHERS * scores.sigmoid() ** _GAMMA)


def _hardest(losses: Tensor, matched: Tensor) -> Tensor:
    """() the sum of the losses (B, P) of matched priors and of the background priors with the largest ones."""
    hard = losses.detach().masked_fill(matched, 0)
    rank = hard.argsort(dim=1, descending=True, stable=True).argsort(1)
    negatives = rank < (matched.sum(1, keepdim=True) * _NEGATIVES).clamp_min(_NEGATIVES)
    return (losses * (matched | negatives)).sum()


def _padded(targets: BoxTargets) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Boxes (B, G, 4) and labels (B, G) of B photos, `NOTHING` where a photo has no more."""
    counts = targets.starts[1:] - targets.starts[:-1]
    most = -(-max(int(counts.max(initial=1)), 1) // _STEP) * _STEP
    photo = targets.of_photos()
    place = np.arange(len(photo)) - targets.starts[:-1][photo]
    boxes = np.zeros((len(targets), most, 4), np.float32)
    labels = np.full((len(targets), most), NOTHING, np.int64)
    boxes[photo, place] = targets.boxes
    labels[photo, place] = np.where(targets.crowd, IGNORED, targets.labels)
    return boxes, labels


def _boxes(targets: Targets) -> BoxTargets:
    if not isinstance(targets, BoxTargets):
        raise TypeError(f"targets are {type(targets).__name__}, not boxes")
    return targets
