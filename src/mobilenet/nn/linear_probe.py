"""The classifier alone, on features computed once: a linear probe, and the start of fine-tuning."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mobilenet.images.augment import random_uniform

__all__ = ["fit_head"]

_PENALTIES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
"""L2 penalties that are tried; features are standardised, the loss is a mean over photos."""

_HELD_OUT = 0.2
_MOST_STEPS = 60


def fit_head(
    features: Tensor, labels: Tensor, classes: int, seed: int, class_weights: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """(N, F) features and (N,) labels -> matrix (classes, F) and bias (classes,) of a linear classifier.

    Multinomial logistic regression by L-BFGS, full batch. The L2 penalty is the one that does best on a held-out fifth
    of the photos; the final fit uses all of them.
    """
    spread, mean = torch.std_mean(features, 0, correction=0)
    spread = spread.clamp_min(1e-3 * float(spread.max()) + 1e-12)
    inputs = (features - mean) / spread
    held_out = torch.from_numpy(random_uniform(seed, 0, np.arange(len(inputs)), 1)[:, 0] < _HELD_OUT).to(inputs.device)
    penalty = _best_penalty(inputs, labels, held_out, classes, class_weights)
    matrix, bias = _fit(inputs, labels, classes, penalty, class_weights)
    matrix = matrix / spread
    return matrix, bias - matrix @ mean


def _best_penalty(
    inputs: Tensor, labels: Tensor, held_out: Tensor, classes: int, class_weights: Tensor | None
) -> float:
    if not bool(held_out.any()) or bool(held_out.all()):
        return _PENALTIES[len(_PENALTIES) // 2]
    losses = {}
    for penalty in _PENALTIES:
        matrix, bias = _fit(inputs[~held_out], labels[~held_out], classes, penalty, class_weights)
        logits = F.linear(inputs[held_out], matrix, bias)
        losses[penalty] = float(F.cross_entropy(logits, labels[held_out], weight=class_weights))
    return min(losses, key=lambda penalty: losses[penalty])


def _fit(
    inputs: Tensor, labels: Tensor, classes: int, penalty: float, class_weights: Tensor | None
) -> tuple[Tensor, Tensor]:
    matrix = torch.zeros(classes, inputs.shape[1], device=inputs.device, requires_grad=True)
    bias = torch.zeros(classes, device=inputs.device, requires_grad=True)
    optimizer = torch.optim.LBFGS([matrix, bias], max_iter=_MOST_STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(F.linear(inputs, matrix, bias), labels, weight=class_weights)
        value = value + 0.5 * penalty * matrix.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return matrix.detach(), bias.detach()
