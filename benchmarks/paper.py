"""The paper's comparisons on other photos: exact costs, accuracies from random weights, one recipe for all.

    python benchmarks/paper.py PHOTOS [--epochs 48] [--seeds 3] [--tables 4,5,6,7] [--jobs 1] [--out docs/paper]

Trains every network of Howard et al. 2017, tables 4 to 7, with the defaults of `mobilenet train`: the first seed of all
networks, cheapest first, then the second. Writes OUT.json after each training, draws OUT.svg like the paper's figures 4
and 5, and prints the tables as Markdown. It takes hours and can be resumed: records in OUT.json are not trained again,
and interrupted runs are resumed. With `--jobs 2` two train at once, with one thread each: on two cores that is 1.5
times as fast. Each record of OUT.json has the machine and the versions that it was trained with.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from mobilenet.files import atomic_write
from mobilenet.spec.cost import cost
from mobilenet.spec.mobilenet import MOBILENETS
from paper_plot import Dot, plot

_SIDE = 64
"""Pixels in place of the paper's 224: at 128 one standard body takes an hour to train on two cores."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a table of the paper; `published` is its ImageNet top-1 in percent at `published_side`."""

    table: int
    name: str
    architecture: str
    width_multiplier: float
    resolution: int
    published: float | None
    published_side: int = 224

    @property
    def key(self) -> str:
        """The network, independent of the table."""
        return f"{self.architecture}-{self.width_multiplier:g}-{self.resolution}"


ENTRIES = (
    Entry(4, "standard convolutions", "mobilenet_v1_standard", 1.0, _SIDE, 71.7),
    Entry(4, "depthwise separable", "mobilenet_v1", 1.0, _SIDE, 70.6),
    Entry(5, "narrow, 0.75", "mobilenet_v1", 0.75, _SIDE, 68.4),
    Entry(5, "shallow", "mobilenet_v1_shallow", 1.0, _SIDE, 65.3),
    Entry(5, "narrow, 0.75, at 128", "mobilenet_v1", 0.75, 128, None, 128),
    Entry(5, "shallow, at 128", "mobilenet_v1_shallow", 1.0, 128, None, 128),
    Entry(6, "width 1.0", "mobilenet_v1", 1.0, _SIDE, 70.6),
    Entry(6, "width 0.75", "mobilenet_v1", 0.75, _SIDE, 68.4),
    Entry(6, "width 0.5", "mobilenet_v1", 0.5, _SIDE, 63.7),
    Entry(6, "width 0.25", "mobilenet_v1", 0.25, _SIDE, 50.6),
    Entry(7, "1.0-128", "mobilenet_v1", 1.0, 128, 64.4, 128),
    Entry(7, "1.0-96", "mobilenet_v1", 1.0, 96, None, 96),
    Entry(7, "1.0-64", "mobilenet_v1", 1.0, 64, None, 64),
    Entry(7, "1.0-32", "mobilenet_v1", 1.0, 32, None, 32),
)

Record = dict[str, Any]


def networks(tables: Sequence[int]) -> list[Entry]:
    """Each network once, the cheapest first."""
    once = {entry.key: entry for entry in ENTRIES if entry.table in tables}
    return sorted(once.values(), key=lambda entry: costs(entry)["mult_adds"])


def costs(entry: Entry, classes: int = 10) -> dict[str, int]:
    """Exact costs of the network with `classes` classes."""
    whole = cost(MOBILENETS[entry.architecture](entry.width_multiplier, entry.resolution, classes))
    return {"mult_adds": whole.mult_adds, "params": whole.params}


def read(path: Path) -> list[Record]:
    """The records of a document, empty if there is none. Older ones have machine and versions once for all records."""
    if not path.exists():
        return []
    document: dict[str, Any] = json.loads(path.read_text())
    told = {key: document[key] for key in ("machine", "versions") if key in document}
    return [
        {**record, **{key: record.get(key, value) for key, value in told.items()}} for record in document["records"]
    ]


def measure(options: argparse.Namespace) -> list[Record]:
    """Train what is missing, saving records after each training; returns all of them."""
    path = options.out.with_name(options.out.name + ".json")
    records = read(path)
    with ThreadPoolExecutor(options.jobs) as pool:
        trainings = [pool.submit(trained, options, *one) for one in missing(options, records)]
        try:
            for training in as_completed(trainings):
                keep(training.result(), records, path)
        finally:
            # Otherwise all waiting trainings would run after a failure or Ctrl-C, and be lost.
            pool.shutdown(wait=False, cancel_futures=True)
    return records


