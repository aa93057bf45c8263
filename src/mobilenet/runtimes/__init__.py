"""Open a model file, run a batch of images: one interface for every engine."""

from mobilenet.runtimes.predictor import RUNTIMES, Predictor, model_file, open_model

__all__ = ["RUNTIMES", "Predictor", "model_file", "open_model"]
