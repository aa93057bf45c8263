"""Frames of a video -> outputs, one by one: an answer never waits for the next frame of a camera."""

from collections.abc import Iterable, Iterator

from mobilenet.images.video import Frame
from mobilenet.model.outputs import Outputs
from mobilenet.runtimes.batches import predict_batches
from mobilenet.runtimes.predictor import Predictor

__all__ = ["predict_frames"]


def predict_frames(predictor: Predictor, frames: Iterable[Frame]) -> Iterator[tuple[Frame, Outputs]]:
    """Each frame with its part (1, *shape) of each output. ModelError where the outputs are not what the model's card
    says."""
    for frame in frames:
        square = predictor.preprocessing.prepare_pixels(frame.pixels)
        yield frame, predict_batches(predictor, square[None], batch_size=1)
