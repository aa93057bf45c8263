"""The paper's comparisons on other photos: costs exact, accuracies from random weights, one recipe for all.

    python benchmarks/paper.py PHOTOS [--epochs 48] [--seeds 3] [--tables 4,5,6,7] [--jobs 1] [--out docs/paper]

Trains every network of Howard et al. 2017, tables 4 to 7, with `mobilenet train`'s own defaults: the first seed of all,
the cheapest network first, then the second. Writes OUT.json after each training, draws OUT.svg like the paper's figures
4 and 5, and prints the tables as Markdown. It takes hours, and goes on where it stopped: what OUT.json has is not
trained again, and a run that was cut short resumes. With `--jobs 2` two train at once, with one thread each: on two
cores that is half as fast again.
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

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mobilenet.architectures import MOBILENETS
from mobilenet.cost import cost
from mobilenet.files import atomic_path, atomic_write
from mobilenet.training.machine import describe_machine, pick_device, versions

_SIDE = 64
"""Pixels where the paper takes 224: at 128 one standard body takes an hour to train on two cores."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a table of the paper; `published` is its ImageNet top-1 in percent at `published_side`."""

    table: int
    name: str
    architecture: str
    width_multiplier: float
    resolution: int
    published: float
    published_side: int = 224

    @property
    def key(self) -> str:
        """The network, whatever table it stands in."""
        return f"{self.architecture}-{self.width_multiplier:g}-{self.resolution}"


ENTRIES = (
    Entry(4, "standard convolutions", "mobilenet_v1_standard", 1.0, _SIDE, 71.7),
    Entry(4, "depthwise separable", "mobilenet_v1", 1.0, _SIDE, 70.6),
    Entry(5, "narrow, 0.75", "mobilenet_v1", 0.75, _SIDE, 68.4),
    Entry(5, "shallow", "mobilenet_v1_shallow", 1.0, _SIDE, 65.3),
    Entry(5, "narrow, 0.75, at 128", "mobilenet_v1", 0.75, 128, float("nan"), 128),
    Entry(5, "shallow, at 128", "mobilenet_v1_shallow", 1.0, 128, float("nan"), 128),
    Entry(6, "width 1.0", "mobilenet_v1", 1.0, _SIDE, 70.6),
    Entry(6, "width 0.75", "mobilenet_v1", 0.75, _SIDE, 68.4),
    Entry(6, "width 0.5", "mobilenet_v1", 0.5, _SIDE, 63.7),
    Entry(6, "width 0.25", "mobilenet_v1", 0.25, _SIDE, 50.6),
    Entry(7, "1.0-128", "mobilenet_v1", 1.0, 128, 64.4, 128),
    Entry(7, "1.0-96", "mobilenet_v1", 1.0, 96, float("nan"), 96),
    Entry(7, "1.0-64", "mobilenet_v1", 1.0, 64, float("nan"), 64),
    Entry(7, "1.0-32", "mobilenet_v1", 1.0, 32, float("nan"), 32),
)

COLOURS = {
    "mobilenet_v1": ("#1f77b4", "depthwise separable"),
    "mobilenet_v1_standard": ("#d62728", "standard convolutions"),
    "mobilenet_v1_shallow": ("#2ca02c", "shallow"),
}

Record = dict[str, Any]


def networks(tables: Sequence[int]) -> list[Entry]:
    """Each network once, the cheapest first."""
    once = {entry.key: entry for entry in ENTRIES if entry.table in tables}
    return sorted(once.values(), key=lambda entry: costs(entry)["mult_adds"])


