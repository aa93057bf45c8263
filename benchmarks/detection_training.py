"""Training speed of a detector, whole steps from JPEG files on disk: ours and the stock recipe, in one run.

    python benchmarks/detection_training.py BOXES [--width 0.5] [--resolution 300] [--photos 192] [--rounds 3]

Each side is a separate process; sides take turns, and ratios are between medians. The first epoch of ours decodes into
an empty cache, and that is counted.

- stock: what a newcomer writes. The same network in eager float32 and the default memory layout, Pillow decoding, crop
  and flip in 2 DataLoader workers, boxes matched photo by photo, cross-entropy with hard negatives and smooth L1, SGD.
- ours: `mobilenet.training` as run by `mobilenet train`, with its augmentation and the weight average.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from mobilenet.datasets.cache.load import load
from mobilenet.datasets.dataset import Dataset
from mobilenet.images.augment import training_methods, training_side
from mobilenet.model.card import ModelCard
from mobilenet.model.suppression import corners as corners_of
from mobilenet.nn.boxes import encode
from mobilenet.nn.network import TableNetwork
from mobilenet.tasks import open_dataset
from mobilenet.tasks.detection.priors import prior_boxes
from mobilenet.tasks.detection.task import Detection
from mobilenet.training.loop import Stopwatch, Trainer, fill
from mobilenet.training.recipe import augmentation, make_plan
from mobilenet.training.record import card_of
from mobilenet.training.settings import TrainingSettings
from mobilenet.training.system.machine import keep_freed_memory, pick_precision
from training import Epoch, Row, TrainEpoch, speed, timed

SIDES = ("stock", "ours")
_EPOCHS, _BATCH = 3, 32

_TASK = Detection()

Boxes = tuple[torch.Tensor, torch.Tensor]
"""Boxes (M, 4), top, left, bottom, right as shares of the photo, and labels (M,)."""


class _Files(torch.utils.data.Dataset[tuple[torch.Tensor, Boxes]]):
    """Decodes, crops and flips with Pillow, one photo at a time."""

    def __init__(self, dataset: Dataset, count: int, resolution: int) -> None:
        self.photos, self.count, self.resolution = dataset.train, count, resolution

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[torch.Tensor, Boxes]:
        targets = self.photos.targets
        with Image.open(self.photos.path(index)) as image:
            photo = image.convert("RGB")
        at = targets.photo(index)
        boxes, labels = torch.from_numpy(targets.boxes[at]), torch.from_numpy(targets.labels[at])
        side = np.sqrt(np.random.uniform(0.5, 1))
        top, left = np.random.uniform(0, 1 - side, 2)
        width, height = photo.size
        part = (left * width, top * height, (left + side) * width, (top + side) * height)
        crop = photo.resize((self.resolution, self.resolution), Image.Resampling.BILINEAR, box=part)
        boxes = (boxes - torch.tensor([top, left, top, left])) / side
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        inside = ((middle > 0) & (middle < 1)).all(1)
        boxes, labels = boxes[inside].clamp(0, 1), labels[inside]
        if np.random.rand() < 0.5:
            crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            boxes = torch.stack([boxes[:, 0], 1 - boxes[:, 3], boxes[:, 2], 1 - boxes[:, 1]], 1)
        pixels = torch.from_numpy(np.asarray(crop).transpose(2, 0, 1).copy()).float()
        return pixels / 127.5 - 1, (boxes.float(), labels)


def collated(samples: Sequence[tuple[torch.Tensor, Boxes]]) -> tuple[torch.Tensor, list[Boxes]]:
    """A batch: (B, 3, R, R), and the boxes of each photo."""
    return torch.stack([pixels for pixels, _ in samples]), [boxes for _, boxes in samples]


def stock_loss(outputs: Mapping[str, torch.Tensor], batch: Sequence[Boxes], priors: torch.Tensor) -> torch.Tensor:
    """(): SSD's loss (Liu et al. 2016), photo by photo."""
    corners = torch.from_numpy(corners_of(priors.numpy()))
    areas = (corners[:, 2:] - corners[:, :2]).prod(1)
    total, count = torch.zeros(()), 0
    for codes, scores, (boxes, labels) in zip(outputs["boxes"], outputs["scores"], batch, strict=True):
        wanted = torch.zeros_like(scores)
        matched = torch.zeros(len(priors), dtype=torch.bool)
        if len(boxes):
            low, high = (
                torch.maximum(corners[:, None, :2], boxes[None, :, :2]),
                torch.minimum(corners[:, None, 2:], boxes[None, :, 2:]),
            )
            both = (high - low).clamp_min(0).prod(2)
            overlap = both / (areas[:, None] + (boxes[:, 2:] - boxes[:, :2]).prod(1)[None] - both).clamp_min(1e-9)
            overlap[overlap.argmax(0), torch.arange(len(boxes))] = 2
            best, which = overlap.max(1)
            matched = best >= 0.5
            wanted[matched, labels[which[matched]]] = 1
            aim = encode(boxes[which[matched]], priors[matched]) * torch.tensor([10.0, 10.0, 5.0, 5.0])
            total = total + F.smooth_l1_loss(codes[matched], aim, reduction="sum")
        each = F.binary_cross_entropy_with_logits(scores, wanted, reduction="none").sum(1)
        hard = each[~matched].sort(descending=True).values[: 3 * max(int(matched.sum()), 1)]
        total = total + each[matched].sum() + hard.sum()
        count += int(matched.sum())
    return total / max(count, 1)


