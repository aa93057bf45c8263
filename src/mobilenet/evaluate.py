"""A predictor and labelled photos -> how good it is: one evaluator for every engine."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mobilenet.datasets import LeftOut
from mobilenet.datasets.remote.urls import full_name
from mobilenet.errors import DataError
from mobilenet.files import atomic_write
from mobilenet.metrics import hierarchy
from mobilenet.metrics.classification import CalibrationBin
from mobilenet.runtimes import Predictor
from mobilenet.tasks import classification

__all__ = ["ClassResult", "Evaluation", "Images", "Mistake", "evaluate"]

_MOST_MISTAKES = 200
"""Mistakes kept by name; the confusion matrix counts all of them."""


class Images(Protocol):
    """Photos that are ready for the network, such as `datasets.cache.load.CachedPhotos`."""

    def batch(self, indices: NDArray[np.int64], /) -> NDArray[np.uint8]:
        """(B,) -> (B, R, R, 3) uint8."""


@dataclass(frozen=True, slots=True)
class ClassResult:
    """One class; precision is None where it was never answered, recall where it has no photos."""

    label: str
    photos: int
    precision: float | None
    recall: float | None


@dataclass(frozen=True, slots=True)
class Mistake:
    """A photo whose first answer was wrong; `confidence` (0…1) is the probability of that answer."""

    file: str
    label: str
    predicted: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How a classifier does on labelled photos. Shares are 0…1, `loss` is in nats.

    `top1_interval` is the Wilson 95 % interval of `top1`; `top5` is None with five classes or fewer, where it would
    always be 1; `confusion[true][predicted]` counts photos; `mistakes` are the 200 most confident ones, worst first.
    `levels` and `families` are for classes within classes (`metrics.hierarchy`), and empty for flat ones.
    Files are absolute paths, or paths below `root`.
    """

    photos: int
    top1: float
    top1_interval: tuple[float, float]
    top5: float | None
    loss: float
    ece: float
    labels: tuple[str, ...]
    per_class: tuple[ClassResult, ...]
    confusion: tuple[tuple[int, ...], ...]
    levels: tuple[hierarchy.Level, ...]
    families: tuple[hierarchy.Family, ...]
    reliability: tuple[CalibrationBin, ...]
    mistakes: tuple[Mistake, ...]
    left_out: tuple[LeftOut, ...] = ()
    root: str = ""

    @property
    def wrong(self) -> int:
        """Photos whose first answer was wrong, `mistakes` being some of them."""
        return self.photos - sum(row[number] for number, row in enumerate(self.confusion))

    def to_json(self) -> str:
        """One JSON document; `from_json` gives the same Evaluation back."""
        return json.dumps(asdict(self), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Evaluation":
        """The inverse of `to_json`; DataError when `text` is not such a document."""
        try:
            return _from_fields(json.loads(text))
        except KeyError as error:
            raise DataError(f"not an evaluation: it lacks {error}; run mobilenet evaluate again") from error
        except (ValueError, TypeError) as error:
            raise DataError(f"not an evaluation: {error}; run mobilenet evaluate again") from error

    def write(self, path: Path) -> None:
        """Write `to_json` to `path`, whole or not at all; StorageError."""
        with atomic_write(path) as file:
            file.write(self.to_json().encode())

    @classmethod
    def read(cls, path: Path) -> "Evaluation":
        """Read what `write` wrote; DataError when it is absent or damaged."""
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"cannot read {path}: {error}; run mobilenet evaluate again") from error
        return cls.from_json(text)


