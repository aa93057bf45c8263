"""The same photos with the same boxes in any format: the same training batches for one seed, to the last bit."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from tests.datasets.boxes.writers import WRITERS, Truth

from mobilenet.datasets.pack import pack
from mobilenet.nn.network import TableNetwork
from mobilenet.tasks import task_of
from mobilenet.tasks.detection.task import Detection
from mobilenet.training.data import load_data
from mobilenet.training.loop import Stopwatch, Trainer
from mobilenet.training.recipe import make_plan
from mobilenet.training.settings import TrainingSettings
from mobilenet.training.tracking.listener import Silence

_FORMATS = (*WRITERS, "shards")
_EPOCHS = 2

Batch = dict[str, NDArray[np.generic]]


def _truths() -> dict[str, Truth]:
    """Of different shapes, with no box to three of two classes, at quarters of pixels."""
    random, found = np.random.default_rng(5), {}
    for number in range(18):
        height, width = random.integers(40, 90, 2).tolist()
        objects = []
        for _ in range(number % 4):
            top, left = random.integers(0, 4 * 20, 2) / 4
            bottom, right = top + random.integers(40, 80) / 4, left + random.integers(40, 80) / 4
            objects.append((("cat", "owl")[random.integers(2)], (top, left, min(bottom, height), min(right, width))))
        found[f"{number:02}.png"] = Truth((height, width), tuple(objects))
    return found


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The data set in each format, with the same photos of noise."""
    root, truths = tmp_path_factory.mktemp("formats"), _truths()
    places = {kind: write(root / kind, truths) for kind, write in WRITERS.items()}
    for place in places.values():
        for photo in sorted(place.rglob("*.png")):
            pixels = np.random.default_rng(int(photo.stem)).integers(0, 255, (*truths[photo.name].size, 3), np.uint8)
            Image.fromarray(pixels).save(photo)
    pack(places["coco"], Detection(), root / "shards")
    return {**places, "shards": root / "shards"}


@pytest.fixture
def batches(written: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Batch]]:
    """The inputs and targets of every step of two epochs, of a format and a seed."""

    def of(kind: str, seed: int = 3) -> list[Batch]:
        settings = TrainingSettings(
            written[kind], width_multiplier=0.25, resolution=96, batch_size=4, epochs=_EPOCHS, seed=seed,
            device="cpu", precision="float32", training_resolution=96,
        )  # fmt: skip
        assert task_of(settings.data).name == "detection"
        data = load_data(settings, torch.device("cpu"), torch.float32, Silence())
        plan = make_plan(settings, len(data.training), data.task.augmentation)
        network, objective = TableNetwork(data.card.network(), data.card.outputs), data.task.objective(data.card)
        trainer = Trainer(network, objective, data.training, settings, plan, torch.device("cpu"), torch.float32)
        found: list[Batch] = []

        def look(_self: Trainer, inputs: torch.Tensor, targets: dict[str, torch.Tensor], *_: object) -> torch.Tensor:
            found.append({"inputs": inputs.numpy(), **{name: value.numpy() for name, value in targets.items()}})
            return torch.zeros(len(objective.names))

        monkeypatch.setattr(Trainer, "_train_step", look)
        for epoch in range(_EPOCHS):
            trainer.train_epoch(epoch, Stopwatch())
        return found

    return of


@pytest.mark.parametrize("kind", [kind for kind in _FORMATS if kind != "coco"])
def test_every_format_gives_the_same_batches(kind: str, batches: Callable[..., list[Batch]]) -> None:
    wanted, found = batches("coco"), batches(kind)
    assert len(found) == len(wanted) == 2 * _EPOCHS * 2
    assert sum((batch["labels"] >= 0).sum() for batch in wanted) > 20
    for one, other in zip(found, wanted, strict=True):
        assert one.keys() == other.keys() >= {"inputs", "boxes", "labels"}
        for name, values in one.items():
            assert values.dtype == other[name].dtype
            assert values.tobytes() == other[name].tobytes(), name


def test_another_seed_gives_other_batches(batches: Callable[..., list[Batch]]) -> None:
    one, other = batches("coco"), batches("coco", seed=4)
    assert one[0]["inputs"].tobytes() != other[0]["inputs"].tobytes()
