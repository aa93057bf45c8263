"""What the user chose about the teacher of a run."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mobilenet.errors import ConfigError

__all__ = ["FREE", "UNLABELLED_HINT", "Teaching"]

FREE = frozenset({"model", "labels", "unlabelled"})
"""Settings that do not affect what is learned: another teacher or other photos are detected by their content."""

UNLABELLED_HINT = "photos without labels are given with --unlabelled FOLDER"
"""For errors about data that may be a pool of photos, whose folders look like classes."""

Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Teaching:
    """Learning from `model`; ConfigError for values out of range.

    `labels` (a file), `mean`, `std` (in pixel values) and `resolution` describe an ONNX classifier of another tool.
    `unlabelled`: folders of photos that have only the teacher's outputs; training data among them is used without its
    labels. `weight`: share of the teacher in the loss of a labelled photo, 1 for the teacher alone. `temperature`: at
    which probabilities are compared. `views`: random crops per photo for which the teacher's outputs are computed, and
    which repeat; None for as many as half the time of plain training allows.
    """

    model: Path
    labels: Path | None = None
    mean: Triple | None = None
    std: Triple | None = None
    resolution: int | None = None
    unlabelled: tuple[Path, ...] = ()
    weight: float = 1.0
    temperature: float = 4.0
    views: int | None = None

    def __post_init__(self) -> None:
        limits: list[tuple[str, float | None, float, float]] = [
            ("distillation weight", self.weight, 0.01, 1),
            ("distillation temperature", self.temperature, 0.1, 100),
            ("number of teacher views", self.views, 1, 1_000_000),
            ("teacher resolution", self.resolution, 8, 4096),
        ]
        for name, value, low, high in limits:
            if value is not None and not low <= value <= high:
                raise ConfigError(f"{name} {value:g} is out of range; use {low:g} to {high:g}")

    def from_anywhere(self) -> "Teaching":
        """The same with absolute paths, so that a run can be resumed in any working directory."""
        labels = None if self.labels is None else self.labels.absolute()
        unlabelled = tuple(folder.absolute() for folder in self.unlabelled)
        return replace(self, model=self.model.absolute(), labels=labels, unlabelled=unlabelled)

    def to_json(self) -> dict[str, Any]:
        """JSON values, for config.json."""
        labels = None if self.labels is None else str(self.labels)
        return {
            **asdict(self),
            "model": str(self.model),
            "labels": labels,
            "unlabelled": [str(folder) for folder in self.unlabelled],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Teaching":
        """The inverse of `to_json`; KeyError, TypeError or ConfigError for anything else."""
        read = {
            "model": Path(values["model"]),
            "labels": None if values["labels"] is None else Path(values["labels"]),
            "unlabelled": tuple(Path(folder) for folder in values["unlabelled"]),
            **{name: None if values[name] is None else tuple(values[name]) for name in ("mean", "std")},
        }
        return cls(**{**values, **read})
