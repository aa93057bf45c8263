"""Detection through the commands: trained, measured, resumed, shown, gone on from."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobilenet.model.arrays import read_arrays
from mobilenet.tasks.detection.head import decoding_of, head_of, kept_head
from mobilenet.training.run import resume, train
from mobilenet.training.settings import TrainingSettings
from mobilenet.training.tracking.listener import Silence

Run = Callable[..., str]

_QUICK: dict[str, Any] = {
    "width_multiplier": 0.25,
    "resolution": 96,
    "batch_size": 8,
    "epochs": 30,
    "device": "cpu",
    "precision": "float32",
    "task": "detection",
}


@pytest.fixture(scope="module")
def run(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    # The focal loss falls as the detector learns; hard negatives are always those that are still hard.
    train(TrainingSettings(squares, **_QUICK, task_options=(("score_loss", "focal"),)), folder)
    return folder


def test_a_detector_learns_and_is_measured(squares: Path, run: Path, mobilenet: Run) -> None:
    found = json.loads(mobilenet("evaluate", run, squares, "--json"))
    own = json.loads((run / "evaluation.json").read_text())
    assert found["task"] == own["task"] == "detection"
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["train_loss"] < 0.7 * lines[0]["train_loss"]
    assert lines[-1]["ap50"] > 0.02
    assert own["ap"] == pytest.approx(lines[-1]["ap"])
    assert own["loss"] == pytest.approx(1 - own["ap"])


def test_predictions_are_in_pixels_and_can_be_saved(squares: Path, run: Path, mobilenet: Run, tmp_path: Path) -> None:
    photos = [squares / "00.png", squares / "01.png"]
    found = mobilenet(
        "predict", run, *photos, "--json", "--min-confidence", "0.01", "--save", f"coco={tmp_path}/c.json"
    )
    answers = [json.loads(line) for line in found.splitlines()]
    answers = answers[0] if isinstance(answers[0], list) else answers
    boxes = [box for answer in answers for box in answer["boxes"]]
    assert boxes
    assert all(0 <= box["top"] < box["bottom"] <= 64 and 0 <= box["left"] < box["right"] <= 64 for box in boxes)
    saved = json.loads((tmp_path / "c.json").read_text())
    assert len(saved["annotations"]) == len(boxes)


def test_files_have_boxes_inside_or_raw_outputs(squares: Path, run: Path, mobilenet: Run, tmp_path: Path) -> None:
    exporting = "export", run, "--out", tmp_path, "--precision", "float32", "--json"
    found = json.loads(mobilenet(*exporting)), json.loads(mobilenet(*exporting, "--raw", "--format", "onnx"))
    files = [Path(proof["file"]) for one in found for proof in one["files"]]
    assert [file.name for file in files] == ["run-float32.onnx", "run-float32.tflite", "run-raw-float32.onnx"]
    for one in found:
        assert one["passed"]
        assert {proof["agreement"] for proof in one["files"]} == {1}
        assert all(proof["accuracy"] == pytest.approx(proof["network_accuracy"]) for proof in one["files"])
    answers = [
        json.loads(mobilenet("predict", model, squares / "01.png", "--json", "--min-confidence", "0.05"))[0]["boxes"]
        for model in (run, *files)
    ]
    assert answers[0]
    first, *others = (sorted(boxes, key=_place) for boxes in answers)
    for boxes in others:
        assert [box["label"] for box in boxes] == [box["label"] for box in first]
        for key in ("score", "top", "left", "bottom", "right"):
            assert [box[key] for box in boxes] == pytest.approx([box[key] for box in first], abs=0.02)


def test_a_run_that_is_resumed_ends_with_the_same_weights(squares: Path, tmp_path: Path) -> None:
    settings = TrainingSettings(squares, **{**_QUICK, "epochs": 2})

    class Stopping(Silence):
        def epoch(self, line: dict[str, Any], /) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path / "stopped", listener=Stopping())
    resume(tmp_path / "stopped")
    train(settings, tmp_path / "whole")
    one, other = (read_arrays(tmp_path / name / "model.safetensors")[1] for name in ("stopped", "whole"))
    assert all(np.array_equal(one[name], other[name]) for name in other)


def test_another_training_goes_on_from_the_whole_detector(squares: Path, run: Path, tmp_path: Path) -> None:
    """Also from the head: after an epoch without learning, most of what was found before is found again."""
    still = replace(TrainingSettings(squares, **_QUICK), weights=str(run), epochs=1, learning_rate=1e-9)
    again = train(still, tmp_path / "again").evaluation
    before = json.loads((run / "evaluation.json").read_text())
    assert again.figures["ap50"] > before["ap50"] / 2


def test_scores_go_on_by_the_names_of_classes(run: Path) -> None:
    card, arrays = read_arrays(run / "model.safetensors")
    renamed = replace(card, labels=("new", card.labels[2], card.labels[0]))
    ours = {name: np.zeros_like(values) for name, values in arrays.items()}
    kept = kept_head(card, arrays, renamed, ours)
    name = "scores1.prediction.conv.weight"
    theirs = arrays[name].reshape(3, 3, -1)
    made = kept[name].reshape(3, 3, -1)
    np.testing.assert_array_equal(made[:, 1], theirs[:, 2])
    np.testing.assert_array_equal(made[:, 2], theirs[:, 0])
    assert not made[:, 0].any()


def test_other_priors_predict_the_boxes_of_the_ones_most_like_them(run: Path) -> None:
    """A prediction from features is decoded by hand, from their priors and from ours."""
    card, arrays = read_arrays(run / "model.safetensors")
    priors = [[[0.9 * height, 1.2 * width] for height, width in each] for each in card.decoding["priors"]]
    priors[1] = [priors[1][2], priors[1][0]]
    other = {**card.decoding, "priors": priors, "box_scales": [5.0, 20.0, 5.0, 4.0]}
    ours = replace(card, decoding=other, head=head_of(card.body(), 3, other))
    empty = {name: np.zeros_like(values) for name, values in arrays.items()}
    for kind, values in (("boxes", 4), ("scores", 3)):
        for part in ("weight", "bias"):
            name = f"{kind}2.prediction.conv.{part}"
            empty[name] = empty[name][: 2 * values]
    kept = kept_head(card, arrays, ours, empty)
    for plane, source in ((1, [0, 1, 2]), (2, [2, 0])):
        theirs = _boxes(arrays, card.decoding, plane)
        made = _boxes(kept, other, plane)
        np.testing.assert_allclose(made, theirs[source], rtol=1e-4)
        name = f"scores{plane}.prediction.conv.weight"
        shape = arrays[name].shape[1:]
        np.testing.assert_array_equal(kept[name].reshape(-1, 3, *shape), arrays[name].reshape(-1, 3, *shape)[source])


def test_a_detector_with_a_finer_plane_goes_on_from_one_without(run: Path) -> None:
    card, arrays = read_arrays(run / "model.safetensors")
    decoding = decoding_of(card.body(), card.decoding, None, "fine")
    finer = replace(card, decoding=decoding, head=head_of(card.body(), 3, decoding))
    kept = kept_head(card, arrays, finer, arrays)
    assert kept.keys() == {name for name in arrays if name.startswith(("added", "boxes", "scores"))}
    for name in kept:
        np.testing.assert_array_equal(kept[name], arrays[name])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--resolution", "100"), "resolution 100 is not a multiple of 32; use 96 or 128"),
        (("--task-option", "ssd=heavy"), "unknown ssd 'heavy'; use one of lite, plain"),
        (("--training-resolution", "64"), "--training-resolution 64 does not fit a head that looks at positions"),
        (("--arch", "mobilenet_v1_shallow"), "has no row block11.pointwise, on which boxes are predicted"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(squares: Path, mobilenet: Run, words: tuple[str, ...], said: str) -> None:
    error = mobilenet("train", squares, "--out", squares / "none", *words, exit_code=2, stderr=True)
    assert said in error
    assert len(error.strip().splitlines()) <= 2


def _boxes(arrays: dict[str, Any], decoding: dict[str, Any], plane: int) -> Any:
    """Distances of the centre and sides of the box that each prior of a plane predicts from some features."""
    weights, biases = (arrays[f"boxes{plane}.prediction.conv.{part}"] for part in ("weight", "bias"))
    features = np.random.default_rng(0).normal(size=weights.shape[1])
    codes = (np.tensordot(weights[:, :, 0, 0], features, 1) + biases).reshape(-1, 4) / decoding["box_scales"]
    sides = np.array(decoding["priors"][plane - 1])
    return np.concatenate([codes[:, :2] * sides, np.exp(codes[:, 2:]) * sides], axis=1)


def _place(box: dict[str, Any]) -> tuple[Any, ...]:
    """An order that rounding hardly changes: scores that are nearly equal may change places."""
    return box["label"], *(round(box[key]) for key in ("top", "left", "bottom", "right")), box["score"]
