"""The numbers that a run is made with, chosen where its settings leave them open."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from mobilenet.images.augment import Augmentation
from mobilenet.training.settings import Optimizer, TrainingSettings

__all__ = ["Plan", "default_augmentation", "make_plan"]


_PARTS = 6
"""Warm-up, and what the average of weights looks back on, are at most a sixth of a run: in a short one, early weights
are far away, and an average that reaches back to them is no network that ever was."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, how fast and on what crops; the meanings are those of `TrainingSettings`. `epochs` may be infinite,
    where only minutes count."""

    epochs: float
    batch_size: int
    learning_rate: float
    layer_decay: float
    weight_decay: float
    warmup_epochs: float
    average_epochs: float
    unfreeze: float
    training_resolution: int
    augmentation: Augmentation


@dataclass(frozen=True, slots=True)
class _Recipe:
    """What a run takes where its settings leave it open; rates are for a batch of 32."""

    rates: dict[Optimizer, float]
    decays: dict[Optimizer, float]
    epochs: Callable[[int], int]
    warmup_epochs: float
    average_epochs: float
    layer_decay: float
    unfreeze: float
    smaller_crops: bool
    augmentation: Augmentation


_FROM_RANDOM = _Recipe(
    rates={"sgd": 0.05, "rmsprop": 0.01, "adamw": 0.006},
    decays={"sgd": 5e-4, "rmsprop": 4e-5, "adamw": 0.1},
    epochs=lambda photos: 48,  # noqa: ARG005
    warmup_epochs=3,
    average_epochs=2,
    layer_decay=1.0,
    unfreeze=0.0,
    smaller_crops=False,
    augmentation=Augmentation(),
)

_FINE_TUNING = _Recipe(
    rates={"sgd": 0.02, "rmsprop": 0.003, "adamw": 0.003},
    decays={"sgd": 5e-4, "rmsprop": 4e-5, "adamw": 0.05},
    epochs=lambda photos: min(max(round(36_000 / photos), 8), 60),
    warmup_epochs=0.5,
    average_epochs=2,
    layer_decay=0.9,
    unfreeze=0.3,
    smaller_crops=True,
    augmentation=Augmentation(crop_area=(0.25, 1.0)),
)


def default_augmentation(weights: str | None) -> Augmentation:
    """How far photos are changed, where nothing else is said, with such weights to start from."""
    return _recipe(weights).augmentation


def make_plan(settings: TrainingSettings, photos: int) -> Plan:
    """The plan of a run on so many training photos.

    Batches of at most an eighth of the photos (but 8), so that small data sets take enough steps an epoch.
    """
    recipe = _recipe(settings.weights)
    batch_size = min(settings.batch_size, max(min(photos, 8), photos // 8))
    epochs = _epochs(settings, recipe, photos)
    return Plan(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=_or(settings.learning_rate, recipe.rates[settings.optimizer] * batch_size / 32),
        layer_decay=_or(settings.layer_decay, recipe.layer_decay),
        weight_decay=_or(settings.weight_decay, recipe.decays[settings.optimizer]),
        warmup_epochs=_or(settings.warmup_epochs, min(recipe.warmup_epochs, epochs / _PARTS)),
        average_epochs=_or(settings.average_epochs, min(recipe.average_epochs, epochs / _PARTS)),
        unfreeze=_or(settings.unfreeze, recipe.unfreeze),
        training_resolution=settings.training_resolution or _training_side(settings.side, recipe),
        augmentation=settings.augmentation or recipe.augmentation,
    )


def _recipe(weights: str | None) -> _Recipe:
    return _FROM_RANDOM if weights is None else _FINE_TUNING


def _training_side(side: int, recipe: _Recipe) -> int:
    """About three quarters for smaller crops, in steps of 32 pixels: every stride then meets an even plane, as it does
    at the resolution of the network. An odd one is padded differently, and what was learned on it is worth less.
    """
    return max(math.floor(side * 0.75 / 32 + 0.5) * 32, 32) if recipe.smaller_crops else side


def _epochs(settings: TrainingSettings, recipe: _Recipe, photos: int) -> float:
    if settings.freeze == "backbone":
        return 0
    if settings.epochs is not None:
        return settings.epochs
    return recipe.epochs(photos) if settings.minutes is None else math.inf


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
