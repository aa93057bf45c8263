"""The pattern of the paper's Table 12: a small network of attributes that learns from a large one, and from photos
without labels.

    python benchmarks/taught_attributes.py TABLE [--third 0] [--teacher-weights FILE] [--student-weights FILE]
        [--epochs N] [--temperature T] [--out results.json]

A third of the training photos keeps its labels; the others are photos without any. The teacher, of width 1 and 128
pixels unless its weights say otherwise, and a student of 0.25-128 learn from that third; another student learns from
the teacher, on all photos, without weight decay, as in the paper (section 4.6). All are measured by mean average
precision on the validation photos of TABLE.
"""

import argparse
import csv
import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from mobilenet.datasets import Dataset
from mobilenet.datasets.photos import Photos
from mobilenet.files import atomic_write
from mobilenet.images.augment import random_uniform
from mobilenet.tasks import open_dataset
from mobilenet.training.run import train
from mobilenet.training.settings import TrainingSettings
from mobilenet.training.teacher.settings import Teaching

Figures = dict[str, float]


def thirds(dataset: Dataset, seed: int, folder: Path) -> tuple[Path, Path]:
    """A table of a third of the training photos and of all validation photos, and a folder of links to the others."""
    rank = random_uniform(seed, 12, np.arange(len(dataset.train)), 1)[:, 0].argsort()
    count = len(rank) // 3
    labelled, others = np.sort(rank[:count]), np.sort(rank[count:])
    table, pool = folder / "third.csv", folder / "pool"
    pool.mkdir()
    for index in others.tolist():
        path = dataset.train.path(index)
        (pool / f"{index}{path.suffix}").symlink_to(path.resolve())
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "split", *dataset.classes])
        for split, photos in (("train", dataset.train.take(labelled)), ("validation", dataset.validation)):
            writer.writerows([str(path), split, *said] for path, said in _rows(photos))
    return table, pool


def _rows(photos: Photos) -> Iterator[tuple[Path, list[str]]]:
    present, absent = photos.targets.present(), photos.targets.absent()  # type: ignore[attr-defined]
    for index in range(len(photos)):
        said = ["1" if has else "0" if lacks else "" for has, lacks in zip(present[index], absent[index], strict=True)]
        yield photos.path(index).resolve(), said


def measure(table: Path, pool: Path, settings: dict[str, TrainingSettings], temperature: float, out: Path) -> Figures:
    """Mean AP (0…1) of the teacher, of the student with labels alone, and of the taught one; `settings` are those of
    `teacher` and `student`, runs are in the folder `out`."""
    teacher, student = (replace(settings[name], data=table) for name in ("teacher", "student"))
    teaching = Teaching(out / "teacher", unlabelled=(pool,), temperature=temperature)
    runs = {
        "teacher": teacher,
        "labels alone": student,
        "taught": replace(student, teacher=teaching, weight_decay=0.0),
    }
    found = {}
    for name, run in runs.items():
        found[name] = float(train(run, out / name).evaluation.figures["mean_ap"])
        print(f"{name:13s} {found[name]:6.1%}", flush=True)
    return found


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--third", type=int, default=0, help="seed of the draw")
    parser.add_argument("--teacher-weights")
    parser.add_argument("--student-weights")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    sizes = {"teacher": (options.teacher_weights, 1.0), "student": (options.student_weights, 0.25)}
    settings = {
        name: TrainingSettings(
            options.data,
            weights=weights,
            width_multiplier=None if weights else width,
            resolution=None if weights else 128,
            epochs=options.epochs,
        )
        for name, (weights, width) in sizes.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        table, pool = thirds(open_dataset(options.data, "attributes"), options.third, Path(folder))
        found = measure(table, pool, settings, options.temperature, Path(folder))
    if options.out is not None:
        with atomic_write(options.out) as file:
            file.write(json.dumps(found).encode())


if __name__ == "__main__":
    main()
