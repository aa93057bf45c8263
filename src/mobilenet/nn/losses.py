"""The losses that training minimises, and the divergence between two networks."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = [
    "angular_margin_loss",
    "classification_loss",
    "contrastive_loss",
    "sigmoid_divergence",
    "softmax_divergence",
    "vector_distance",
]


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


def angular_margin_loss(vectors: Tensor, centres: Tensor, labels: Tensor, *, scale: float, margin: float) -> Tensor:
    """ArcFace (Deng et al., 2019, arXiv 1801.07698): () mean cross-entropy, in nats, of the cosines of (N, D) vectors
    and (classes, D) centres, of any length, times `scale`; the angle to the own centre counts `margin` radians more.

    `labels` (N,) int64. Beyond an angle of pi - margin, where the cosine would rise again, a straight line
    replaces it.
    """
    cosines = F.linear(F.normalize(vectors), F.normalize(centres))
    own = cosines.gather(1, labels[:, None])
    # The slope of the sine is infinite at the ends.
    sine = (1 - own.square()).clamp_min(1e-7).sqrt()
    turned = own * math.cos(margin) - sine * math.sin(margin)
    straight = own - math.sin(margin) * margin
    harder = torch.where(own > -math.cos(margin), turned, straight)
    return F.cross_entropy(scale * cosines.scatter(1, labels[:, None], harder), labels)


def contrastive_loss(vectors: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Supervised contrastive loss (Khosla et al., 2020, arXiv 2004.11362, eq. 2): (), in nats.

    Each of (N, D) vectors, of any length, that has others of its class (N,) among them is the mean over those of
    -ln of the softmax, over all others, of the cosines divided by `temperature`; the loss is the mean over such
    vectors, 0 if there are none.
    """
    unit = F.normalize(vectors)
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    similar = (unit @ unit.T / temperature).masked_fill(itself, -torch.inf)
    mates = (labels[:, None] == labels) & ~itself
    chances = (similar - similar.logsumexp(1, keepdim=True)).masked_fill(~mates, 0.0)
    counts = mates.sum(1)
    anchors = counts > 0
    losses = -chances.sum(1)[anchors] / counts[anchors]
    return losses.mean() if len(losses) else 0.0 * unit.sum()


def vector_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """(N, D) vectors of any length -> (N,) squared distances of those of length 1: 2 - 2 times their cosine."""
    return (F.normalize(student) - F.normalize(teacher)).square().sum(1)
