"""The engine used in training: torch runs a model.safetensors in float32."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mobilenet.images.preprocessing import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.nn.endings import ended
from mobilenet.nn.model_file import read_model
from mobilenet.nn.network import place

__all__ = ["RawPredictor", "TorchPredictor"]


class TorchPredictor:
    """A network and its card as a predictor; `labels`, `preprocessing` and `task` are those of the card."""

    def __init__(self, network: nn.Module, card: ModelCard, device: torch.device | None = None) -> None:
        self.device = device or torch.device("cpu")
        self.network = place(network.eval(), self.device)
        self.card = card
        self.labels: tuple[str, ...] = card.labels
        self.preprocessing: Preprocessing = card.preprocessing
        self.task: str = card.task
        self._mean = torch.tensor(card.preprocessing.mean, device=self.device)
        self._std = torch.tensor(card.preprocessing.std, device=self.device)

    @classmethod
    def open(cls, path: Path, threads: int | None = None) -> "TorchPredictor":
        """Open a model file; ModelError. `threads` applies to the whole process; None keeps torch's own setting."""
        predictor = cls(*read_model(path))
        if threads is not None:
            torch.set_num_threads(threads)
        return predictor

    def predict(self, images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """(N, R, R, 3) uint8 -> each output of the card by name, (N, *shape) float32."""
        with torch.inference_mode():
            raw = self._raw(images)
            return {output.name: ended(raw[output.name], output.ending).cpu().numpy() for output in self.card.outputs}

    def _raw(self, images: NDArray[np.uint8]) -> dict[str, Tensor]:
        pixels = torch.from_numpy(np.ascontiguousarray(images)).to(self.device)
        batch = (pixels.permute(0, 3, 1, 2).float() - self._mean[:, None, None]) / self._std[:, None, None]
        found: dict[str, Tensor] = self.network(batch.contiguous(memory_format=torch.channels_last))
        return found


class RawPredictor(TorchPredictor):
    """The same network, with its outputs before their endings: logits in place of probabilities."""

    def predict(self, images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """(N, R, R, 3) uint8 -> each output of the card by name, (N, *shape) float32, before its ending."""
        with torch.inference_mode():
            return {name: values.cpu().numpy() for name, values in self._raw(images).items()}
