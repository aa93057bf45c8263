"""Losses that training minimises, and how far two networks are apart."""

from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional as F

__all__ = ["classification_loss", "softmax_divergence"]


def classification_loss(
    logits: Tensor, labels: Tensor, smoothing: float, class_weights: Tensor | None = None
) -> Tensor:
    """Mean cross-entropy of (N, classes) float32 logits and (N,) int64 labels, with label smoothing in [0, 1)
    (Szegedy et al., 2016) and, if given, a weight for each class."""
    return F.cross_entropy(logits, labels, weight=class_weights, label_smoothing=smoothing)


def softmax_divergence(student: Mapping[str, Tensor], teacher: Mapping[str, Tensor]) -> Tensor:
    """Kullback-Leibler divergence of the student's class probabilities from the teacher's, summed over the photos, in
    nats; of the raw output `probabilities` (N, classes) of both, which are logits."""
    ours, wanted = (F.log_softmax(outputs["probabilities"], 1) for outputs in (student, teacher))
    return F.kl_div(ours, wanted, reduction="sum", log_target=True)
