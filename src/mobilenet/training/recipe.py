"""The hyperparameters of a run, with defaults for those that its settings leave open."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from mobilenet.images.augment import Augmentation
from mobilenet.training.settings import Optimizer, TrainingSettings

__all__ = ["Plan", "augmentation", "make_plan"]


_NOTHING: Mapping[str, Any] = MappingProxyType({})

_PARTS = 6
"""Warm-up and the window of the weight average are each at most a sixth of a run: in a short one, early weights are far
from the final ones, and an average that includes them is far from both."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, at what rate and on what crops to train; fields mean what they mean in `TrainingSettings`. `epochs` is
    infinite if only minutes limit the run."""

    epochs: float
    batch_size: int
    learning_rate: float
    layer_decay: float
    weight_decay: float
    warmup_epochs: float
    average_epochs: float
    unfreeze: float
    clip_norm: float
    consistency: float
    training_resolution: int
    augmentation: Augmentation


@dataclass(frozen=True, slots=True)
class _Recipe:
    """Defaults for what the settings leave open; `rates` are for a batch of 32, `highest_rates` for any."""

    rates: dict[Optimizer, float]
    highest_rates: dict[Optimizer, float]
    decays: dict[Optimizer, float]
    epochs: Callable[[int], int]
    warmup_epochs: float
    average_epochs: float
    layer_decay: float
    unfreeze: float
    clip_norm: float
    consistency: float
    smaller_crops: bool
    augmentation: Augmentation


_FROM_RANDOM = _Recipe(
    rates={"sgd": 0.05, "rmsprop": 0.01, "adamw": 0.006},
    highest_rates={"sgd": 0.2, "rmsprop": 0.16, "adamw": math.inf},
    decays={"sgd": 5e-4, "rmsprop": 4e-5, "adamw": 0.1},
    epochs=lambda photos: 48,  # noqa: ARG005
    warmup_epochs=3,
    average_epochs=2,
    layer_decay=1.0,
    unfreeze=0.0,
    clip_norm=0.0,
    consistency=0.0,
    smaller_crops=False,
    augmentation=Augmentation(),
)

_FINE_TUNING = _Recipe(
    rates={"sgd": 0.02, "rmsprop": 0.003, "adamw": 0.0005},
    highest_rates={"sgd": 0.04, "rmsprop": 0.02, "adamw": 0.006},
    decays={"sgd": 5e-4, "rmsprop": 4e-5, "adamw": 0.2},
    epochs=lambda photos: min(max(round(32_000 / photos), 8), 60),
    warmup_epochs=1,
    average_epochs=2,
    layer_decay=1.0,
    unfreeze=0.0,
    clip_norm=1.0,
    consistency=8.0,
    smaller_crops=True,
    augmentation=Augmentation(crop_area=(0.25, 1.0), aliasing=0.5),
)


def augmentation(settings: TrainingSettings, of_task: Mapping[str, Any] = _NOTHING) -> Augmentation:
    """The augmentation of a run: the recipe's, but for what its task and then its settings say."""
    return replace(_recipe(settings.weights).augmentation, **{**of_task, **settings.augmentation})


def make_plan(
    settings: TrainingSettings, photos: int, of_task: Mapping[str, Any] = _NOTHING, rate: float = 1.0
) -> Plan:
    """The plan of a run on this number of training photos, for a task with that `Task.augmentation` and that
    `Task.fine_tuning_rate`.

    A batch is at most an eighth of the photos (but no fewer than 8), so that small data sets take enough steps per
    epoch.
    """
    recipe = _recipe(settings.weights)
    batch_size = min(settings.batch_size, max(min(photos, 8), photos // 8))
    epochs = _epochs(settings, recipe, photos)
    augmented = augmentation(settings, of_task)
    usual = _learning_rate(recipe, settings.optimizer, batch_size) * (1.0 if settings.weights is None else rate)
    return Plan(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=_or(settings.learning_rate, usual),
        layer_decay=_or(settings.layer_decay, recipe.layer_decay),
        weight_decay=_or(settings.weight_decay, recipe.decays[settings.optimizer]),
        warmup_epochs=_or(settings.warmup_epochs, min(recipe.warmup_epochs, epochs / _PARTS)),
        average_epochs=_or(settings.average_epochs, min(recipe.average_epochs, epochs / _PARTS)),
        unfreeze=_or(settings.unfreeze, recipe.unfreeze),
        clip_norm=_or(settings.clip_norm, recipe.clip_norm),
        consistency=_or(settings.consistency, recipe.consistency),
        training_resolution=settings.training_resolution or _training_side(settings.side, recipe, augmented),
        augmentation=augmented,
    )


def _recipe(weights: str | None) -> _Recipe:
    return _FROM_RANDOM if weights is None else _FINE_TUNING


def _learning_rate(recipe: _Recipe, optimizer: Optimizer, batch_size: int) -> float:
    """The peak rate for a batch size, at most the recipe's highest rate.

    AdamW's is proportional to the square root (Malladi et al., 2022), SGD's to the batch size (Goyal et al., 2017), and
    so is RMSprop's, which with an epsilon of 1 hardly adapts. Below a batch of 32, SGD's follows the square root too:
    data sets that small learn more at higher rates.
    """
    ratio = batch_size / 32
    by_root = optimizer == "adamw" or (optimizer == "sgd" and ratio < 1)
    return min(recipe.rates[optimizer] * (math.sqrt(ratio) if by_root else ratio), recipe.highest_rates[optimizer])


def _training_side(side: int, recipe: _Recipe, augmented: Augmentation) -> int:
    """For smaller crops, the resolution at which things are on average as large as in whole photos (Touvron et al.,
    2019, section 3): crops whose area is uniform between `smallest` and 1 magnify by 2 / (1 + √smallest).

    In steps of 32 pixels, for every stride then sees a plane of even size, as at the network's own resolution. Odd
    sizes are padded differently, and what is learned on them transfers less well.
    """
    if not recipe.smaller_crops:
        return side
    share = (1 + math.sqrt(augmented.crop_area[0])) / 2
    return max(math.floor(side * share / 32 + 0.5) * 32, 32)


def _epochs(settings: TrainingSettings, recipe: _Recipe, photos: int) -> float:
    if settings.freeze == "backbone":
        return 0
    if settings.epochs is not None:
        return settings.epochs
    return recipe.epochs(photos) if settings.minutes is None else math.inf


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
