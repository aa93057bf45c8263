"""All settings of a training run, as one frozen value that the run records."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from mobilenet.errors import ConfigError, SpecError
from mobilenet.images.augment import Augmentation
from mobilenet.images.preprocessing import Preprocessing
from mobilenet.spec.mobilenet import MOBILENETS
from mobilenet.spec.rows import ConvStyle, Network
from mobilenet.training.teacher.settings import Teaching

__all__ = ["DEFAULT_CACHE_BYTES", "Freeze", "Optimizer", "Precision", "Track", "TrainingSettings"]

Freeze = Literal["none", "backbone"]
Optimizer = Literal["sgd", "rmsprop", "adamw"]
Precision = Literal["auto", "float32", "bfloat16"]
Track = Literal["tensorboard", "mlflow"]

DEFAULT_CACHE_BYTES = 8 * 2**30

_MIDDLE = (127.5, 127.5, 127.5)


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """One training run; ConfigError or SpecError for invalid values.

    None leaves a choice to the data, the weights and `recipe`. `validation_fraction`: share of the photos that is held
    out where no validation photos are given. `weights`: a file to start from (or `hf://…`);
    architecture, width, resolution, style, mean and std are then those of the file, and the recipe is that for
    fine-tuning.
    `freeze="backbone"` trains only the classifier. `training_resolution`: side of the training crops in pixels;
    crops smaller than the network's `resolution` are faster, and often better (Touvron et al., 2019). `epochs` and
    `minutes`: whichever is reached first ends the run, and the learning rate decays to zero by then; `patience`: stop
    after this many epochs without improvement in validation loss. `learning_rate`: for a batch of `batch_size`.
    `layer_decay`: learning-rate factor from each block to the one before it. `unfreeze`: fraction of the run by which
    all blocks train; they are unfrozen from the top. `clip_norm`: largest norm of the gradient of all parameters, which
    is scaled down to it (0: no limit). `consistency`: weight in the loss of the difference between answers to a photo
    shrunk with and without antialiasing (0: none). `average_epochs`: length of the moving average of the weights that
    is evaluated and saved. `exclude`: a list of photos to exclude (`datasets.read_exclusions`). `workers`: decoder
    threads, one per core by default. `checkpoint_minutes`: time between two checkpoints within an epoch; the last
    `keep_checkpoints` are kept. `track`: where to log metrics, besides metrics.jsonl. `teacher`: learn from the outputs
    of another network. `augmentation`: fields of `images.augment.Augmentation` that differ from those of the recipe and
    the task. `inherited`: the task and the decoding of the network that a run goes on from. `task_options`: names and
    values of the task's own options (`tasks.configured`).
    """

    data: Path
    validation: Path | None = None
    validation_fraction: float = 0.1
    exclude: Path | None = None
    weights: str | None = None
    freeze: Freeze = "none"
    architecture: str | None = None
    width_multiplier: float | None = None
    resolution: int | None = None
    style: ConvStyle = field(default_factory=ConvStyle)
    mean: tuple[float, float, float] = _MIDDLE
    std: tuple[float, float, float] = _MIDDLE
    training_resolution: int | None = None
    epochs: int | None = None
    minutes: float | None = None
    patience: int | None = None
    batch_size: int = 32
    optimizer: Optimizer = "adamw"
    learning_rate: float | None = None
    layer_decay: float | None = None
    unfreeze: float | None = None
    weight_decay: float | None = None
    warmup_epochs: float | None = None
    clip_norm: float | None = None
    consistency: float | None = None
    label_smoothing: float = 0.1
    average_epochs: float | None = None
    class_balanced: bool = False
    augmentation: Mapping[str, Any] = field(default_factory=dict)
    precision: Precision = "auto"
    device: str = "auto"
    compile: bool = False
    seed: int = 0
    cache_bytes: int = DEFAULT_CACHE_BYTES
    workers: int | None = None
    checkpoint_minutes: float = 5.0
    keep_checkpoints: int = 3
    track: tuple[Track, ...] = ("tensorboard",)
    task: str | None = None
    teacher: Teaching | None = None
    inherited: Mapping[str, Any] = field(default_factory=dict)
    task_options: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        problem = _problem(self) or _unknown(self.augmentation)
        if problem:
            raise ConfigError(problem)
        self.body()

    @property
    def preprocessing(self) -> Preprocessing:
        """How photos are prepared for the network."""
        return Preprocessing(self.side, mean=self.mean, std=self.std)

    @property
    def side(self) -> int:
        """The resolution of the network in pixels."""
        return 128 if self.resolution is None else self.resolution

    def body(self) -> Network:
        """The network to train, without its head; SpecError for an unknown architecture, width or resolution."""
        name = "mobilenet_v1" if self.architecture is None else self.architecture
        width_multiplier = 0.5 if self.width_multiplier is None else self.width_multiplier
        if name not in MOBILENETS:
            raise SpecError(f"{name!r} cannot be trained; use one of {', '.join(MOBILENETS)}")
        return MOBILENETS[name](width_multiplier, self.side, 0, self.style)

    def to_json(self) -> dict[str, Any]:
        """JSON values, for config.json."""
        values = asdict(self)
        values["data"] = str(self.data)
        values["validation"] = None if self.validation is None else str(self.validation)
        values["exclude"] = None if self.exclude is None else str(self.exclude)
        values["teacher"] = None if self.teacher is None else self.teacher.to_json()
        # As in runs of versions that had no such options.
        values["task_options"] = dict(self.task_options) or None
        if not self.inherited:
            del values["inherited"]
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "TrainingSettings":
        """The inverse of `to_json`; ConfigError for a field that is unknown or missing."""
        try:
            augmentation = dict(values["augmentation"] or {})
            if "crop_area" in augmentation:
                augmentation["crop_area"] = tuple(augmentation["crop_area"])
            validation = None if values["validation"] is None else Path(values["validation"])
            read = {
                "data": Path(values["data"]),
                "validation": validation,
                "exclude": None if values.get("exclude") is None else Path(values["exclude"]),
                "augmentation": augmentation,
                "style": ConvStyle(**values["style"]),
                "mean": tuple(values["mean"]),
                "std": tuple(values["std"]),
                "track": tuple(values.get("track", ("tensorboard",))),
                "task": values.get("task"),
                "task_options": tuple((values.get("task_options") or {}).items()),
                "teacher": None if values.get("teacher") is None else Teaching.from_json(values["teacher"]),
            }
            return cls(**{**values, **read})
        except (KeyError, TypeError) as error:
            raise ConfigError(f"these settings are from an incompatible version: {error}; start a new run") from error


def _unknown(augmentation: Mapping[str, Any]) -> str | None:
    known = {each.name for each in fields(Augmentation)}
    names = [name for name in augmentation if name not in known]
    return f"unknown augmentation {', '.join(names)}; there are {', '.join(sorted(known))}" if names else None


def _problem(settings: TrainingSettings) -> str | None:
    limits: list[tuple[str, float | None, float, float]] = [
        ("validation fraction", settings.validation_fraction, 0.001, 0.9),
        ("seed", settings.seed, 0, 2**63 - 1),
        ("epochs", settings.epochs, 1, 1e6),
        ("minutes", settings.minutes, 0.01, 1e6),
        ("batch size", settings.batch_size, 2, 65536),
        ("patience", settings.patience, 1, 1e6),
        ("training resolution", settings.training_resolution, 32, 8192),
        ("learning rate", settings.learning_rate, 1e-9, 100),
        ("layer decay", settings.layer_decay, 0.01, 1),
        ("unfreeze", settings.unfreeze, 0, 1),
        ("weight decay", settings.weight_decay, 0, 10),
        ("warm-up epochs", settings.warmup_epochs, 0, 1e6),
        ("gradient norm", settings.clip_norm, 0, 1e6),
        ("consistency", settings.consistency, 0, 1000),
        ("label smoothing", settings.label_smoothing, 0, 0.9),
        ("average epochs", settings.average_epochs, 0, 1e6),
        ("cache size", settings.cache_bytes, 0, 2**60),
        ("workers", settings.workers, 0, 1024),
        ("checkpoint minutes", settings.checkpoint_minutes, 0, 1e6),
        ("number of checkpoints to keep", settings.keep_checkpoints, 1, 1e6),
        ("share of aliased samples", settings.augmentation.get("aliasing"), 0, 1),
        ("smallest crop area", settings.augmentation.get("crop_area", (None,))[0], 0.01, 1),
    ]
    for name, value, low, high in limits:
        if value is not None and not low <= value <= high:
            return f"{name} {value:g} is out of range; use {low:g} to {high:g}"
    choices: list[tuple[str, str, tuple[str, ...]]] = [
        ("optimiser", settings.optimizer, get_args(Optimizer)),
        ("precision", settings.precision, get_args(Precision)),
        ("part to freeze", settings.freeze, get_args(Freeze)),
        *(("tracker", name, get_args(Track)) for name in settings.track),
    ]
    for name, choice, known in choices:
        if choice not in known:
            return f"unknown {name} {choice!r}; use one of {', '.join(known)}"
    if settings.freeze != "none" and settings.weights is None:
        return "--freeze backbone needs --weights: freezing random weights is pointless"
    if settings.freeze != "none" and settings.teacher is not None:
        return "--freeze backbone fits the classifier to labels in one go and learns nothing from a --teacher; omit one"
    return None
