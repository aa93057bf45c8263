"""Which learning rate suits which batch: accuracy with the rate of a batch of 32 times powers of batch / 32.

    python benchmarks/batch_size.py PHOTOS [--weights FILE] [--batches 8,32,128,512,2048] [--powers 0.5,1] [--out FILE]

Power 1 is the linear rule, 0.5 the square root; the default rate of each batch is measured too. All other settings are
the defaults of `mobilenet train`. PHOTOS must have eight times as many training photos as the largest batch. Prints a
table; figures already in FILE are not measured again.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from mobilenet.errors import ConfigError, MobilenetError
from mobilenet.files import atomic_write
from mobilenet.tasks import open_dataset
from mobilenet.training.recipe import make_plan
from mobilenet.training.run import train
from mobilenet.training.settings import TrainingSettings
from mobilenet.training.system.machine import describe_machine

_REFERENCE = 32
_OF_A_RUN = ("data", "weights", "network", "epochs", "seed", "optimizer", "batch", "rate")
"""The fields that identify a record."""

Record = dict[str, Any]


def rates(settings: TrainingSettings, powers: list[float], photos: int) -> dict[str, float]:
    """The rates to try for the optimiser and batch of `settings`, by the name of their rule."""
    enough = 8 * _REFERENCE
    reference = make_plan(replace(settings, batch_size=_REFERENCE), enough).learning_rate
    found = {f"power {power:g}": reference * (settings.batch_size / _REFERENCE) ** power for power in powers}
    return {**found, "default": make_plan(settings, photos).learning_rate}


def planned(options: argparse.Namespace, photos: int) -> Iterator[TrainingSettings]:
    """The settings of every run, small batches first; ConfigError if a batch is too large for `photos` photos."""
    for optimizer in options.optimizers:
        for batch in options.batches:
            settings = TrainingSettings(
                options.data,
                weights=options.weights,
                width_multiplier=options.width,
                resolution=options.resolution,
                epochs=options.epochs,
                seed=options.seed,
                optimizer=optimizer,
                batch_size=batch,
                track=(),
            )
            if make_plan(settings, photos).batch_size != batch:
                raise ConfigError(f"{photos} training photos are too few for batches of {batch}; use --batches")
            for rate in sorted(set(rates(settings, options.powers, photos).values())):
                yield replace(settings, learning_rate=rate)


def described(settings: TrainingSettings) -> Record:
    """The part of a record that identifies its run."""
    return {
        "data": settings.data.name,
        "weights": None if settings.weights is None else Path(settings.weights).name,
        "network": f"{settings.width_multiplier:g}-{settings.resolution}",
        "epochs": settings.epochs,
        "seed": settings.seed,
        "optimizer": settings.optimizer,
        "batch": settings.batch_size,
        "rate": settings.learning_rate,
    }


def trained(settings: TrainingSettings, clock: Callable[[], float] = time.perf_counter) -> Record:
    """One run; `top1` and `loss` on the validation photos are None if it diverged."""
    start = clock()
    with tempfile.TemporaryDirectory() as folder:
        try:
            evaluation = train(settings, Path(folder) / "run").evaluation
        except ConfigError as error:
            if "the loss became" not in str(error):
                raise
            figures: Record = {"top1": None, "loss": None}
        else:
            figures = {name: evaluation.figures[name] for name in ("top1", "loss")}
    seconds = round(clock() - start, 1)
    return {**described(settings), **figures, "seconds": seconds, "machine": describe_machine(torch.device("cpu"))}


def measure(options: argparse.Namespace, photos: int) -> list[Record]:
    """A record for each run, also written to `options.out` one by one."""
    records: list[Record] = json.loads(options.out.read_text()) if options.out.exists() else []
    for settings in planned(options, photos):
        if any(described(settings).items() <= record.items() for record in records):
            continue
        records.append(trained(settings))
        last = records[-1]
        print(*(last[name] for name in ("optimizer", "batch", "rate", "top1", "loss", "seconds")), flush=True)
        with atomic_write(options.out) as file:
            file.write(json.dumps(records, indent=1).encode() + b"\n")
    return records


def table(options: argparse.Namespace, photos: int, records: list[Record]) -> str:
    """Top-1 in percent and its learning rate for each optimiser, batch and rule, as Markdown."""
    names = [*(f"power {power:g}" for power in options.powers), "default"]
    lines = ["| optimiser | batch | " + " | ".join(names) + " |", "|---|---|" + "---|" * len(names)]
    found = {tuple(record[name] for name in _OF_A_RUN): record["top1"] for record in records}
    runs = {(one.optimizer, one.batch_size): replace(one, learning_rate=None) for one in planned(options, photos)}
    for settings in runs.values():
        tried = rates(settings, options.powers, photos)
        cells = []
        for name in names:
            top1 = found.get(tuple({**described(settings), "rate": tried[name]}.values()))
            cells.append(f"{'diverged' if top1 is None else f'{100 * top1:.1f}'} ({tried[name]:.2g})")
        lines.append(f"| {settings.optimizer} | {settings.batch_size} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights")
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batches", type=_whole_numbers, default=[8, 32, 128, 512, 2048])
    parser.add_argument("--optimizers", type=lambda text: text.split(","), default=["adamw", "rmsprop", "sgd"])
    parser.add_argument("--powers", type=_numbers, default=[0.5, 1.0])
    parser.add_argument("--out", type=Path, default=Path("batch_size.json"))
    options = parser.parse_args()
    photos = len(open_dataset(options.data, seed=options.seed).train)
    try:
        print(table(options, photos, measure(options, photos)))
    except MobilenetError as error:
        raise SystemExit(str(error)) from error


def _whole_numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


if __name__ == "__main__":
    main()
