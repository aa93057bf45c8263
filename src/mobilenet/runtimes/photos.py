"""Photos on disk -> outputs, a batch at a time, for any number of photos."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from mobilenet.images.prepare import Prepared, prepare_photos
from mobilenet.model.outputs import Outputs
from mobilenet.runtimes.batches import predict_batches
from mobilenet.runtimes.predictor import Predictor

__all__ = ["Predicted", "predict_photos"]


@dataclass(frozen=True, slots=True)
class Predicted:
    """One photo: its part (1, *shape) of each output, and its height and width in pixels; or the `reason` why it has
    none."""

    path: Path
    outputs: Outputs | None
    size: tuple[int, int] = (0, 0)
    reason: str | None = None


def predict_photos(predictor: Predictor, paths: Iterable[Path], *, batch_size: int = 32) -> Iterator[Predicted]:
    """Answers in the order of `paths`; a photo that cannot be read does not stop the others. ModelError where the
    answers are not what the model's card says."""
    with closing(prepare_photos(predictor.preprocessing, lambda path: path, paths)) as prepared:
        while chunk := list(islice(prepared, batch_size)):
            yield from _batch(predictor, chunk)


def _batch(predictor: Predictor, photos: Sequence[tuple[Path, Prepared | str]]) -> Iterator[Predicted]:
    images = [found[0] for _, found in photos if not isinstance(found, str)]
    outputs = predict_batches(predictor, np.stack(images), batch_size=len(images)) if images else {}
    row = 0
    for path, found in photos:
        if isinstance(found, str):
            yield Predicted(path, None, reason=found)
        else:
            yield Predicted(path, {name: values[row : row + 1] for name, values in outputs.items()}, found[1])
            row += 1
