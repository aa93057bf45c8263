"""Open a model file, run a batch of images: one interface whatever the engine."""

from mobilenet.runtimes.predictor import Predictor, model_file, open_model

__all__ = ["Predictor", "model_file", "open_model"]
