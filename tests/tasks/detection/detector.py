"""The card of a small detector."""

from mobilenet.images import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.spec import mobilenet_v1
from mobilenet.tasks.detection.task import Detection


def card_of(resolution: int = 300, width: float = 0.25, names: tuple[str, ...] = ("cat", "dog")) -> ModelCard:
    task, vocabulary = Detection(), Vocabulary(names)
    body = mobilenet_v1(width, resolution, 0)
    return ModelCard(
        body.name, width, resolution, names, Preprocessing(resolution), task=task.name,
        head=task.head(body, vocabulary), decoding=dict(task.decoding(body, vocabulary)),
    )  # fmt: skip
