"""Everything that decides how a network is trained, in one frozen value that a run records."""

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from mobilenet.architectures import MOBILENETS
from mobilenet.errors import ConfigError, SpecError
from mobilenet.images.augment import Augmentation
from mobilenet.spec import Network

__all__ = ["DEFAULT_CACHE_BYTES", "Optimizer", "Precision", "TrainingSettings"]

Optimizer = Literal["sgd", "rmsprop", "adamw"]
Precision = Literal["auto", "float32", "bfloat16"]

DEFAULT_CACHE_BYTES = 8 * 2**30

_DEFAULT_RATES: dict[Optimizer, float] = {"sgd": 0.05, "rmsprop": 0.01, "adamw": 0.006}
"""Peak learning rates for a batch of 32."""

_DEFAULT_DECAYS: dict[Optimizer, float] = {"sgd": 5e-4, "rmsprop": 4e-5, "adamw": 0.1}


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """One training run; ConfigError or SpecError on values that make no sense.

    `epochs` and `minutes`: whichever is reached first ends the run, and the learning rate falls to zero by then; both
    None means `epochs=48`. `learning_rate` and `weight_decay`: None takes what suits the optimiser; the rate is for a
    batch of 32 and is scaled with the batch. `average_epochs`: length, in epochs, of the moving average of the weights
    that is evaluated and saved.
    """

    data: Path
    validation: Path | None = None
    architecture: str = "mobilenet_v1"
    width_multiplier: float = 0.5
    resolution: int = 128
    epochs: int | None = None
    minutes: float | None = None
    batch_size: int = 32
    optimizer: Optimizer = "adamw"
    learning_rate: float | None = None
    weight_decay: float | None = None
    warmup_epochs: float = 3
    label_smoothing: float = 0.1
    average_epochs: float = 2
    class_balanced: bool = False
    augmentation: Augmentation = field(default_factory=Augmentation)
    precision: Precision = "auto"
    device: str = "auto"
    compile: bool = False
    seed: int = 0
    cache_bytes: int = DEFAULT_CACHE_BYTES

    def __post_init__(self) -> None:
        problem = _problem(self)
        if problem:
            raise ConfigError(problem)
        self.network(2)

    def network(self, classes: int) -> Network:
        """The table to train; SpecError for an unknown architecture, width or resolution."""
        if self.architecture not in MOBILENETS:
            raise SpecError(f"{self.architecture!r} cannot be trained; use one of {', '.join(MOBILENETS)}")
        return MOBILENETS[self.architecture](self.width_multiplier, self.resolution, classes)

    @property
    def epoch_limit(self) -> float:
        """Epochs after which the run ends: infinite when only minutes count."""
        if self.epochs is not None:
            return self.epochs
        return 48 if self.minutes is None else math.inf

    @property
    def peak_learning_rate(self) -> float:
        """The learning rate at the end of the warm-up, for `batch_size` photos a step."""
        if self.learning_rate is not None:
            return self.learning_rate
        return _DEFAULT_RATES[self.optimizer] * self.batch_size / 32

    @property
    def decay(self) -> float:
        """Weight decay of the filters that are decayed at all."""
        return _DEFAULT_DECAYS[self.optimizer] if self.weight_decay is None else self.weight_decay

    def to_json(self) -> dict[str, Any]:
        """Plain values, for config.json."""
        values = asdict(self)
        values["data"] = str(self.data)
        values["validation"] = None if self.validation is None else str(self.validation)
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "TrainingSettings":
        """The inverse of `to_json`; ConfigError for a field that is unknown or missing."""
        try:
            augmentation = dict(values["augmentation"])
            augmentation["crop_area"] = tuple(augmentation["crop_area"])
            validation = None if values["validation"] is None else Path(values["validation"])
            read = {
                "data": Path(values["data"]),
                "validation": validation,
                "augmentation": Augmentation(**augmentation),
            }
            return cls(**{**values, **read})
        except (KeyError, TypeError) as error:
            raise ConfigError(f"these are no settings of this version: {error}; start a new run") from error


def _problem(settings: TrainingSettings) -> str | None:
    limits: list[tuple[str, float | None, float, float]] = [
        ("seed", settings.seed, 0, 2**63 - 1),
        ("epochs", settings.epochs, 1, 1e6),
        ("minutes", settings.minutes, 0.01, 1e6),
        ("batch size", settings.batch_size, 2, 65536),
        ("learning rate", settings.learning_rate, 1e-9, 100),
        ("weight decay", settings.weight_decay, 0, 10),
        ("warm-up epochs", settings.warmup_epochs, 0, 1e6),
        ("label smoothing", settings.label_smoothing, 0, 0.9),
        ("average epochs", settings.average_epochs, 0, 1e6),
        ("cache size", settings.cache_bytes, 0, 2**60),
        ("smallest crop area", settings.augmentation.crop_area[0], 0.01, 1),
    ]
    for name, value, low, high in limits:
        if value is not None and not low <= value <= high:
            return f"{name} {value:g} is out of range; use {low:g} to {high:g}"
    if settings.optimizer not in get_args(Optimizer):
        return f"unknown optimiser {settings.optimizer!r}; use one of {', '.join(get_args(Optimizer))}"
    if settings.precision not in get_args(Precision):
        return f"unknown precision {settings.precision!r}; use one of {', '.join(get_args(Precision))}"
    return None
