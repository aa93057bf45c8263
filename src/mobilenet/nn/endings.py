"""The functions that turn a row's values into an output, along the last axis, as in exported files, and back."""

import torch
from torch import Tensor

from mobilenet.model.outputs import SHORTEST, Ending

__all__ = ["ended", "raw"]

_LEAST = 1e-37
"""Probabilities below are those of a softmax that has underflown."""


def ended(x: Tensor, ending: Ending) -> Tensor:
    """(N, *shape) raw values -> the output, of the same shape."""
    match ending:
        case "softmax":
            return torch.softmax(x, -1)
        case "sigmoid":
            return torch.sigmoid(x)
        case "l2":
            return x / torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min(SHORTEST)
        case "none":
            return x


def raw(x: Tensor, ending: Ending) -> Tensor:
    """(N, *shape) float32 output -> values, of the same shape, that the ending turns into it.

    Logits up to a constant per photo for a softmax, and within the precision of float32 for a sigmoid. Directions, of
    `l2`, are values that give themselves.
    """
    match ending:
        case "softmax":
            return x.clamp_min(_LEAST).log()
        case "sigmoid":
            return torch.logit(x, eps=torch.finfo(torch.float32).eps)
        case "l2" | "none":
            return x
