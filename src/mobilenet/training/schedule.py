"""The learning rate over a run."""

import math

__all__ = ["learning_rate_factor"]


def learning_rate_factor(progress: float, warmup: float) -> float:
    """Share of the peak rate at `progress` (0…1) through the run: linear over `warmup` (0…1), then half a cosine to
    zero (Loshchilov and Hutter, 2017)."""
    if progress < warmup:
        return progress / warmup
    if warmup >= 1:
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * min((progress - warmup) / (1 - warmup), 1)))
