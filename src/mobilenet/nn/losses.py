"""The losses that training minimises, and the divergence between two networks."""

from torch import Tensor
from torch.nn import functional as F

__all__ = ["classification_loss", "softmax_divergence"]


def classification_loss(
    logits: Tensor, labels: Tensor, smoothing: float, class_weights: Tensor | None = None
) -> Tensor:
    """Mean cross-entropy of (N, classes) float32 logits and (N,) int64 labels, in nats, with label smoothing in [0, 1)
    (Szegedy et al., 2016) and optional class weights (classes,)."""
    return F.cross_entropy(logits, labels, weight=class_weights, label_smoothing=smoothing)


def softmax_divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """Kullback-Leibler divergence of two softmaxes from (N, classes) float32 logits: (), nats, summed over photos."""
    return F.kl_div(F.log_softmax(student, 1), F.log_softmax(teacher, 1), reduction="sum", log_target=True)
