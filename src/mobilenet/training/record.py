"""How a run was made: config.json, and the part of it that goes into the model file."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from mobilenet.datasets.cache.load import CachedPhotos
from mobilenet.datasets.dataset import Dataset
from mobilenet.datasets.remote.urls import full_name, whole_path
from mobilenet.model.card import ModelCard
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.runs.split import photo_lines
from mobilenet.spec.cost import cost
from mobilenet.tasks.task import Task
from mobilenet.training.recipe import Plan
from mobilenet.training.settings import TrainingSettings
from mobilenet.training.system.machine import describe_machine, versions
from mobilenet.training.teacher import settings as teacher_settings

__all__ = ["card_of", "describe", "portable"]


_OF_THIS_MACHINE = frozenset({"data", "validation", "exclude", "task", "track"})
"""Settings that mean nothing to a recipient of the model file, or that its card has already."""


def card_of(settings: TrainingSettings, task: Task, vocabulary: Vocabulary) -> ModelCard:
    """The card of the network that `settings` train, without its provenance."""
    body = settings.body()
    return ModelCard(
        body.name,
        body.width_multiplier,
        body.resolution,
        vocabulary.names,
        settings.preprocessing,
        settings.style,
        task=task.name,
        head=task.head(body, vocabulary),
        decoding=dict(task.decoding(body, vocabulary)),
    )


def describe(
    settings: TrainingSettings,
    plan: Plan,
    dataset: Dataset,
    task: Task,
    card: ModelCard,
    photos: tuple[CachedPhotos, CachedPhotos],
    command: Sequence[str],
    device: torch.device,
    dtype: torch.dtype,
) -> dict[str, Any]:
    """Everything that determines the run, for config.json: settings, data, machine, versions, cost."""
    training, validation = photos
    network = card.network()
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
            "root": full_name(dataset.root),
            "classes": list(dataset.vocabulary.names),
            "noun": task.vocabulary_noun,
            "train_photos": len(training),
            "validation_photos": len(validation),
            "split": dataset.split,
            "hash": _data_hash(photos, dataset.vocabulary),
            "left_out": [asdict(photo) for part in photos for photo in part.left_out],
        },
        "loss_range": _loss_range(settings, task, training, card),
        "cost": cost(network).to_json(),
    }


def _loss_range(settings: TrainingSettings, task: Task, training: CachedPhotos, card: ModelCard) -> dict[str, float]:
    if settings.teacher is not None:
        # How far outputs can be from those of a teacher is not known.
        return {}
    found = task.loss_range(training.targets, card.vocabulary, settings)
    return {} if found is None else {"chance": found[0], "perfect": found[1]}


def _from_anywhere(settings: TrainingSettings) -> TrainingSettings:
    """The settings with absolute paths, so that `resume` works in any working directory."""
    validation = None if settings.validation is None else whole_path(settings.validation)
    weights = settings.weights
    if weights is not None and Path(weights).exists():
        weights = str(Path(weights).absolute())
    exclude = None if settings.exclude is None else settings.exclude.absolute()
    teacher = None if settings.teacher is None else settings.teacher.from_anywhere()
    return replace(
        settings,
        data=whole_path(settings.data),
        validation=validation,
        exclude=exclude,
        weights=weights,
        teacher=teacher,
    )


def portable(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration without the paths of this machine, for a file that is shared."""
    settings = {key: value for key, value in config["settings"].items() if key not in _OF_THIS_MACHINE}
    if settings["weights"] is not None:
        settings["weights"] = settings["weights"].rpartition("/")[2]
    data = {key: value for key, value in config["data"].items() if key not in {"root", "left_out", "classes", "noun"}}
    if config["settings"]["validation"] is not None:
        data["split"] = "given"
    document = {
        **{key: config[key] for key in ("plan", "precision", "versions", "machine")},
        "settings": settings,
        "data": data,
    }
    if teacher := config.get("teacher"):
        document["settings"]["teacher"] = {
            key: value for key, value in settings["teacher"].items() if key not in teacher_settings.FREE
        }
        document["teacher"] = {**teacher, "name": Path(teacher["name"]).name}
    return document


def _data_hash(photos: tuple[CachedPhotos, CachedPhotos], vocabulary: Vocabulary) -> str:
    """Hash of all that training sees, in order: changes if a photo is added, removed, renamed or altered by one bit."""
    digest = hashlib.blake2b(json.dumps(list(vocabulary.names)).encode(), digest_size=16)
    for line in photo_lines(photos, vocabulary):
        digest.update(line.encode())
    return digest.hexdigest()
