"""Losses that training minimises."""

from torch import Tensor
from torch.nn import functional as F

__all__ = ["classification_loss"]


def classification_loss(
    logits: Tensor, labels: Tensor, smoothing: float, class_weights: Tensor | None = None
) -> Tensor:
    """Mean cross-entropy of (N, classes) float32 logits and (N,) int64 labels, with label smoothing in [0, 1)
    (Szegedy et al., 2016) and, if given, a weight for each class."""
    return F.cross_entropy(logits, labels, weight=class_weights, label_smoothing=smoothing)
