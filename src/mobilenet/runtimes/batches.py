"""Any number of images through a predictor in batches."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mobilenet.model.outputs import Output, Outputs, checked_outputs
from mobilenet.runtimes.predictor import Predictor

__all__ = ["Images", "predict_batches"]


class Images(Protocol):
    """Photos prepared for the network, such as `datasets.cache.load.CachedPhotos`."""

    def __len__(self) -> int: ...

    def batch(self, indices: NDArray[np.int64], /) -> NDArray[np.uint8]:
        """(B,) -> (B, R, R, 3) uint8."""
        ...


def predict_batches(
    predictor: Predictor,
    images: Images | NDArray[np.uint8],
    *,
    batch_size: int = 32,
    check: Callable[[Outputs, tuple[Output, ...], int], Outputs] = checked_outputs,
    condense: Callable[[Outputs], Outputs] = lambda outputs: outputs,
    progress: Callable[[int, int], object] | None = None,
) -> Outputs:
    """Every output of the model on N images of its resolution, by name, (N, *shape) float32, or what `condense` makes
    of the outputs of each batch: arrays by name with a row for each photo.

    `progress(done, N)` is called after each batch. ModelError if an output is missing or has the wrong shape and, with
    the default `check`, if a value is not finite.
    """
    photos, wanted = len(images), predictor.card.outputs
    none = condense({output.name: np.empty((0, *output.shape), np.float32) for output in wanted})
    found = {name: np.empty((photos, *values.shape[1:]), values.dtype) for name, values in none.items()}
    for start in range(0, photos, batch_size):
        indices = np.arange(start, min(start + batch_size, photos))
        batch = images[indices] if isinstance(images, np.ndarray) else images.batch(indices)
        outputs = condense(check(predictor.predict(batch), wanted, len(indices)))
        for name, values in found.items():
            values[indices] = outputs[name]
        if progress is not None:
            progress(int(indices[-1]) + 1, photos)
    return found
