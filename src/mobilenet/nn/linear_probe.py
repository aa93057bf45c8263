"""The classifier alone, on features computed once: a linear probe, and the start of fine-tuning."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mobilenet.images.augment import random_uniform

__all__ = ["fit_binary_heads", "fit_head"]

_PENALTIES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
"""L2 penalties that are tried; features are standardised, the loss is a mean over photos."""

_HELD_OUT = 0.2
_MOST_STEPS = 60


def fit_head(
    features: Tensor, labels: Tensor, classes: int, seed: int, class_weights: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """(N, F) features and (N,) labels, or (N, classes) probabilities of them, -> matrix (classes, F) and bias
    (classes,) of a linear classifier.

    Multinomial logistic regression by L-BFGS, full batch. The L2 penalty is the one that does best on a held-out fifth
    of the photos; the final fit uses all of them.
    """
    inputs, mean, spread = _standardised(features)
    held_out = _held_out(inputs, seed)
    penalty = _best_penalty(inputs, labels, held_out, classes, class_weights)
    matrix, bias = _fit(inputs, labels, classes, penalty, class_weights)
    matrix = matrix / spread
    return matrix, bias - matrix @ mean


def fit_binary_heads(features: Tensor, values: Tensor, weights: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """(N, F) features, (N, A) values 0 or 1 and their (N, A) weights -> matrix (A, F) and bias (A,) of A classifiers
    that each answer yes or no.

    A logistic regression each, with an L2 penalty of its own, chosen as in `fit_head`. Values of weight 0 do not count.
    """
    inputs, mean, spread = _standardised(features)
    held_out = _held_out(inputs, seed)
    tried = torch.tensor(_PENALTIES, device=inputs.device)
    penalties = tried[len(tried) // 2].repeat(values.shape[1])
    if bool(held_out.any()) and not bool(held_out.all()):
        losses = []
        for penalty in tried:
            matrix, bias = _fit_binary(inputs[~held_out], values[~held_out], weights[~held_out], penalty)
            logits = F.linear(inputs[held_out], matrix, bias)
            losses.append(_binary_losses(logits, values[held_out], weights[held_out]))
        penalties = tried[torch.stack(losses).argmin(0)]
    matrix, bias = _fit_binary(inputs, values, weights, penalties)
    matrix = matrix / spread
    return matrix, bias - matrix @ mean


def _standardised(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(N, F) features without their mean (F,) and divided by their spread (F,); and these."""
    spread, mean = torch.std_mean(features, 0, correction=0)
    spread = spread.clamp_min(1e-3 * float(spread.max()) + 1e-12)
    return (features - mean) / spread, mean, spread


def _held_out(inputs: Tensor, seed: int) -> Tensor:
    """(N,) bool: the photos that penalties are chosen by."""
    return torch.from_numpy(random_uniform(seed, 0, np.arange(len(inputs)), 1)[:, 0] < _HELD_OUT).to(inputs.device)


def _binary_losses(logits: Tensor, values: Tensor, weights: Tensor) -> Tensor:
    """(A,) mean losses of (N, A) logits over the values with a weight."""
    losses = F.binary_cross_entropy_with_logits(logits, values, weights, reduction="none").sum(0)
    return losses / (weights > 0).sum(0).clamp_min(1)


def _fit_binary(inputs: Tensor, values: Tensor, weights: Tensor, penalties: Tensor) -> tuple[Tensor, Tensor]:
    """`penalties`: () or one for each classifier (A,)."""
    count = values.shape[1]
    matrix = torch.zeros(count, inputs.shape[1], device=inputs.device, requires_grad=True)
    bias = torch.zeros(count, device=inputs.device, requires_grad=True)
    optimizer = torch.optim.LBFGS([matrix, bias], max_iter=_MOST_STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = _binary_losses(F.linear(inputs, matrix, bias), values, weights).sum()
        value = value + 0.5 * (penalties * matrix.square().sum(1)).sum()
        value.backward()
        return value

    optimizer.step(loss)
    return matrix.detach(), bias.detach()


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
