"""Photos on disk -> outputs, a batch at a time, for any number of photos."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ImageError
from mobilenet.model.outputs import Outputs
from mobilenet.runtimes.batches import predict_batches
from mobilenet.runtimes.predictor import Predictor

__all__ = ["Predicted", "predict_photos"]

_Prepared = tuple[NDArray[np.uint8], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Predicted:
    """One photo: its part (1, *shape) of each output, and its height and width in pixels; or the `reason` why it has
    none."""

    path: Path
    outputs: Outputs | None
    size: tuple[int, int] = (0, 0)
    reason: str | None = None


def predict_photos(predictor: Predictor, paths: Iterable[Path], *, batch_size: int = 32) -> Iterator[Predicted]:
    """Outputs in the order of `paths`; a photo that cannot be read does not stop the others. ModelError if the outputs
    do not match the model's card."""
    remaining = iter(paths)
    with ThreadPoolExecutor(thread_name_prefix="decode") as pool:
        while chunk := list(islice(remaining, batch_size)):
            yield from _batch(predictor, chunk, list(pool.map(lambda path: _prepare(predictor, path), chunk)))


def _prepare(predictor: Predictor, path: Path) -> _Prepared | str:
    try:
        return predictor.preprocessing.prepare_sized(path)
    except ImageError as error:
        return str(error)


def _batch(predictor: Predictor, paths: Sequence[Path], prepared: Sequence[_Prepared | str]) -> Iterator[Predicted]:
    images = [found[0] for found in prepared if not isinstance(found, str)]
    outputs = predict_batches(predictor, np.stack(images), batch_size=len(images)) if images else {}
    row = 0
    for path, found in zip(paths, prepared, strict=True):
        if isinstance(found, str):
            yield Predicted(path, None, reason=found)
        else:
            yield Predicted(path, {name: values[row : row + 1] for name, values in outputs.items()}, found[1])
            row += 1
