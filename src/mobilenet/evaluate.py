"""Evaluation of a predictor on labelled photos: one evaluator for every engine and every task."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.datasets.photos import LeftOut
from mobilenet.datasets.remote.urls import full_name
from mobilenet.datasets.targets import Targets
from mobilenet.errors import ConfigError, DataError
from mobilenet.files import atomic_write
from mobilenet.images.resize import ResizeMethod, check_resize_method
from mobilenet.model.card import ModelCard
from mobilenet.model.outputs import Outputs
from mobilenet.runtimes.batches import Images, predict_batches
from mobilenet.runtimes.predictor import Predictor
from mobilenet.tasks.default import DEFAULT
from mobilenet.tasks.task import Region, Task

__all__ = ["Evaluation", "Mistake", "evaluate", "evaluation_of"]

_MOST_MISTAKES = 200
"""Mistakes listed by file; the task's figures count all of them."""

_REGIONS = ("labelled_regions", "predicted_regions")

_OWN = ("task", "photos", "mistakes", "left_out", "root", "resize")


@dataclass(frozen=True, slots=True)
class Mistake:
    """A photo with a wrong prediction: its label, the prediction, and its confidence (0…1); where it is about parts of
    the photo, the labelled ones and those that were predicted."""

    file: str
    label: str
    predicted: str
    confidence: float
    labelled_regions: tuple[Region, ...] = ()
    predicted_regions: tuple[Region, ...] = ()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The performance of a model on labelled photos.

    `figures` are the measures of its task, as JSON values; `mistakes` are the 200 most confident ones, worst first.
    Files are absolute paths, or paths relative to `root`. `resize`: how the photos were shrunk.
    """

    task: str
    photos: int
    figures: Mapping[str, Any]
    mistakes: tuple[Mistake, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    root: str = ""
    resize: ResizeMethod = "area"

    def to_json(self) -> str:
        """One JSON document with the figures at the top level; `from_json` restores the same Evaluation."""
        document = {
            "task": self.task,
            "photos": self.photos,
            **self.figures,
            "mistakes": [_to_json(mistake) for mistake in self.mistakes],
            "left_out": [asdict(photo) for photo in self.left_out],
            "root": self.root,
            "resize": self.resize,
        }
        return json.dumps(document, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Evaluation":
        """The inverse of `to_json`; DataError if `text` is not such a document."""
        try:
            fields = json.loads(text, parse_constant=_refuse)
            return cls(
                task=str(fields.get("task", DEFAULT)),
                photos=int(fields["photos"]),
                figures={name: value for name, value in fields.items() if name not in _OWN},
                mistakes=tuple(_from_json(row) for row in fields["mistakes"]),
                left_out=tuple(LeftOut(**row) for row in fields["left_out"]),
                root=str(fields["root"]),
                resize=check_resize_method(str(fields.get("resize", "area"))),
            )
        except KeyError as error:
            raise DataError(f"not an evaluation: {error} is missing; run mobilenet evaluate again") from error
        except (ValueError, TypeError, AttributeError, ConfigError) as error:
            raise DataError(f"not an evaluation: {error}; run mobilenet evaluate again") from error

    def write(self, path: Path) -> None:
        """Write `to_json` to `path` atomically; StorageError."""
        with atomic_write(path) as file:
            file.write(self.to_json().encode())

    @classmethod
    def read(cls, path: Path) -> "Evaluation":
        """Read what `write` wrote; DataError if it is missing or damaged."""
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"cannot read {path}: {error}; run mobilenet evaluate again") from error
        return cls.from_json(text)


def evaluate(
    predictor: Predictor,
    task: Task,
    images: Images | NDArray[np.uint8],
    targets: Targets,
    files: Sequence[str],
    *,
    root: Path | None = None,
    left_out: Sequence[LeftOut] = (),
    batch_size: int = 64,
    progress: Callable[[int, int], object] | None = None,
) -> Evaluation:
    """Run every photo through `predictor` and judge its outputs, of which only what the task needs is kept.

    `images` (N, R, R, 3) uint8 or anything with `.batch(indices)`, R being the predictor's resolution; `targets` of N
    photos, in the vocabulary of the predictor's card; `files` N paths relative to `root` (as `Photos.files` to
    `Photos.root`; default: the current folder), for the mistakes; `progress(done, N)` is called after each batch.
    DataError without photos, ModelError if the outputs do not match the card.
    """
    if not len(targets):
        raise DataError("no photos to evaluate; at least one readable photo with a label is needed")
    card = predictor.card
    outputs = predict_batches(
        predictor,
        images,
        batch_size=batch_size,
        condense=lambda some: task.condensed(some, card),
        progress=progress,
    )
    return evaluation_of(outputs, task, card, targets, files, root=root, left_out=left_out)


def evaluation_of(
    outputs: Outputs,
    task: Task,
    card: ModelCard,
    targets: Targets,
    files: Sequence[str],
    *,
    root: Path | None = None,
    left_out: Sequence[LeftOut] = (),
) -> Evaluation:
    """The evaluation of outputs that a model with this card has given for N ≥ 1 photos, or of what the task has
    condensed of them; the rest as in `evaluate`."""
    judgement = task.judge(outputs, targets, card)
    wrong = [
        Mistake(
            files[found.photo],
            found.label,
            found.predicted,
            found.confidence,
            found.labelled_regions,
            found.predicted_regions,
        )
        for found in judgement.mistakes()
    ]
    return Evaluation(
        task=task.name,
        photos=len(targets),
        figures=judgement.figures,
        mistakes=tuple(sorted(wrong, key=lambda mistake: (-mistake.confidence, mistake.file))[:_MOST_MISTAKES]),
        left_out=tuple(left_out),
        root=full_name(root or Path()),
    )


def _to_json(mistake: Mistake) -> dict[str, Any]:
    """Without regions where there are none."""
    return {name: value for name, value in asdict(mistake).items() if value != ()}


def _from_json(row: Mapping[str, Any]) -> Mistake:
    regions = {name: tuple(_region(one) for one in row.get(name, ())) for name in _REGIONS}
    return Mistake(**{**row, **regions})


def _region(row: Mapping[str, Any]) -> Region:
    top, left, bottom, right = map(float, row["box"])
    return Region((top, left, bottom, right), str(row["name"]), bool(row["wrong"]))


def _refuse(constant: str) -> float:
    raise ValueError(f"it contains {constant}")
