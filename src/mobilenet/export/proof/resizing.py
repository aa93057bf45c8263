"""What an exported file answers where an app shrinks photos by a method of its own: reported, never required.

The network was judged on pixels that average areas, and so was the file. Here it sees the same photos shrunk by each
method of `images.resize`.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobilenet.datasets.photos import Photos
from mobilenet.datasets.targets import Targets
from mobilenet.errors import ImageError
from mobilenet.export.proof.verify import Resized, agreement_between, goal_of
from mobilenet.images.preprocessing import Preprocessing, to_squares
from mobilenet.images.resize import RESIZE_METHODS, ResizeMethod
from mobilenet.model.card import ModelCard
from mobilenet.model.outputs import shaped_outputs
from mobilenet.parallel import in_order
from mobilenet.runtimes.batches import predict_batches
from mobilenet.runtimes.predictor import Predictor
from mobilenet.tasks.task import Task

__all__ = ["ResizedPhotos", "measure_resizing", "resize_photos"]

_MOST = 500
"""Photos, evenly spaced if there are more: each is decoded at full size and seen by every file once per method."""


@dataclass(frozen=True, slots=True, eq=False)
class ResizedPhotos:
    """The same photos by each method, (N, R, R, 3) uint8, and their targets, None without labels."""

    images: Mapping[ResizeMethod, NDArray[np.uint8]]
    targets: Targets | None


def resize_photos(
    photos: Photos,
    preprocessing: Preprocessing,
    progress: Callable[[int, int], object] | None = None,
    *,
    labelled: bool,
) -> ResizedPhotos:
    """At most 500 of the photos that can be decoded, by every method (N, R, R, 3) uint8; if `labelled`, with targets.

    `progress(done, all)` is called after each photo.
    """
    chosen = np.unique(np.linspace(0, len(photos) - 1, min(len(photos), _MOST)).round().astype(np.int64)).tolist()

    def squares(number: int) -> tuple[NDArray[np.uint8], ...] | None:
        try:
            data = photos.read(number)
            return to_squares(data, preprocessing.resolution, preprocessing.crop_fraction, RESIZE_METHODS)[0]
        except ImageError:
            # Named by the reading of all photos.
            return None

    found = []
    for done, (number, by_method) in enumerate(in_order(squares, chosen, os.cpu_count() or 1), 1):
        if by_method is not None:
            found.append((number, by_method))
        if progress is not None:
            progress(done, len(chosen))
    side = preprocessing.resolution
    images = {
        method: np.array([by_method[place] for _, by_method in found], np.uint8).reshape(-1, side, side, 3)
        for place, method in enumerate(RESIZE_METHODS)
    }
    kept = np.array([number for number, _ in found], np.int64)
    return ResizedPhotos(images, photos.targets.take(kept) if labelled else None)


def measure_resizing(predictor: Predictor, task: Task, card: ModelCard, photos: ResizedPhotos) -> tuple[Resized, ...]:
    """The answers of `predictor` to the photos by each method, area first; none without photos."""
    answers = {
        method: predict_batches(predictor, images, check=shaped_outputs)
        for method, images in photos.images.items()
        if len(images)
    }
    return tuple(
        Resized(
            method,
            len(photos.images[method]),
            agreement_between(outputs, answers["area"], task, card),
            None if photos.targets is None else goal_of(outputs, photos.targets, task, card),
        )
        for method, outputs in answers.items()
    )