def costs(entry: Entry, classes: int = 10) -> dict[str, int]:
    """Exact, of the network with so many classes."""
    whole = cost(MOBILENETS[entry.architecture](entry.width_multiplier, entry.resolution, classes))
    return {"mult_adds": whole.mult_adds, "params": whole.params}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Train what is missing; the whole document, which is on the disk after each training."""
    path = options.out.with_name(options.out.name + ".json")
    document: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"records": []}
    document |= {"machine": describe_machine(pick_device("auto")), "versions": versions(), "epochs": options.epochs}
    records: list[Record] = document["records"]
    done = {(record["network"], record["seed"]) for record in records if record["epochs"] == options.epochs}
    missing = [
        (entry, seed)
        for seed in range(options.seeds)
        for entry in networks(options.tables)
        if (entry.key, seed) not in done
    ]
    with ThreadPoolExecutor(options.jobs) as pool:
        for future in as_completed([pool.submit(trained, options, entry, seed) for entry, seed in missing]):
            record = future.result()
            records.append(record)
            records.sort(key=lambda one: (one["mult_adds"], one["network"], one["epochs"], one["seed"]))
            print(f"{record['network']:26s} seed {record['seed']}  top-1 {record['top1']:6.1%}", flush=True)
            with atomic_write(path) as file:
                file.write(json.dumps(document, indent=1).encode())
    return document


def trained(options: argparse.Namespace, entry: Entry, seed: int) -> Record:
    """One training, or what is left of it, by the command that users run."""
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
    return {
        "network": entry.key,
        "seed": seed,
        "epochs": options.epochs,
        "top1": found["top1"],
        "loss": found["loss"],
        "photos": found["photos"],
        **costs(entry, len(found["labels"])),
    }


def accuracies(records: Sequence[Record], entry: Entry, epochs: int) -> list[float]:
    """Top-1 in percent of each seed."""
    return [100 * r["top1"] for r in records if r["network"] == entry.key and r["epochs"] == epochs]


def tables(document: dict[str, Any]) -> str:
    """One Markdown table for each table of the paper of which something is measured."""
    lines: list[str] = []
    for number in sorted({entry.table for entry in ENTRIES}):
        lines += [
            f"\nTable {number}",
            "",
            "| network | mult-adds, M | parameters, M | top-1 here | seeds | published |",
        ]
        lines += ["|---|---|---|---|---|---|", *rows(document, number)]
    return "\n".join(lines)


def rows(document: dict[str, Any], number: int) -> Iterator[str]:
    """The rows of one table, costs with the classes of the photos."""
    for entry in (entry for entry in ENTRIES if entry.table == number):
        found = accuracies(document["records"], entry, document["epochs"])
        spread = f" ± {stdev(found):.1f}" if len(found) > 1 else ""
        here = f"{mean(found):.1f}{spread}" if found else "not measured"
        told = costs(entry)
        published = "–" if entry.published != entry.published else f"{entry.published} at {entry.published_side}"
        millions = f"{told['mult_adds'] / 1e6:.1f} | {told['params'] / 1e6:.2f}"
        yield f"| {entry.name} | {millions} | {here} | {len(found)} | {published} |"


def plot(document: dict[str, Any], path: Path) -> None:
    """Accuracy against mult-adds on a logarithmic axis, and against parameters."""
    mpl.rcParams.update({"svg.hashsalt": "mobilenet", "svg.fonttype": "none", "font.size": 10})
    figure, both = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained", sharey=True)
    for axes, key, label, ticks in zip(
        both,
        ("mult_adds", "params"),
        ("million mult-adds", "million parameters"),
        ((3, 10, 30, 100, 300), (0.2, 0.5, 1, 2, 5, 10, 30)),
        strict=True,
    ):
        panel(axes, document, key)
        axes.set_xscale("log")
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.margins(x=0.2, y=0.08)
        axes.set_xlabel(label)
        axes.grid(alpha=0.3)
    kinds = [Line2D([], [], marker="o", linestyle="", color=colour, label=kind) for colour, kind in COLOURS.values()]
    both[1].legend(handles=kinds, loc="upper left")
    both[0].set_ylabel("top-1 on validation photos, %")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})
    plt.close(figure)


def panel(axes: Axes, document: dict[str, Any], key: str) -> None:
    """Every network as a dot with the spread of its seeds, names on alternate sides, from the worst to the best."""
    once = {entry.key: entry for entry in ENTRIES}
    found = {name: accuracies(document["records"], entry, document["epochs"]) for name, entry in once.items()}
    for number, name in enumerate(sorted(filter(found.get, once), key=lambda name: mean(found[name]))):
        entry, values = once[name], found[name]
        colour, _ = COLOURS[entry.architecture]
        x, y = costs(entry)[key] / 1e6, mean(values)
        spread = stdev(values) if len(values) > 1 else 0.0
        axes.errorbar([x], [y], [spread], marker="o", linestyle="", capsize=4, color=colour)
        side, where = (8, "left") if number % 2 == 0 else (-8, "right")
        text = name.removeprefix(entry.architecture).removeprefix("-")
        axes.annotate(text, (x, y), (side, 0), textcoords="offset points", size=9, ha=where, va="center")


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
    document = measure(options)
    print(tables(document))
    plot(document, options.out.with_name(options.out.name + ".svg"))


if __name__ == "__main__":
    main()
