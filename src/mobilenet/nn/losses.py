"""The losses that training minimises, and the divergence between two networks."""

from torch import Tensor
from torch.nn import functional as F

__all__ = ["classification_loss", "sigmoid_divergence", "softmax_divergence"]


def classification_loss(
    logits: Tensor, labels: Tensor, smoothing: float, class_weights: Tensor | None = None
) -> Tensor:
    """Mean cross-entropy of (N, classes) float32 logits and (N,) int64 labels, in nats, with label smoothing in [0, 1)
    (Szegedy et al., 2016) and optional class weights (classes,)."""
    return F.cross_entropy(logits, labels, weight=class_weights, label_smoothing=smoothing)


def softmax_divergence(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """Kullback-Leibler divergence of two softmaxes from (N, classes) float32 logits: (), nats, summed over photos.

    Logits are divided by `temperature`, and the sum is multiplied by its square (Hinton et al., 2015).
    """
    ours, theirs = (F.log_softmax(logits / temperature, 1) for logits in (student, teacher))
    return F.kl_div(ours, theirs, reduction="sum", log_target=True) * temperature**2


def sigmoid_divergence(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """Kullback-Leibler divergence of two networks' sigmoids, each a distribution over yes and no, from (N, names)
    float32 logits: (), nats, mean over the names, summed over photos.

    Logits are divided by `temperature`, and the sum is multiplied by its square (Hinton et al., 2015).
    """
    ours, theirs = student / temperature, teacher / temperature
    sure = theirs.sigmoid()
    yes = sure * (F.logsigmoid(theirs) - F.logsigmoid(ours))
    no = (1 - sure) * (F.logsigmoid(-theirs) - F.logsigmoid(-ours))
    return (yes + no).mean(1).sum() * temperature**2
