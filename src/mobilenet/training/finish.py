"""The network of a run that is complete: its confidence made true, then evaluated as it will be saved."""

from dataclasses import dataclass, replace

import torch
from torch import nn

from mobilenet.evaluate import Evaluation, evaluation_of
from mobilenet.model.card import ModelCard
from mobilenet.model.outputs import Output, Outputs
from mobilenet.model.tempered import tempered
from mobilenet.nn.endings import ended
from mobilenet.nn.model_file import arrays_of, network_of_arrays
from mobilenet.runtimes.batches import predict_batches
from mobilenet.runtimes.predictor import Predictor
from mobilenet.runtimes.torch import RawPredictor, TorchPredictor
from mobilenet.tasks.task import Figures
from mobilenet.training.job import Job

__all__ = ["Finished", "finish"]

_PHOTOS_AT_ONCE = 64


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """What a run comes to: the network, its card without provenance, its evaluation on the validation photos, and what
    the user should know of it, if anything."""

    network: nn.Module
    card: ModelCard
    evaluation: Evaluation
    note: str = ""


def finish(job: Job, network: nn.Module) -> Finished:
    """Divide the network's raw values by the temperatures that its task fits to the validation photos, keep what else
    it fits in the card, and evaluate the network.

    The network itself stays as it is: a resumed run finishes again. A temperature that changes a prediction, which
    rounding can, is not applied.
    """
    card, task, targets = job.card, job.task, job.validation.targets
    raw = _predicted(job, RawPredictor(network, card, job.device))
    before = _ended(raw, card.outputs)
    fitted = task.temperatures(raw, targets, card)
    if fitted.decoding:
        card = replace(card, decoding={**card.decoding, **fitted.decoding})
    if not fitted.by_output:
        return Finished(network, card, _evaluation(job, card, before, fitted.figures))
    warm_card, arrays = tempered(card, arrays_of(network), fitted.by_output)
    warm = network_of_arrays(warm_card, arrays, job.folder)
    after = _predicted(job, TorchPredictor(warm, warm_card, job.device))
    # What is fitted anew fits the outputs at the new temperature alone.
    others = {name: value for name, value in card.decoding.items() if name not in fitted.decoding}
    unfitted = replace(card, decoding=others)
    if task.agreement(before, after, unfitted) == 1:
        return Finished(warm, warm_card, _evaluation(job, warm_card, after, fitted.figures))
    note = f"temperatures {dict(fitted.by_output)} were not applied: rounding would change a prediction"
    return Finished(network, unfitted, _evaluation(job, unfitted, before, {}), note)


def _predicted(job: Job, predictor: Predictor) -> Outputs:
    return predict_batches(predictor, job.validation, batch_size=_PHOTOS_AT_ONCE)


def _ended(raw: Outputs, outputs: tuple[Output, ...]) -> Outputs:
    return {output.name: ended(torch.from_numpy(raw[output.name]), output.ending).numpy() for output in outputs}


def _evaluation(job: Job, card: ModelCard, outputs: Outputs, figures: Figures) -> Evaluation:
    photos = job.validation
    found = evaluation_of(
        outputs, job.task, card, photos.targets, photos.files, root=photos.photos.root, left_out=photos.left_out
    )
    return replace(found, figures={**found.figures, **figures})
