"""A network that starts from other weights: what is kept of them, and what is made new."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mobilenet.arrays import has_card
from mobilenet.card import ModelCard
from mobilenet.errors import ConfigError
from mobilenet.images.augment import random_uniform
from mobilenet.nn.layers import BatchNorm, ConvUnit
from mobilenet.nn.model_file import build_network, read_model
from mobilenet.nn.network import Classifier
from mobilenet.runtimes import model_file
from mobilenet.training.head import fit_head
from mobilenet.training.loop import Stopwatch, Trainer
from mobilenet.training.settings import TrainingSettings

__all__ = ["Source", "adopt", "begin", "open_source", "restate_norms", "start"]

_MOST_FOR_NORMS = 512
_MOST_FOR_HEAD = 50_000
"""Photos that are enough; taken at random where there are more."""


@dataclass(frozen=True, slots=True)
class Source:
    """Weights to start from, as their file has them, and remarks on how it was read."""

    network: Classifier
    card: ModelCard
    notes: tuple[str, ...] = ()


def open_source(weights: str) -> Source:
    """Read a run folder, a model of this tool, or anything that `mobilenet import` reads; ModelError."""
    path = Path(weights)
    if path.is_dir() or has_card(path):
        return Source(*read_model(model_file(path)))
    # Readers of foreign files are needed by those alone who have one.
    from mobilenet.weights.read import import_weights

    imported = import_weights(weights)
    tensors = {name: torch.from_numpy(values) for name, values in imported.tensors.items()}
    return Source(build_network(imported.card, tensors, path), imported.card, imported.notes)


def adopt(settings: TrainingSettings, card: ModelCard) -> TrainingSettings:
    """The settings with the network and the normalisation of the weights; ConfigError where they ask for another one.

    Another resolution is no contradiction: convolutions take any.
    """
    wanted = {"--arch": settings.architecture, "--width": settings.width_multiplier}
    there = {"--arch": card.architecture, "--width": card.width_multiplier}
    for option, value in wanted.items():
        if value is not None and value != there[option]:
            raise ConfigError(f"{option} {value} is not what {settings.weights} holds: {there[option]}; leave it out")
    return replace(
        settings,
        architecture=card.architecture,
        width_multiplier=card.width_multiplier,
        resolution=settings.resolution or card.resolution,
        style=replace(card.style, batch_norm=True),
        mean=card.preprocessing.mean,
        std=card.preprocessing.std,
    )


def start(trainer: Trainer, source: Source, watch: Stopwatch, progress: Callable[[int, int], None]) -> None:
    """Make the trainer's network ready: the body of `source`, norms that fit the photos, and a classifier fitted to
    the features that the body gives of them.
    """
    began = time.perf_counter()
    network = trainer.network.eval()
    begin(source.network, network)
    photos = _shuffled(trainer)
    if not source.card.style.batch_norm:
        with watch.part("norms"):
            restate_norms(network, (inputs for inputs, _ in trainer.whole_photos(photos[:_MOST_FOR_NORMS])))
    with watch.part("features"):
        features, labels = _features(trainer, network, photos, progress)
    with watch.part("head"):
        _fit_classifier(trainer, network, features, labels)
    trainer.average.restart()
    trainer.elapsed_s += time.perf_counter() - began


def _shuffled(trainer: Trainer) -> NDArray[np.int64]:
    return np.argsort(random_uniform(trainer.settings.seed, 0, np.arange(len(trainer.photos)), 1)[:, 0])


def _fit_classifier(trainer: Trainer, network: Classifier, features: Tensor, labels: Tensor) -> None:
    classes, settings = network.spec.classes, trainer.settings
    weights = _class_weights(labels, classes) if settings.class_balanced else None
    _set_classifier(network, *fit_head(features, labels, classes, settings.seed, weights))


def _class_weights(labels: Tensor, classes: int) -> Tensor:
    """Weights that make all classes count the same, and the photos' mean weight 1."""
    return len(labels) / (classes * torch.bincount(labels, minlength=classes).clamp_min(1))


