"""The learning-rate schedule, and gradual unfreezing."""

import math

__all__ = ["frozen_parts", "learning_rate_factor"]


def learning_rate_factor(progress: float, warmup: float) -> float:
    """Factor of the peak rate at `progress` (0…1) of the run: linear over `warmup` (0…1), then half a cosine to zero
    (Loshchilov and Hutter, 2017)."""
    if progress < warmup:
        return progress / warmup
    if warmup >= 1:
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * min((progress - warmup) / (1 - warmup), 1)))


def frozen_parts(progress: float, unfreeze: float, count: int) -> int:
    """How many of `count` parts, from the first, are still frozen at `progress` (0…1): the last one is trained from the
    start, all from `unfreeze` (0…1) on, evenly in between."""
    if progress >= unfreeze:
        return 0
    return count - 1 - int((count - 1) * progress / unfreeze)