def settings_of(data: Path, width: float, resolution: int) -> TrainingSettings:
    """Those of both sides."""
    return TrainingSettings(
        data, width_multiplier=width, resolution=resolution, training_resolution=resolution, batch_size=_BATCH
    )


def stock(data: Path, width: float, resolution: int, limit: int, workers: int = 2) -> TrainEpoch:
    """The stock recipe."""
    dataset = open_dataset(data, _TASK.name)
    photos = _Files(dataset, min(limit, len(dataset.train)), resolution)
    card = _card(dataset, settings_of(data, width, resolution))
    network, priors = TableNetwork(card.network(), card.outputs), torch.tensor(prior_boxes(card))
    optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9, weight_decay=1e-4)
    batch = min(_BATCH, len(photos))
    loader = torch.utils.data.DataLoader(
        photos, batch, shuffle=True, num_workers=workers, drop_last=True, collate_fn=collated
    )

    def train_epoch(_number: int) -> Epoch:
        seen = 0
        for inputs, boxes in loader:
            loss = stock_loss(network(inputs), boxes, priors)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen += len(boxes)
        return Epoch(seen)

    return train_epoch


def ours(data: Path, width: float, resolution: int, limit: int, cache: Path) -> TrainEpoch:
    """`mobilenet.training`; the first epoch begins with decoding into `cache`, an empty folder, and that is counted."""
    keep_freed_memory()
    device = torch.device("cpu")
    dtype = pick_precision("auto", device)
    dataset = open_dataset(data, _TASK.name)
    settings = settings_of(data, width, resolution)
    trainers: list[Trainer] = []

    def trainer() -> Trainer:
        torch.manual_seed(0)
        methods = training_methods(augmentation(settings, _TASK.augmentation))
        kept = dataset.train.take(np.arange(min(limit, len(dataset.train))))
        photos = load(kept, training_side(resolution), methods=methods, directory=cache)
        card = _card(dataset, settings)
        network, objective = TableNetwork(card.network(), card.outputs), _TASK.objective(card, settings)
        fill(network, objective.initial)
        plan = make_plan(settings, len(photos), _TASK.augmentation, _TASK.fine_tuning_rate)
        return Trainer(network, objective, photos, settings, plan, device, dtype)

    def train_epoch(number: int) -> Epoch:
        if not trainers:
            trainers.append(trainer())
        # The trainer keeps the sums of an epoch until it is told of the next.
        trainers[0].sums = []
        return Epoch(trainers[0].train_epoch(number, Stopwatch()).photos)

    return train_epoch


def summary(runs: Mapping[str, Sequence[Sequence[Row]]]) -> dict[str, object]:
    """Photos per second of each side's runs, medians of the first and of the later epochs, and the ratios of ours."""
    first = {side: median(speed(run[0]) for run in runs[side]) for side in SIDES}
    later = {side: median(speed(row) for run in runs[side] for row in run[1:]) for side in SIDES}
    return {
        "images_per_second": {side: round(value, 1) for side, value in later.items()},
        "images_per_second_first_epoch": {side: round(value, 1) for side, value in first.items()},
        "against_stock": round(later["ours"] / later["stock"], 2),
        "against_stock_first_epoch": round(first["ours"] / first["stock"], 2),
    }


def _card(dataset: Dataset, settings: TrainingSettings) -> ModelCard:
    return card_of(settings, _TASK, dataset.vocabulary)


def _run_side(side: str, *arguments: object) -> list[Row]:
    command = [sys.executable, __file__, "--side", side, *map(str, arguments)]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONWARNINGS": "ignore"}
    )
    return [(photos, seconds, share) for photos, seconds, share in json.loads(done.stdout)]


def _side(name: str, data: Path, width: float, resolution: int, photos: int) -> list[Row]:
    if name == "stock":
        return timed(stock(data, width, resolution, photos), _EPOCHS)
    with tempfile.TemporaryDirectory() as folder:
        return timed(ours(data, width, resolution, photos, Path(folder)), _EPOCHS)


def main() -> None:
    """Parse, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--width", type=float, default=0.5)
    parser.add_argument("--resolution", type=int, default=300)
    parser.add_argument("--photos", type=int, default=192, help="photos per epoch")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    given = (options.data, options.width, options.resolution, options.photos)
    if options.side:
        print(json.dumps(_side(options.side, *given)))
        return
    runs: dict[str, list[list[Row]]] = {side: [] for side in SIDES}
    for number in range(options.rounds):
        for side in SIDES:
            print(f"round {number + 1} of {options.rounds}: {side}", file=sys.stderr)
            arguments = ("--width", given[1], "--resolution", given[2], "--photos", given[3], given[0])
            runs[side].append(_run_side(side, *arguments))
    print(json.dumps({"network": f"ssdlite {options.width}-{options.resolution}", **summary(runs)}, indent=1))


if __name__ == "__main__":
    main()
