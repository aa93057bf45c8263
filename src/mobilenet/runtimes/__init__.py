"""Open a model file, run a batch of images: one interface for every engine."""

from mobilenet.runtimes.engines import ENGINES, engines_of
from mobilenet.runtimes.predictor import Predictor, model_file, open_model

__all__ = ["ENGINES", "Predictor", "engines_of", "model_file", "open_model"]
