"""A network that starts from existing weights: what is kept of them, and what is new."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mobilenet.datasets.targets import labelled_part
from mobilenet.errors import ConfigError
from mobilenet.images.augment import random_uniform
from mobilenet.model.card import ModelCard
from mobilenet.nn.layers import BatchNorm, ConvUnit
from mobilenet.nn.model_file import build_network, network_of_arrays
from mobilenet.nn.network import TableNetwork, place
from mobilenet.spec.rows import Conv, Row
from mobilenet.training.job import Job
from mobilenet.training.loop import Stopwatch, Trainer
from mobilenet.training.settings import TrainingSettings
from mobilenet.training.start.norms import measure_norms, restate_norms
from mobilenet.weights.open import open_weights
from mobilenet.weights.thin import thinned

__all__ = ["Source", "adopt", "begin", "open_source", "start", "thinner", "with_norms"]

_MOST_FOR_NORMS = 512
_MOST_FOR_HEAD = 50_000
"""The most photos to use; a random sample if there are more."""


@dataclass(frozen=True, slots=True)
class Source:
    """Weights to start from, as in their file, and notes on how it was read."""

    network: TableNetwork
    card: ModelCard
    notes: tuple[str, ...] = ()


def open_source(weights: str) -> Source:
    """Read a run folder, a model of this tool, or anything that `mobilenet import` reads; ModelError."""
    found = open_weights(weights)
    return Source(network_of_arrays(found.card, found.arrays, found.file), found.card, found.notes)


def adopt(settings: TrainingSettings, card: ModelCard) -> TrainingSettings:
    """The settings with the network and the normalisation of the weights; ConfigError if they ask for another one.

    Another resolution is allowed, since convolutions take any, and so is a smaller width: channels are dropped.
    """
    if settings.architecture not in (None, card.architecture):
        held = f"that of {settings.weights}: {card.architecture}"
        raise ConfigError(f"--arch {settings.architecture} is not {held}; omit it")
    width = card.width_multiplier if settings.width_multiplier is None else settings.width_multiplier
    if width > card.width_multiplier:
        raise ConfigError(
            f"--width {width} exceeds that of {settings.weights}: {card.width_multiplier}; use that or less"
        )
    return replace(
        settings,
        architecture=card.architecture,
        width_multiplier=width,
        resolution=settings.resolution or card.resolution,
        style=replace(card.style, batch_norm=True),
        mean=card.preprocessing.mean,
        std=card.preprocessing.std,
        inherited={} if card.head is None else {"task": card.task, "decoding": card.decoding},
    )


def start(
    source: Source,
    job: Job,
    trainer: Trainer,
    watch: Stopwatch,
    progress: Callable[[int, int], None],
) -> None:
    """Make the trainer's network ready: the body of `source`, norms that fit the photos, what the task keeps of its
    head, and a head fitted to the features that the body gives of photos with labels, where the task has one that can
    be.
    """
    began = time.perf_counter()
    network = trainer.network.eval()
    photos = _shuffled(trainer)

    def some() -> Iterator[Tensor]:
        # A single photo has no variance in a plane of one pixel.
        return (inputs for inputs, _ in trainer.whole_photos(photos[:_MOST_FOR_NORMS]) if len(inputs) > 1)

    with watch.part("norms"):
        wide = with_norms(source, some, trainer.device)
        thin = thinner(wide, network.spec.width_multiplier, some, trainer.device)
        begin(thin.network, network)
        _set_head(network, _kept_head(thin, network, job))
    labelled = photos[labelled_part(trainer.photos.targets)[1][photos] >= 0]
    if len(labelled) and trainer.objective.fits_head:
        with watch.part("features"):
            features, targets = _features(trainer, network, labelled, progress)
        with watch.part("head"):
            _set_head(network, trainer.objective.fit_head(features, targets, trainer.settings.seed))
    trainer.average.restart()
    trainer.elapsed_s += time.perf_counter() - began


def _kept_head(source: Source, network: TableNetwork, job: Job) -> dict[str, Tensor]:
    theirs, ours = (
        {name: values.detach().cpu().numpy() for name, values in each.state_dict().items()}
        for each in (source.network, network)
    )
    kept = job.task.kept_head(source.card, theirs, job.card, ours) if source.card.task == job.task.name else {}
    return {name: torch.from_numpy(values) for name, values in kept.items()}


def _shuffled(trainer: Trainer) -> NDArray[np.int64]:
    return np.argsort(random_uniform(trainer.settings.seed, 0, np.arange(len(trainer.photos)), 1)[:, 0])


def _set_head(network: TableNetwork, state: Mapping[str, Tensor] | None) -> None:
    own = network.state_dict()
    for name, values in (state or {}).items():
        own[name].copy_(values)


def _features(
    trainer: Trainer, network: TableNetwork, shuffled: NDArray[np.int64], progress: Callable[[int, int], None]
) -> tuple[Tensor, dict[str, Tensor]]:
    photos = np.sort(shuffled[:_MOST_FOR_HEAD])
    features: list[Tensor] = []
    targets: dict[str, list[Tensor]] = {}
    done = 0
    with torch.inference_mode():
        for inputs, arrays in trainer.whole_photos(photos):
            features.append(network.features(inputs))
            for name, values in arrays.items():
                targets.setdefault(name, []).append(values)
            done += len(inputs)
            progress(done, len(photos))
    return torch.cat(features).clone(), {name: torch.cat(values) for name, values in targets.items()}


def with_norms(source: Source, batches: Callable[[], Iterable[Tensor]], device: torch.device) -> Source:
    """The same function with a norm after every convolution, fitted to `batches` of network input (B, 3, R, R)."""
    if source.card.style.batch_norm:
        return source
    head = source.card.head and replace(source.card.head, rows=tuple(map(_normed, source.card.head.rows)))
    card = replace(source.card, style=replace(source.card.style, batch_norm=True), head=head)
    network = TableNetwork(card.network(), card.outputs).eval()
    place(network, device)
    begin(source.network, network)
    _begin_head(source.network, network)
    restate_norms(network, batches())
    return replace(source, network=network, card=card)


def thinner(
    source: Source, width_multiplier: float, batches: Callable[[], Iterable[Tensor]], device: torch.device
) -> Source:
    """`source` with its most important channels (`weights.thin`), and without its head if that is of a task.

    A sum of fewer terms has another mean and variance. Norms are measured again on `batches` of network input
    (B, 3, R, R) to make up for that: every remaining channel keeps the mean and variance of the wide network.
    """
    if width_multiplier == source.card.width_multiplier:
        return source
    arrays = {name: values.detach().cpu().numpy() for name, values in source.network.state_dict().items()}
    whole = source.card
    bare = whole if whole.head is None else replace(whole, head=None, labels=(), decoding={}, temperatures={})
    card, made = thinned(bare, arrays, width_multiplier)
    tensors = {name: torch.from_numpy(values) for name, values in made.items()}
    network = build_network(card, tensors, Path(source.card.architecture))
    place(network, device)
    measure_norms(network, batches())
    return replace(source, network=network, card=card)


def begin(source: TableNetwork, target: TableNetwork) -> None:
    """Copy the body of `source` to `target`, whose head stays unchanged; ConfigError for another architecture or width.

    Norms that were folded away come back as norms that only add the folded bias; `restate_norms` makes them fit for
    training.
    """
    with torch.no_grad():
        for name, unit in _units(target.body()):
            old = source.get_submodule(name)
            if not isinstance(old, ConvUnit):
                raise ConfigError(f"the weights have no row {name}: they are for another architecture")
            _take(unit, old)


def _normed(row: Row) -> Row:
    """A convolution that had a norm, as those before an activation have; other rows as they are."""
    if isinstance(row, Conv) and not row.batch_norm and row.activation != "none":
        return replace(row, batch_norm=True, bias=False)
    return row


def _begin_head(source: TableNetwork, target: TableNetwork) -> None:
    """Copy the rows after the body, which both networks have."""
    body = {name for name, _ in target.body()}
    with torch.no_grad():
        for row in target.spec.rows:
            unit, old = target.get_submodule(row.name), source.get_submodule(row.name)
            if row.name in body:
                continue
            if isinstance(unit, ConvUnit) and isinstance(old, ConvUnit):
                _take(unit, old)
            else:
                unit.load_state_dict(old.state_dict())


def _units(rows: Iterable[tuple[str, nn.Module]]) -> list[tuple[str, ConvUnit]]:
    return [(name, module) for name, module in rows if isinstance(module, ConvUnit)]


def _take(unit: ConvUnit, old: ConvUnit) -> None:
    unit.conv.weight.copy_(old.conv.weight)
    if unit.conv.bias is not None and old.conv.bias is not None:
        unit.conv.bias.copy_(old.conv.bias)
    if isinstance(old.norm, BatchNorm):
        unit.norm.load_state_dict(old.norm.state_dict())
    elif isinstance(unit.norm, BatchNorm):
        unit.norm.running_var.fill_(1 - unit.norm.epsilon)
        if old.conv.bias is not None:
            unit.norm.bias.copy_(old.conv.bias)