def keep(record: Record, records: list[Record], path: Path) -> None:
    """Add a record to the document."""
    records.append(record)
    records.sort(key=lambda one: (one["mult_adds"], one["network"], one["epochs"], one["seed"]))
    print(f"{record['network']:26s} seed {record['seed']}  top-1 {record['top1']:6.1%}", flush=True)
    with atomic_write(path) as file:
        file.write(json.dumps({"records": records}, indent=1).encode())


def missing(options: argparse.Namespace, records: Sequence[Record]) -> list[tuple[Entry, int]]:
    """The networks and seeds without a record: the first seed of all, then the second."""
    done = {(record["network"], record["seed"]) for record in records if record["epochs"] == options.epochs}
    return [
        (entry, seed)
        for seed in range(options.seeds)
        for entry in networks(options.tables)
        if (entry.key, seed) not in done
    ]


def trained(options: argparse.Namespace, entry: Entry, seed: int) -> Record:
    """One training, or the rest of it, by the command that users run."""
    folder = options.runs / f"{entry.key}-{options.epochs}-epochs-seed-{seed}"
    words = [str(options.data), "--arch", entry.architecture, "--width", str(entry.width_multiplier)]
    words += ["--resolution", str(entry.resolution), "--epochs", str(options.epochs), "--seed", str(seed)]
    words = ["--resume", str(folder)] if (folder / "config.json").exists() else [*words, "--out", str(folder)]
    if not (folder / "evaluation.json").exists():
        threads = {"OMP_NUM_THREADS": "1"} if options.jobs > 1 else {}
        command = [sys.executable, "-m", "mobilenet", "train", *words]
        with (options.runs / f"{folder.name}.log").open("a") as log:
            subprocess.run(command, check=True, stdout=log, stderr=log, env=os.environ | threads)
    found = json.loads((folder / "evaluation.json").read_text())
    config = json.loads((folder / "config.json").read_text())
    return {
        "network": entry.key,
        "seed": seed,
        "epochs": options.epochs,
        "top1": found["top1"],
        "loss": found["loss"],
        "photos": found["photos"],
        **costs(entry, len(found["labels"])),
        "machine": config["machine"],
        "versions": config["versions"],
    }


def of(records: Sequence[Record], entry: Entry, epochs: int) -> list[Record]:
    """The records of a network, one per seed."""
    return [record for record in records if record["network"] == entry.key and record["epochs"] == epochs]


def tables(records: Sequence[Record], epochs: int) -> str:
    """One Markdown table for each table of the paper."""
    lines: list[str] = []
    for number in sorted({entry.table for entry in ENTRIES}):
        lines += [
            f"\nTable {number}",
            "",
            "| network | mult-adds, M | parameters, M | top-1 here | seeds | published |",
        ]
        lines += ["|---|---|---|---|---|---|", *rows(records, epochs, number)]
    return "\n".join(lines)


def rows(records: Sequence[Record], epochs: int, number: int) -> Iterator[str]:
    """The rows of one table; costs are for the classes of the photos, or 10 if nothing is measured."""
    for entry in (entry for entry in ENTRIES if entry.table == number):
        found = of(records, entry, epochs)
        top1 = [100 * record["top1"] for record in found]
        spread = f" ± {stdev(top1):.1f}" if len(found) > 1 else ""
        here = f"{mean(top1):.1f}{spread}" if found else "not measured"
        told = found[0] if found else costs(entry)
        published = "–" if entry.published is None else f"{entry.published} at {entry.published_side}"
        millions = f"{told['mult_adds'] / 1e6:.1f} | {told['params'] / 1e6:.2f}"
        yield f"| {entry.name} | {millions} | {here} | {len(found)} | {published} |"


def dots(records: Sequence[Record], epochs: int) -> list[Dot]:
    """Each network with measurements."""
    once = {entry.key: entry for entry in ENTRIES}
    return [
        Dot(
            name=key.removeprefix(entry.architecture).removeprefix("-"),
            kind=entry.architecture,
            mult_adds=found[0]["mult_adds"],
            params=found[0]["params"],
            top1=tuple(100 * record["top1"] for record in found),
        )
        for key, entry in once.items()
        if (found := of(records, entry, epochs))
    ]


def main() -> None:
    """Parse, train, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--epochs", type=int, default=48)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tables", default="4,5,6,7", type=lambda text: [int(word) for word in text.split(",")])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--runs", type=Path, default=Path("runs/paper"))
    parser.add_argument("--out", type=Path, default=Path("docs/paper"))
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    records = measure(options)
    print(tables(records, options.epochs))
    plot(dots(records, options.epochs), options.out.with_name(options.out.name + ".svg"))


if __name__ == "__main__":
    main()
