"""Training speed, whole steps from JPEG files on disk: ours, the stock recipe, and a strong hand-tuned loop, in one
run.

    python benchmarks/training.py DATA [--configurations 1.0-224,0.25-128] [--rounds 3] [--out FILE.json]

Each side is a separate process, so that none profits from another's memory or threads; sides take turns, and ratios are
between medians. The first epoch of ours decodes into an empty cache, and that is counted.

- stock: what a beginner writes. Eager float32, default memory layout, Pillow decoding in 2 DataLoader workers, random
  resized crop and flip by Pillow, SGD.
- tuned: what an expert writes. channels_last, photos decoded into memory once at the network's own resolution, flip
  only, float32 or bfloat16 autocast (whichever is faster here), fused SGD, glibc keeping freed memory.
- ours: `mobilenet.training` as run by `mobilenet train`, with its augmentation and the weight average.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from mobilenet.datasets.cache.load import load
from mobilenet.images.augment import training_methods, training_side
from mobilenet.nn.network import TableNetwork
from mobilenet.spec import Network, mobilenet_v1
from mobilenet.spec.cost import cost
from mobilenet.tasks import open_dataset
from mobilenet.tasks.classification import Classification
from mobilenet.training.loop import Stopwatch, Trainer
from mobilenet.training.recipe import augmentation, make_plan
from mobilenet.training.record import card_of
from mobilenet.training.settings import TrainingSettings
from mobilenet.training.system.machine import describe_machine, keep_freed_memory, pick_precision, versions

SIDES = ("stock", "tuned-float32", "tuned-bfloat16", "ours")
_EPOCHS = 3

_GFLOPS = {"float32": 266, "bfloat16": 536}
"""Multiplications and additions per second and core of the development machine, in 10**9 (docs/training.md)."""


def plain_network(width: float, classes: int) -> nn.Module:
    """MobileNet V1 as a beginner writes it with torch.nn."""
    channels = int(32 * width)
    layers: list[nn.Module] = [
        nn.Conv2d(3, channels, 3, 2, 1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    ]
    body = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for base, stride in body:
        out = int(base * width)
        layers += [nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False), nn.BatchNorm2d(channels)]
        layers += [nn.ReLU(inplace=True), nn.Conv2d(channels, out, 1, bias=False), nn.BatchNorm2d(out)]
        layers += [nn.ReLU(inplace=True)]
        channels = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


class _Files(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """Decodes, crops and flips with Pillow, one photo at a time."""

    def __init__(self, files: list[Path], labels: list[int], resolution: int) -> None:
        self.files, self.labels, self.resolution = files, labels, resolution

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        with Image.open(self.files[index]) as image:
            photo = image.convert("RGB")
        width, height = photo.size
        area, aspect = np.random.uniform(0.35, 1), np.exp(np.random.uniform(-0.28, 0.28))
        w, h = min(np.sqrt(area * aspect), 1) * width, min(np.sqrt(area / aspect), 1) * height
        left, top = np.random.uniform(0, width - w + 1e-9), np.random.uniform(0, height - h + 1e-9)
        size = (self.resolution, self.resolution)
        crop = photo.resize(size, Image.Resampling.BILINEAR, box=(left, top, left + w, top + h))
        if np.random.rand() < 0.5:
            crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels = torch.from_numpy(np.asarray(crop).transpose(2, 0, 1).copy()).float()
        return pixels / 127.5 - 1, self.labels[index]


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch of a side has done: the photos trained on; the share of time (0…1) spent on input, if known."""

    photos: int
    input_share: float | None = None


TrainEpoch = Callable[[int], Epoch]
"""Trains one epoch, by its number from 0."""

Row = tuple[int, float, float | None]
"""Photos, seconds and share of input of one epoch."""


def timed(train_epoch: TrainEpoch, epochs: int, clock: Callable[[], float] = time.perf_counter) -> list[Row]:
    """A row for each epoch, one after the other."""
    rows: list[Row] = []
    for number in range(epochs):
        start = clock()
        epoch = train_epoch(number)
        rows.append((epoch.photos, clock() - start, epoch.input_share))
    return rows


def stock(data: Path, width: float, resolution: int, batch: int, limit: int, workers: int = 2) -> TrainEpoch:
    """The stock recipe."""
    dataset = open_dataset(data)
    files = [dataset.train.path(i) for i in range(len(dataset.train))][:limit]
    photos = _Files(files, dataset.train.targets.numbers.tolist()[:limit], resolution)
    network = plain_network(width, len(dataset.classes))
    optimizer = torch.optim.SGD(network.parameters(), 0.05, momentum=0.9, weight_decay=1e-4)
    loader = torch.utils.data.DataLoader(photos, batch, shuffle=True, num_workers=workers, drop_last=True)

    def train_epoch(_number: int) -> Epoch:
        seen = 0
        for inputs, labels in loader:
            loss = F.cross_entropy(network(inputs), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen += len(labels)
        return Epoch(seen)

    return train_epoch


def tuned(data: Path, width: float, resolution: int, batch: int, limit: int, *, half: bool) -> TrainEpoch:
    """The hand-tuned loop; photos are read here, so that it is not counted."""
    keep_freed_memory()
    dataset = open_dataset(data)
    chosen = np.random.default_rng(0).permutation(len(dataset.train))[:limit]
    cached = load(dataset.train.take(chosen), resolution)
    pixels, targets = torch.from_numpy(cached.batch(np.arange(len(cached)))), torch.from_numpy(cached.targets.numbers)
    network = plain_network(width, len(dataset.classes)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), 0.05, momentum=0.9, weight_decay=1e-4, fused=True)

    def train_epoch(_number: int) -> Epoch:
        seen, order = 0, torch.randperm(len(targets))
        for begin in range(0, len(targets) - batch + 1, batch):
            index = order[begin : begin + batch]
            inputs = (pixels[index].permute(0, 3, 1, 2).float() - 127.5) / 127.5
            if torch.rand(()) < 0.5:
                inputs = inputs.flip(3)
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                logits = network(inputs.contiguous(memory_format=torch.channels_last))
            loss = F.cross_entropy(logits.float(), targets[index])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            seen += len(index)
        return Epoch(seen)

    return train_epoch


