"""What a run folder says about how it was made: config.json, and the part of it that travels in the model file."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from mobilenet.cost import cost
from mobilenet.datasets import Dataset, Photos
from mobilenet.datasets.cache import CachedPhotos
from mobilenet.files import atomic_write
from mobilenet.training.machine import describe_machine, versions
from mobilenet.training.plan import Plan
from mobilenet.training.settings import TrainingSettings

__all__ = ["describe", "portable", "write_json"]


def describe(
    settings: TrainingSettings,
    plan: Plan,
    dataset: Dataset,
    photos: tuple[CachedPhotos, CachedPhotos],
    command: Sequence[str],
    device: torch.device,
    dtype: torch.dtype,
) -> dict[str, Any]:
    """Everything that decided the run, for config.json: settings, data, machine, versions, cost."""
    training, validation = photos
    network = settings.network(len(dataset.classes))
    return {
        "command": list(command) or ["mobilenet", "train", str(settings.data)],
        "settings": _from_anywhere(settings).to_json(),
        "network": {
            "architecture": network.name,
            "width_multiplier": network.width_multiplier,
            "resolution": network.resolution,
        },
        "plan": {**asdict(plan), "epochs": None if math.isinf(plan.epochs) else plan.epochs},
        "precision": str(dtype).removeprefix("torch."),
        "versions": versions(),
        "machine": describe_machine(device),
        "data": {
            "root": str(dataset.root.resolve()),
            "classes": list(dataset.classes),
            "train_photos": len(training),
            "validation_photos": len(validation),
            "split": dataset.split,
            "hash": _data_hash(dataset),
            "left_out": [asdict(photo) for part in photos for photo in part.left_out],
        },
        "cost": cost(network).to_json(),
    }


def _from_anywhere(settings: TrainingSettings) -> TrainingSettings:
    """The settings with whole paths, so that a run goes on from whichever folder `resume` is called in."""
    validation = None if settings.validation is None else settings.validation.absolute()
    weights = settings.weights
    if weights is not None and Path(weights).exists():
        weights = str(Path(weights).absolute())
    exclude = None if settings.exclude is None else settings.exclude.absolute()
    return replace(settings, data=settings.data.absolute(), validation=validation, exclude=exclude, weights=weights)


def portable(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration without the paths of this machine, for a file that is given away."""
    settings = {key: value for key, value in config["settings"].items() if key not in {"data", "validation", "exclude"}}
    if settings["weights"] is not None:
        settings["weights"] = settings["weights"].rpartition("/")[2]
    data = {key: value for key, value in config["data"].items() if key not in {"root", "left_out", "classes"}}
    if config["settings"]["validation"] is not None:
        data["split"] = "given"
    return {
        **{key: config[key] for key in ("plan", "precision", "versions", "machine")},
        "settings": settings,
        "data": data,
    }


def _data_hash(dataset: Dataset) -> str:
    """Of the names, sizes and classes of all photos, in order: changes when a photo is added, removed, moved or
    resized. A link to nothing, which is left out like every photo that cannot be read, has no size.
    """
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps(dataset.classes).encode())
    for photos in (dataset.train, dataset.validation):
        _hash_photos(digest, photos)
    return digest.hexdigest()


def _hash_photos(digest: "hashlib.blake2b", photos: Photos) -> None:
    for index, (file, label) in enumerate(zip(photos.files, photos.labels.tolist(), strict=True)):
        size = _size(photos.path(index))
        digest.update(f"{file}\0{label}\0{size}\n".encode("utf-8", "surrogateescape"))


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write `document` to `path`, whole or not at all; names of files may hold bytes that are no UTF-8."""
    with atomic_write(path) as file:
        file.write(json.dumps(document, indent=1, ensure_ascii=False).encode("utf-8", "surrogateescape"))
