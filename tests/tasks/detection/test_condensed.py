"""Of a detector's outputs only the boxes are kept, and say all that the outputs say."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.tasks.detection.detector import card_of

from mobilenet.evaluate import evaluate
from mobilenet.images import Preprocessing
from mobilenet.model.outputs import Outputs
from mobilenet.model.suppression import suppressed_outputs
from mobilenet.tasks.detection import found
from mobilenet.tasks.detection.targets import BoxTargets
from mobilenet.tasks.detection.task import Detection

_TASK, _CARD, _PHOTOS = Detection(), card_of(128), 7
_SHAPES = {output.name: output.shape for output in _CARD.outputs}


def _drawn(seed: int) -> dict[str, NDArray[np.float32]]:
    """Codes near their priors, and scores of which a few are high."""
    random = np.random.default_rng(seed)
    codes = random.normal(0, 0.5, (_PHOTOS, *_SHAPES["boxes"])).astype(np.float32)
    return {"boxes": codes, "scores": random.beta(0.2, 4, (_PHOTOS, *_SHAPES["scores"])).astype(np.float32)}


def _targets(outputs: Outputs) -> BoxTargets:
    """The two surest boxes of each photo are labelled."""
    best = _TASK.condensed(outputs, _CARD)
    return BoxTargets(
        np.clip(best["detection_boxes"][:, :2], 0, 1).reshape(-1, 4),
        best["detection_classes"][:, :2].ravel().astype(np.int64),
        np.zeros(2 * _PHOTOS, np.bool_),
        np.full((_PHOTOS, 2), 200),
        np.arange(0, 2 * _PHOTOS + 1, 2),
    )


def test_boxes_have_the_figures_the_mistakes_and_the_agreement_of_outputs() -> None:
    ours, theirs = _drawn(0), _drawn(1)
    theirs["boxes"][:4], theirs["scores"][:4] = ours["boxes"][:4], ours["scores"][:4]
    targets, short = _targets(ours), _TASK.condensed(ours, _CARD)
    assert {name: values.shape for name, values in short.items()} == {
        output.name: (_PHOTOS, *output.shape) for output in suppressed_outputs(100)
    }
    assert _TASK.condensed(short, _CARD) is short
    whole, kept = _TASK.judge(ours, targets, _CARD), _TASK.judge(short, targets, _CARD)
    assert 0.2 < whole.figures["ap"] <= 1
    assert json.dumps(whole.figures) == json.dumps(kept.figures)
    assert whole.mistakes() == kept.mistakes() != []
    agreement = _TASK.agreement(short, _TASK.condensed(theirs, _CARD), _CARD)
    assert 0 < agreement == _TASK.agreement(ours, theirs, _CARD) < 1
    fitted = _TASK.temperatures({}, short, targets, _CARD).decoding["threshold"]
    assert fitted == pytest.approx(whole.figures["threshold"], abs=1e-6)


class _Drawn:
    """Answers with the outputs of the photo whose number is in the first pixel."""

    card, labels, task, preprocessing = _CARD, _CARD.labels, "detection", Preprocessing(128)

    def predict(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        return {name: values[images[:, 0, 0, 0]] for name, values in _drawn(0).items()}


def test_an_evaluation_suppresses_once_and_a_batch_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = []

    def counted(outputs: Outputs, how: found.Suppression) -> dict[str, NDArray[np.float32]]:
        batches.append(len(outputs["scores"]))
        return suppress(outputs, how)

    suppress = found.suppress
    images = np.zeros((_PHOTOS, 1, 1, 3), np.uint8)
    images[:, 0, 0, 0] = np.arange(_PHOTOS)
    targets, files = _targets(_drawn(0)), [f"{number}.jpg" for number in range(_PHOTOS)]
    monkeypatch.setattr(found, "suppress", counted)
    evaluation = evaluate(_Drawn(), _TASK, images, targets, files, batch_size=3)
    assert [size for size in batches if size] == [3, 3, 1]
    assert json.dumps(evaluation.figures) == json.dumps(_TASK.judge(_drawn(0), targets, _CARD).figures)
