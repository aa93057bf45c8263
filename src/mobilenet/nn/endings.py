"""What is done to a row's numbers before they are an output."""

import torch
from torch import Tensor
from torch.nn import functional as F

from mobilenet.model.outputs import Ending

__all__ = ["ended"]


def ended(raw: Tensor, ending: Ending) -> Tensor:
    """(N, …, C) float32 -> the same shape, with the ending applied along the last axis."""
    match ending:
        case "softmax":
            return torch.softmax(raw, -1)
        case "sigmoid":
            return torch.sigmoid(raw)
        case "l2":
            return F.normalize(raw, dim=-1)
        case "none":
            return raw
