"""How many views of each photo a teacher can afford to look at."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from mobilenet.datasets.cache.load import CachedPhotos
from mobilenet.images.augment import Augmentation, draw_crops, render
from mobilenet.model.card import ModelCard
from mobilenet.nn.network import TableNetwork, place
from mobilenet.training.teacher.alignment import AlignedTeacher

__all__ = ["Pace", "Student", "affordable_views", "measured_pace"]

_SHARE = 0.5
"""Of the time of plain training: a taught run takes at most 1.5 times as long."""

_TRIES = 3
"""The fastest of so many counts: other programs only ever make it slower."""

_AT_ONCE = 64
"""Photos that a teacher is asked about at once, as later."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds per photo of one step of a student, but for its optimiser, and of one answer of its teacher."""

    step_s: float
    answer_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Student:
    """The network to train, and how: `resolution` of its training crops in pixels, the length of its run in `epochs`
    (infinite if only `minutes` limit it), `device` and `dtype` of its steps; `cache_bytes` is the limit of caches."""

    card: ModelCard
    photos: CachedPhotos
    augmentation: Augmentation
    resolution: int
    batch_size: int
    epochs: float
    minutes: float | None
    seed: int
    device: torch.device
    dtype: torch.dtype
    cache_bytes: int


def measured_pace(student: Student, teacher: AlignedTeacher, seen: CachedPhotos) -> Pace:
    """The pace of a student, and of its teacher with crops of `seen`. Both take turns, so that other programs slow down
    both alike."""
    card, photos, augmentation, device = student.card, student.photos, student.augmentation, student.device
    network = TableNetwork(card.network(), card.outputs)
    place(network, device)
    mean, std = (torch.tensor(value, device=device) for value in (card.preprocessing.mean, card.preprocessing.std))
    indices, asked = np.arange(student.batch_size) % len(photos), np.arange(_AT_ONCE) % len(seen)

    def step() -> None:
        crops = draw_crops(augmentation, 0, 0, indices)
        pixels = torch.from_numpy(photos.batch(indices, crops.method)).to(device)
        outputs = network(render(pixels, crops, student.resolution, mean, std, student.dtype))
        torch.stack([values.square().mean() for values in outputs.values()]).sum().backward()
        # Waits until a GPU is done.
        torch.stack([p.grad.sum() for p in network.parameters() if p.grad is not None]).sum().item()

    def answer() -> None:
        crops = draw_crops(augmentation, 0, 0, asked)
        pixels = torch.from_numpy(seen.batch(asked, crops.method))
        found = teacher.raw(pixels, crops)
        torch.cat([values.flatten() for values in found.values()]).sum().item()

    step_s, answer_s = _fastest(step, answer)
    return Pace(step_s / student.batch_size, answer_s / _AT_ONCE)


def _fastest(*works: Callable[[], None]) -> list[float]:
    best = [math.inf] * len(works)
    for work in works:
        work()
    for _ in range(_TRIES):
        for number, work in enumerate(works):
            start = time.perf_counter()
            work()
            best[number] = min(best[number], time.perf_counter() - start)
    return best


def affordable_views(pace: Pace, epochs: float, minutes: float | None, photos: int) -> int:
    """The views per photo, at least 1, that a teacher answers in half the time that a run takes without it.

    The run is limited by `epochs`, infinite for no limit, or `minutes`.
    """
    by_time = math.inf if minutes is None else 60 * minutes / (pace.step_s * photos)
    length = min(epochs, by_time)
    return max(1, math.floor(min(_SHARE * length * pace.step_s / pace.answer_s, math.ceil(length))))