def evaluate(
    predictor: Predictor,
    images: Images | NDArray[np.uint8],
    labels: NDArray[Any],
    files: Sequence[str],
    *,
    root: Path | None = None,
    left_out: Sequence[LeftOut] = (),
    batch_size: int = 64,
    progress: Callable[[int, int], object] | None = None,
) -> Evaluation:
    """Run every photo through `predictor` and score the answers.

    `images` (N, R, R, 3) uint8 or anything with `.batch(indices)`, R being the predictor's resolution; `labels` (N,)
    numbers into `predictor.labels`; `files` N paths below `root` (as `Photos.files` are below `Photos.root`; by default
    the current folder), for the mistakes; `progress(done, N)` is called after each batch.
    DataError without photos, ModelError when the answers are no probabilities.
    """
    photos, classes = len(labels), len(predictor.labels)
    if not photos:
        raise DataError("no photos to evaluate; at least one readable photo with a label is needed")
    probabilities = np.empty((photos, classes), np.float32)
    for start in range(0, photos, batch_size):
        indices = np.arange(start, min(start + batch_size, photos))
        batch = images[indices] if isinstance(images, np.ndarray) else images.batch(indices)
        outputs = predictor.predict(batch)
        probabilities[indices] = classification.checked_probabilities(outputs, len(indices), classes)
        if progress is not None:
            progress(int(indices[-1]) + 1, photos)
    folder = full_name(root or Path())
    return _evaluation(probabilities, np.asarray(labels, np.int64), files, predictor.labels, left_out, folder)


def _evaluation(
    probabilities: NDArray[np.float32],
    numbers: NDArray[np.int64],
    files: Sequence[str],
    labels: tuple[str, ...],
    left_out: Sequence[LeftOut],
    root: str,
) -> Evaluation:
    scores = classification.score(probabilities, numbers)
    return Evaluation(
        photos=len(numbers),
        top1=scores.top1,
        top1_interval=scores.top1_interval,
        top5=scores.top5,
        loss=scores.loss,
        ece=scores.calibration.error,
        labels=tuple(labels),
        per_class=tuple(
            ClassResult(label, row.photos, row.precision, row.recall)
            for label, row in zip(labels, scores.per_class, strict=True)
        ),
        confusion=tuple(tuple(row) for row in scores.confusion.tolist()),
        levels=hierarchy.levels(labels, scores.confusion),
        families=hierarchy.families(labels, scores.confusion),
        reliability=scores.calibration.bins,
        mistakes=_mistakes(probabilities, numbers, files, labels),
        left_out=tuple(left_out),
        root=root,
    )


def _mistakes(
    probabilities: NDArray[np.float32], numbers: NDArray[np.int64], files: Sequence[str], labels: tuple[str, ...]
) -> tuple[Mistake, ...]:
    predicted = probabilities.argmax(axis=1)
    wrong = [
        Mistake(files[i], labels[numbers[i]], labels[predicted[i]], float(probabilities[i, predicted[i]]))
        for i in np.flatnonzero(predicted != numbers).tolist()
    ]
    return tuple(sorted(wrong, key=lambda mistake: (-mistake.confidence, mistake.file))[:_MOST_MISTAKES])


def _from_fields(fields: Mapping[str, Any]) -> Evaluation:
    lower, upper = fields["top1_interval"]
    nested: dict[str, Any] = {
        "top1_interval": (lower, upper),
        "labels": tuple(fields["labels"]),
        "per_class": tuple(ClassResult(**row) for row in fields["per_class"]),
        "confusion": _counts(fields["confusion"]),
        "levels": tuple(_level(row) for row in fields["levels"]),
        "families": tuple(_family(row) for row in fields["families"]),
        "reliability": tuple(CalibrationBin(**row) for row in fields["reliability"]),
        "mistakes": tuple(Mistake(**row) for row in fields["mistakes"]),
        "left_out": tuple(LeftOut(**row) for row in fields["left_out"]),
    }
    return Evaluation(**{**fields, **nested})


def _level(fields: Mapping[str, Any]) -> hierarchy.Level:
    lower, upper = fields["top1_interval"]
    return hierarchy.Level(**{**fields, "top1_interval": (lower, upper)})


def _family(fields: Mapping[str, Any]) -> hierarchy.Family:
    nested = {"children": tuple(fields["children"]), "confusion": _counts(fields["confusion"])}
    return hierarchy.Family(**{**fields, **nested})


def _counts(rows: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(row) for row in rows)
