"""A run folder as training leaves it, written by the true writers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mobilenet.datasets import LeftOut
from mobilenet.evaluate import evaluate
from mobilenet.images import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.tasks.classification import Classification, ClassTargets

EPOCHS = [
    {
        "epoch": number,
        "learning_rate": 0.1 / number,
        "train_loss": 2.0 / number,
        "validation_loss": 2.5 / number,
        "top1": 1 - 0.5**number,
        "top5": None,
        "images_per_second": 400.0,
        "seconds": {"input": 1.0, "step": 6.0, "validation": 2.0, "checkpoint": 0.5},
    }
    for number in (1, 2)
]


PARAMS = 1_331_592 - 513 * 1000
"""Of width 0.5 without its classifier; with 1000 classes it has 1,331,592."""


class _Known:
    """Answers row by row with probabilities that were fixed beforehand."""

    task = "classification"
    preprocessing = Preprocessing(32)

    def __init__(self, labels: tuple[str, ...], probabilities: NDArray[np.float32]) -> None:
        self.labels = labels
        self.card = ModelCard("mobilenet_v1", 0.5, 160, labels, Preprocessing(160), task=self.task)
        self.probabilities = probabilities

    def predict(self, images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        return {"probabilities": self.probabilities[: len(images)]}


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """`make_run(labels, files)`: one photo for each class; the last class is taken for the first one, 60 % sure."""

    def make(labels: tuple[str, ...] = ("cat", "dog"), files: tuple[str, ...] = ("a.jpg", "b.jpg")) -> Path:
        run, data = tmp_path / "run", tmp_path / "data"
        run.mkdir()
        data.mkdir()
        Image.new("RGB", (640, 320), "red").save(data / "b.jpg")
        classes = len(labels)
        probabilities = np.eye(classes, dtype=np.float32)
        probabilities[-1] = [0.6, *[0.4 / (classes - 1)] * (classes - 1)]
        pixels = np.zeros((classes, 1, 1, 3), np.uint8)
        evaluation = evaluate(
            _Known(labels, probabilities),
            Classification(),
            pixels,
            ClassTargets(np.arange(classes)),
            files,
            root=data,
            left_out=[LeftOut("broken.jpg", "truncated file")],
            batch_size=classes,
        )
        evaluation.write(run / "evaluation.json")
        (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in EPOCHS))
        (run / "config.json").write_text(json.dumps(_config(labels, data)))
        (run / "model.safetensors").write_bytes(bytes(1_500_000))
        return run

    return make


def _config(labels: tuple[str, ...], data: Path) -> dict[str, Any]:
    return {
        "command": ["mobilenet", "train", "my photos", "--width", "0.5"],
        "settings": {"optimizer": "adamw", "learning_rate": None, "seed": 7},
        "network": {"architecture": "mobilenet_v1", "width_multiplier": 0.5, "resolution": 160},
        "plan": {"learning_rate": 0.006},
        "versions": {"mobilenet": "0.1.0", "torch": "2.13.0"},
        "machine": {"processor": "A Processor", "cores": 2},
        "data": {
            "root": str(data),
            "classes": list(labels),
            "train_photos": 3068,
            "validation_photos": len(labels),
            "split": "given: validation/",
            "hash": "blake2b:0123",
            "left_out": [{"file": "grey.png", "reason": "empty file"}],
        },
        "cost": {"mult_adds": 1, "params": PARAMS + 513 * len(labels)},
        "seconds": {"caching": 3.0, "training": 19.0, "total": 25.0},
    }
