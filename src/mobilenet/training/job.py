"""What a run is, and what it runs in: the values that are known before its first step and stay until its end."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mobilenet.datasets.cache.load import CachedPhotos
from mobilenet.model.card import ModelCard
from mobilenet.tasks.task import Task
from mobilenet.training.recipe import Plan
from mobilenet.training.settings import TrainingSettings
from mobilenet.training.system.interruption import Interruption
from mobilenet.training.system.processes import Processes
from mobilenet.training.teacher.lessons import UNTAUGHT, Lessons
from mobilenet.training.tracking.listener import Listener

__all__ = ["Job", "Surroundings"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The processes of a run, what they hear of signals, and who hears of the run: the first one's listener."""

    processes: Processes
    interruption: Interruption
    listener: Listener


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What to train, on what, and where: `folder` gets what comes of it, `config` is what will stand in config.json.

    `device` and `dtype` are where and in which number format this process computes; `lessons` are those of its teacher.
    """

    settings: TrainingSettings
    plan: Plan
    folder: Path
    task: Task
    card: ModelCard
    training: CachedPhotos
    validation: CachedPhotos
    config: dict[str, Any]
    device: torch.device
    dtype: torch.dtype
    lessons: Lessons = UNTAUGHT