def ours(data: Path, width: float, resolution: int, batch: int, epochs: int, limit: int, cache: Path) -> TrainEpoch:
    """`mobilenet.training`; the first epoch begins with decoding into `cache`, an empty folder, and that is counted."""
    keep_freed_memory()
    device = torch.device("cpu")
    dtype = pick_precision("auto", device)
    dataset = open_dataset(data)
    settings = TrainingSettings(data, width_multiplier=width, resolution=resolution, batch_size=batch, epochs=epochs)
    trainers: list[Trainer] = []

    def trainer() -> Trainer:
        torch.manual_seed(0)
        kept = np.arange(min(limit, len(dataset.train)))
        methods = training_methods(augmentation(settings))
        photos = load(dataset.train.take(kept), training_side(resolution), methods=methods, directory=cache)
        task = Classification()
        card = card_of(settings, task, dataset.vocabulary)
        network, objective = TableNetwork(card.network(), card.outputs), task.objective(card, settings)
        return Trainer(network, objective, photos, settings, make_plan(settings, len(photos)), device, dtype)

    def train_epoch(number: int) -> Epoch:
        if not trainers:
            trainers.append(trainer())
        # The trainer keeps the sums of an epoch until it is told of the next: without this, photos would be counted
        # from the start of the run.
        trainers[0].sums, watch = [], Stopwatch()
        result = trainers[0].train_epoch(number, watch)
        return Epoch(result.photos, watch.seconds["input"] / sum(watch.seconds.values()))

    return train_epoch


def run_side(side: str, *arguments: object) -> list[Row]:
    """Run one side in its own process; returns a row for each epoch."""
    command = [sys.executable, __file__, "--side", side, *map(str, arguments)]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONWARNINGS": "ignore"}
    )
    return [(photos, seconds, share) for photos, seconds, share in json.loads(done.stdout)]


def compare(data: Path, width: float, resolution: int, photos: int, rounds: int) -> dict[str, object]:
    """All sides in turn, `rounds` times, on `photos` photos and three epochs each."""
    batch = 32 if width * resolution > 100 else 64
    runs: dict[str, list[list[Row]]] = {side: [] for side in SIDES}
    for number in range(rounds):
        for side in SIDES:
            print(f"{width}-{resolution} round {number + 1} of {rounds}: {side}", file=sys.stderr)
            runs[side].append(run_side(side, data, width, resolution, batch, _EPOCHS, photos))
    precision = str(pick_precision("auto", torch.device("cpu"))).removeprefix("torch.")
    return {
        "network": f"{width}-{resolution}",
        "batch": batch,
        **summary(runs),
        "limit_images_per_second": round(limit(mobilenet_v1(width, resolution), precision, torch.get_num_threads()), 1),
        "precision": precision,
    }


def summary(runs: Mapping[str, Sequence[Sequence[Row]]]) -> dict[str, object]:
    """Photos per second of each side's runs, medians of the first and of the later epochs, and the ratios of ours."""
    first = {side: median(speed(run[0]) for run in runs[side]) for side in SIDES}
    later = {side: median(speed(row) for run in runs[side] for row in run[1:]) for side in SIDES}
    best = max(later["tuned-float32"], later["tuned-bfloat16"])
    shares = [share for run in runs["ours"] for _, _, share in run[1:] if share is not None]
    return {
        "images_per_second": {side: round(value, 1) for side, value in later.items()},
        "images_per_second_first_epoch": {side: round(value, 1) for side, value in first.items()},
        "against_stock": round(later["ours"] / later["stock"], 2),
        "against_stock_first_epoch": round(first["ours"] / first["stock"], 2),
        "against_tuned": round(later["ours"] / best, 2),
        "input_share": round(median(shares), 3),
    }


def speed(row: Row) -> float:
    """Photos per second."""
    photos, seconds, _ = row
    return photos / seconds


def limit(table: Network, precision: str, cores: int) -> float:
    """Photos per second if forward and backward (three times the mult-adds) ran at the processor's peak."""
    return cores * _GFLOPS[precision] * 1e9 / (2 * 3 * cost(table).mult_adds)


def _side(name: str, arguments: Sequence[str]) -> list[Row]:
    data, (width, resolution, batch, epochs, photos) = Path(arguments[0]), arguments[1:]
    given = (data, float(width), int(resolution), int(batch))
    if name == "stock":
        return timed(stock(*given, int(photos)), int(epochs))
    if name == "ours":
        with tempfile.TemporaryDirectory() as folder:
            return timed(ours(*given, int(epochs), int(photos), Path(folder)), int(epochs))
    return timed(tuned(*given, int(photos), half=name == "tuned-bfloat16"), int(epochs))


def main() -> None:
    """Parse, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--configurations", default="1.0-224,0.25-128")
    parser.add_argument("--photos", type=int, default=512, help="photos per epoch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.side:
        print(json.dumps(_side(options.side, options.data)))
        return
    results = []
    for name in options.configurations.split(","):
        width, resolution = name.split("-")
        photos = options.photos if float(width) > 0.3 else 4 * options.photos
        results.append(compare(Path(options.data[0]), float(width), int(resolution), photos, options.rounds))
        print(json.dumps(results[-1], indent=1))
    if options.out:
        document = {"machine": describe_machine(torch.device("cpu")), "versions": versions(), "results": results}
        options.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
