"""Photos on a disk -> answers, a batch at a time, however many there are."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ImageError
from mobilenet.runtimes.predictor import Predictor

__all__ = ["Predicted", "predict_photos"]


@dataclass(frozen=True, slots=True)
class Predicted:
    """One photo: its row of each output, such as `probabilities` (classes,); or the `reason` why there is none."""

    path: Path
    outputs: dict[str, NDArray[Any]] | None
    reason: str | None = None


def predict_photos(predictor: Predictor, paths: Iterable[Path], *, batch_size: int = 32) -> Iterator[Predicted]:
    """Answers in the order of `paths`; a photo that cannot be read does not stop the others."""
    remaining = iter(paths)
    with ThreadPoolExecutor(thread_name_prefix="decode") as pool:
        while chunk := list(islice(remaining, batch_size)):
            yield from _batch(predictor, chunk, list(pool.map(lambda path: _prepare(predictor, path), chunk)))


def _prepare(predictor: Predictor, path: Path) -> NDArray[np.uint8] | str:
    try:
        return predictor.preprocessing.prepare(path)
    except ImageError as error:
        return str(error)


def _batch(
    predictor: Predictor, paths: Sequence[Path], prepared: Sequence[NDArray[np.uint8] | str]
) -> Iterator[Predicted]:
    images = [image for image in prepared if not isinstance(image, str)]
    outputs = predictor.predict(np.stack(images)) if images else {}
    row = 0
    for path, image in zip(paths, prepared, strict=True):
        if isinstance(image, str):
            yield Predicted(path, None, image)
        else:
            yield Predicted(path, {name: values[row] for name, values in outputs.items()})
            row += 1