def _set_classifier(network: Classifier, matrix: Tensor, bias: Tensor) -> None:
    classifier = network.get_submodule(network.spec.rows[-1].name)
    classifier.load_state_dict({"weight": matrix, "bias": bias})


def _features(
    trainer: Trainer, network: Classifier, shuffled: NDArray[np.int64], progress: Callable[[int, int], None]
) -> tuple[Tensor, Tensor]:
    photos = np.sort(shuffled[:_MOST_FOR_HEAD])
    features, labels = [], []
    done = 0
    with torch.inference_mode():
        for inputs, numbers in trainer.whole_photos(photos):
            features.append(network.features(inputs))
            labels.append(numbers)
            done += len(numbers)
            progress(done, len(photos))
    return torch.cat(features).clone(), torch.cat(labels)


def begin(source: Classifier, target: Classifier) -> None:
    """Give `target` the body of `source`; both are of one architecture and width, the classifier stays as it is.

    Norms that were folded away come back as norms that change nothing but by the folded bias; `restate_norms` makes
    them fit for training.
    """
    with torch.no_grad():
        for name, unit in _units(target):
            old = source.get_submodule(name)
            if not isinstance(old, ConvUnit):
                raise ConfigError(f"the weights have no row {name}; they are of another architecture")
            _take(unit, old)


def restate_norms(network: Classifier, batches: Iterable[Tensor]) -> None:
    """Give every norm the statistics of its input on `batches` of network input, and change none of its outputs.

    A norm's scale and shift are set so that its output stays what it was: y = x + b becomes
    y = (x - mean) / sqrt(variance + epsilon) · sqrt(variance + epsilon) + (mean + b).
    """
    norms = [unit.norm for _, unit in _units(network) if isinstance(unit.norm, BatchNorm)]
    with _measured(norms) as moments, torch.inference_mode():
        for batch in batches:
            network.features(batch)
    with torch.no_grad():
        for norm, seen in zip(norms, moments, strict=True):
            mean = torch.stack([mean for _, mean in seen]).mean(0)
            variance = torch.stack([variance + (own - mean).square() for variance, own in seen]).mean(0)
            before = norm.weight / torch.sqrt(norm.running_var + norm.epsilon)
            norm.bias.add_(before * (mean - norm.running_mean))
            norm.weight.copy_(before * torch.sqrt(variance + norm.epsilon))
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)


def _units(network: nn.Module) -> list[tuple[str, ConvUnit]]:
    return [(name, module) for name, module in network.named_modules() if isinstance(module, ConvUnit)]


def _take(unit: ConvUnit, old: ConvUnit) -> None:
    unit.conv.weight.copy_(old.conv.weight)
    if isinstance(old.norm, BatchNorm):
        unit.norm.load_state_dict(old.norm.state_dict())
    elif isinstance(unit.norm, BatchNorm):
        unit.norm.running_var.fill_(1 - unit.norm.epsilon)
        if old.conv.bias is not None:
            unit.norm.bias.copy_(old.conv.bias)


@contextmanager
def _measured(norms: list[BatchNorm]) -> Iterator[list[list[tuple[Tensor, Tensor]]]]:
    """While inside, (variance, mean) of the input of each norm, for every batch that passes through it."""
    moments: list[list[tuple[Tensor, Tensor]]] = [[] for _ in norms]
    hooks = [
        norm.register_forward_pre_hook(lambda _, inputs, seen=seen: seen.append(_moments(inputs[0])))
        for norm, seen in zip(norms, moments, strict=True)
    ]
    try:
        yield moments
    finally:
        for hook in hooks:
            hook.remove()


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """By torch's batch norm, whose output is thrown away: ten times as fast as the variance over three dimensions."""
    variance, mean = x.new_ones(x.shape[1], dtype=torch.float32), x.new_zeros(x.shape[1], dtype=torch.float32)
    functional.batch_norm(x, mean, variance, training=True, momentum=1.0)
    count = x.numel() // x.shape[1]
    return variance * ((count - 1) / count), mean
