"""The functions that turn a row's values into an output, along the last axis, as in exported files."""

import torch
from torch import Tensor

from mobilenet.model.outputs import SHORTEST, Ending

__all__ = ["ended"]


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
