"""A trained network's confidence made true on photos that it was not trained on; then it is evaluated as it will be
saved."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from mobilenet.datasets.cache.load import CachedPhotos
from mobilenet.evaluate import Evaluation, evaluation_of
from mobilenet.model.card import ModelCard
from mobilenet.model.outputs import Output, Outputs
from mobilenet.model.tempered import tempered
from mobilenet.nn.endings import ended
from mobilenet.nn.model_file import arrays_of, network_of_arrays
from mobilenet.runtimes.batches import predict_batches
from mobilenet.runtimes.predictor import Predictor
from mobilenet.runtimes.torch import RawPredictor, TorchPredictor
from mobilenet.tasks.task import Figures, Task

__all__ = ["Finished", "finish"]

_PHOTOS_AT_ONCE = 64


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """The network and its card, its evaluation on the photos, what the user should know of it, if anything, and whether
    anything was fitted."""

    network: nn.Module
    card: ModelCard
    evaluation: Evaluation
    note: str = ""
    fitted: bool = True


def finish(
    network: nn.Module,
    card: ModelCard,
    task: Task,
    photos: CachedPhotos,
    name: Path,
    device: torch.device | None = None,
) -> Finished:
    """Divide the network's raw values by the temperatures that its task fits to `photos`, keep what else it fits in the
    card, and evaluate the network on them; errors call it `name`.

    The network itself stays as it is: a resumed run finishes again. A temperature that changes a prediction, which
    rounding can, is not applied.
    """
    raw, before = _raw_and_ended(RawPredictor(network, card, device), task, photos)
    fitted = task.temperatures(raw, before, photos.targets, card)
    given = card
    if fitted.decoding:
        card = replace(card, decoding={**card.decoding, **fitted.decoding})
    if not fitted.by_output:
        evaluation = _evaluation(task, card, photos, before, fitted.figures)
        return Finished(network, card, evaluation, fitted=bool(fitted.decoding))
    warm_card, arrays = tempered(card, arrays_of(network), fitted.by_output)
    warm = network_of_arrays(warm_card, arrays, name)
    after = _predicted(TorchPredictor(warm, warm_card, device), photos, lambda some: task.condensed(some, warm_card))
    # What is fitted anew fits the outputs at the new temperature alone.
    others = {name: value for name, value in card.decoding.items() if name not in fitted.decoding}
    if task.agreement(before, after, replace(card, decoding=others)) == 1:
        return Finished(warm, warm_card, _evaluation(task, warm_card, photos, after, fitted.figures))
    note = f"temperatures {dict(fitted.by_output)} were not applied: rounding would change a prediction"
    return Finished(network, given, _evaluation(task, given, photos, before, {}), note, fitted=False)


def _predicted(predictor: Predictor, photos: CachedPhotos, condense: Callable[[Outputs], Outputs]) -> Outputs:
    return predict_batches(predictor, photos, batch_size=_PHOTOS_AT_ONCE, condense=condense)


def _raw_and_ended(predictor: RawPredictor, task: Task, photos: CachedPhotos) -> tuple[Outputs, Outputs]:
    """The raw values that temperatures are fitted to, and what the task needs of all outputs after their endings."""
    card, raw = predictor.card, {name: f"raw {name}" for name in task.raw_outputs}

    def condense(some: Outputs) -> Outputs:
        kept = task.condensed(_ended(some, card.outputs), card)
        return {**{key: some[name] for name, key in raw.items()}, **kept}

    found = dict(_predicted(predictor, photos, condense))
    return {name: found.pop(key) for name, key in raw.items()}, found


def _ended(raw: Outputs, outputs: tuple[Output, ...]) -> Outputs:
    return {output.name: ended(torch.from_numpy(raw[output.name]), output.ending).numpy() for output in outputs}


def _evaluation(task: Task, card: ModelCard, photos: CachedPhotos, outputs: Outputs, figures: Figures) -> Evaluation:
    found = evaluation_of(
        outputs, task, card, photos.targets, photos.files, root=photos.photos.root, left_out=photos.left_out
    )
    return replace(found, figures={**found.figures, **figures})
