"""The numbers that a run is made with, chosen where its settings leave them open."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from mobilenet.training.settings import Optimizer, TrainingSettings

__all__ = ["Plan", "make_plan"]


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
    training_resolution: int


@dataclass(frozen=True, slots=True)
class _Recipe:
    """What a run takes where its settings leave it open; rates are for a batch of 32."""

    rates: dict[Optimizer, float]
    decays: dict[Optimizer, float]
    epochs: Callable[[int], int]
    warmup_epochs: float
    average_epochs: float
    layer_decay: float


_FROM_RANDOM = _Recipe(
    rates={"sgd": 0.05, "rmsprop": 0.01, "adamw": 0.006},
    decays={"sgd": 5e-4, "rmsprop": 4e-5, "adamw": 0.1},
    epochs=lambda photos: 48,  # noqa: ARG005
    warmup_epochs=3,
    average_epochs=2,
    layer_decay=1.0,
)

_FINE_TUNING = _Recipe(
    rates={"sgd": 0.01, "rmsprop": 0.001, "adamw": 0.001},
    decays={"sgd": 5e-4, "rmsprop": 4e-5, "adamw": 0.05},
    epochs=lambda photos: min(max(round(30_000 / photos), 8), 60),
    warmup_epochs=0.5,
    average_epochs=1,
    layer_decay=0.9,
)


def make_plan(settings: TrainingSettings, photos: int) -> Plan:
    """The plan of a run on so many training photos.

    Batches of at most an eighth of the photos (but 8), so that small data sets take enough steps an epoch.
    """
    recipe = _FROM_RANDOM if settings.weights is None else _FINE_TUNING
    batch_size = min(settings.batch_size, max(min(photos, 8), photos // 8))
    return Plan(
        epochs=_epochs(settings, recipe, photos),
        batch_size=batch_size,
        learning_rate=_or(settings.learning_rate, recipe.rates[settings.optimizer] * batch_size / 32),
        layer_decay=_or(settings.layer_decay, recipe.layer_decay),
        weight_decay=_or(settings.weight_decay, recipe.decays[settings.optimizer]),
        warmup_epochs=_or(settings.warmup_epochs, recipe.warmup_epochs),
        average_epochs=_or(settings.average_epochs, recipe.average_epochs),
        training_resolution=settings.training_resolution or settings.side,
    )


def _epochs(settings: TrainingSettings, recipe: _Recipe, photos: int) -> float:
    if settings.freeze == "backbone":
        return 0
    if settings.epochs is not None:
        return settings.epochs
    return recipe.epochs(photos) if settings.minutes is None else math.inf


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
