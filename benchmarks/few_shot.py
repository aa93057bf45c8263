"""Accuracy from few photos: 5, 20 and 100 per class, with pretrained weights and without.

    python benchmarks/few_shot.py PHOTOS --weights FILE [--validation FOLDER] [--per-class 5,20,100] [--seeds 3]
        [--out docs/few_shot]

PHOTOS has train/ and a validation folder, or else FOLDER is the latter. For each seed that many photos of each class
are drawn from train/, and three methods are trained on them: the classifier alone, fine-tuning with all defaults, and
random weights. Accuracies are on all validation photos. Writes OUT.json and OUT.svg; figures already in OUT.json are
not measured again.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from mobilenet.datasets import Dataset
from mobilenet.files import atomic_path, atomic_write
from mobilenet.images.augment import random_uniform
from mobilenet.tasks import open_dataset
from mobilenet.training.run import train
from mobilenet.training.settings import TrainingSettings

_WAYS = ("random weights", "classifier alone", "fine-tuning")
_COLOURS = ("#777777", "#1f77b4", "#d62728")

Record = dict[str, object]


def drawn(dataset: Dataset, per_class: int, seed: int, folder: Path) -> Path:
    """A data set of links: `per_class` photos of each class (or all, if there are fewer), and all validation photos."""
    rank = random_uniform(seed, per_class, np.arange(len(dataset.train)), 1)[:, 0]
    labels = dataset.train.targets.numbers
    chosen = [
        index
        for label in range(len(dataset.classes))
        for index in sorted(np.flatnonzero(labels == label).tolist(), key=rank.__getitem__)[:per_class]
    ]
    for part, photos, indices in (
        ("train", dataset.train, chosen),
        ("validation", dataset.validation, range(len(dataset.validation))),
    ):
        for index in indices:
            label = dataset.classes[photos.targets.numbers[index]]
            link = folder / part / label / f"{index}{photos.path(index).suffix}"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(photos.path(index).resolve())
    return folder


def ways(data: Path, weights: str, seed: int) -> Iterator[tuple[str, TrainingSettings]]:
    """The settings of each method, all defaults but the seed; from random weights the network is 0.5-128."""
    fine = TrainingSettings(data, weights=weights, seed=seed)
    yield "classifier alone", replace(fine, freeze="backbone")
    yield "fine-tuning", fine
    yield "random weights", TrainingSettings(data, seed=seed)


def measure(
    data: Path,
    weights: str,
    counts: list[int],
    seeds: int,
    out: Path,
    *,
    validation: Path | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Record]:
    """One record for each count, seed and way, also written to `out` one by one."""
    records: list[Record] = json.loads(out.read_text()) if out.exists() else []
    done = {(record["per_class"], record["seed"], record["way"]) for record in records}
    dataset = open_dataset(data, validation=validation)
    for per_class in counts:
        for seed in range(seeds):
            with tempfile.TemporaryDirectory() as folder:
                links = drawn(dataset, per_class, seed, Path(folder) / "photos")
                for way, settings in ways(links, weights, seed):
                    if (per_class, seed, way) in done:
                        continue
                    start = clock()
                    result = train(settings, Path(folder) / way)
                    seconds = round(clock() - start, 1)
                    top1 = result.evaluation.figures["top1"]
                    records.append({"per_class": per_class, "seed": seed, "way": way, "top1": top1, "s": seconds})
                    print(f"{per_class:4d} per class, seed {seed}, {way:17s} {top1:6.1%}  {seconds} s")
                    with atomic_write(out) as file:
                        file.write(json.dumps(records, indent=1).encode())
    return records


def table(records: list[Record]) -> str:
    """Mean and standard deviation of each count and way, as Markdown."""
    counts = sorted({int(str(record["per_class"])) for record in records})
    lines = ["| photos per class | " + " | ".join(_WAYS) + " |", "|---|" + "---|" * len(_WAYS)]
    for count in counts:
        cells = []
        for way in _WAYS:
            values = _accuracies(records, count, way)
            spread = f" ± {stdev(values):.1%}" if len(values) > 1 else ""
            cells.append(f"{mean(values):.1%}{spread}" if values else "not measured")
        lines.append(f"| {count} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def plot(records: list[Record], out: Path) -> None:
    """Accuracy against photos per class, with one standard deviation, as SVG."""
    counts = sorted({int(str(record["per_class"])) for record in records})
    mpl.rcParams.update({"svg.hashsalt": "mobilenet", "font.size": 11})
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for way, colour in zip(_WAYS, _COLOURS, strict=True):
        values = [_accuracies(records, count, way) for count in counts]
        centre = [100 * mean(part) for part in values]
        spread = [100 * stdev(part) if len(part) > 1 else 0 for part in values]
        axes.errorbar(counts, centre, spread, label=way, color=colour, marker="o", capsize=4, linewidth=2)
    axes.set_xscale("log")
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.minorticks_off()
    axes.set_xlabel("training photos per class")
    axes.set_ylabel("top-1 on validation photos, %")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    with atomic_path(out) as path:
        figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)


def _accuracies(records: list[Record], count: int, way: str) -> list[float]:
    return [float(str(r["top1"])) for r in records if r["per_class"] == count and r["way"] == way]


def main() -> None:
    """Parse, measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--validation", type=Path)
    parser.add_argument("--per-class", default="5,20,100")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("docs/few_shot"))
    options = parser.parse_args()
    counts = [int(count) for count in options.per_class.split(",")]
    records = measure(
        options.data,
        options.weights,
        counts,
        options.seeds,
        options.out.with_name(options.out.name + ".json"),
        validation=options.validation,
    )
    print(table(records))
    plot(records, options.out.with_name(options.out.name + ".svg"))


if __name__ == "__main__":
    main()
