"""Runs with a teacher: they resume bit for bit, need no labels, and learn what labels do not say."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from safetensors.torch import load_file

from mobilenet.errors import ConfigError, DataError, Interrupted, ModelError
from mobilenet.images.augment import whole_photos
from mobilenet.model.arrays import read_arrays
from mobilenet.runs.metrics_log import read_metrics
from mobilenet.training.run import resume, train
from mobilenet.training.settings import TrainingSettings
from mobilenet.training.teacher.model import open_teacher
from mobilenet.training.teacher.settings import Teaching
from mobilenet.training.tracking.listener import Silence

_QUICK: dict[str, Any] = {"width_multiplier": 0.1, "resolution": 32, "epochs": 3, "batch_size": 8, "device": "cpu"}
_CPU = torch.device("cpu")


class _Notes(Silence):
    """Keeps the notes; sends a signal at the n-th step."""

    def __init__(self, step: int = 0) -> None:
        self.left, self.notes = step, list[str]()

    def stepping(self, done: int, total: int) -> None:
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGINT)

    def note(self, text: str) -> None:
        self.notes.append(text)


def _mean_classifier(
    path: Path,
    *,
    gain: float = 20.0,
    outputs: int = 2,
    metadata: dict[str, str] | None = None,
    probabilities: bool = False,
) -> Path:
    """A classifier of another tool: green minus red, over the whole of (N, 3, 16, 16) pixels in -1…1."""
    matrix = np.zeros((3, outputs), np.float32)
    matrix[:, 0], matrix[:, 1] = (gain, -gain, 0), (-gain, gain, 0)
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["mean", "matrix"], ["logits"]),
    ]
    if probabilities:
        nodes.append(helper.make_node("Softmax", ["logits"], ["chances"]))
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 16, 16])],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, ["n", outputs])],
        [numpy_helper.from_array(matrix, "matrix")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, metadata or {})
    onnx.save(model, path)
    return path


_SCALE = {"mean": (127.5, 127.5, 127.5), "std": (127.5, 127.5, 127.5)}


@pytest.fixture
def teaching(tmp_path: Path) -> Teaching:
    """Dark red is `dark`, bright green `bright`, in an order that is not the data's; sure but not too sure."""
    path = _mean_classifier(tmp_path / "other.onnx", metadata={"names": "{0: 'dark', 1: 'bright'}"})
    return Teaching(path, **_SCALE, views=2)  # type: ignore[arg-type]


def _settings(photos: Path, teaching: Teaching, **changes: Any) -> TrainingSettings:
    return TrainingSettings(photos, **{**_QUICK, "teacher": teaching, **changes})


def _with_pool(teaching: Teaching, photos: Path, pool: Path) -> Teaching:
    """Ten photos without labels: one of them is a validation photo, one a training photo."""
    pool.mkdir()
    random = np.random.default_rng(1)
    for number in range(8):
        Image.fromarray(random.integers(0, 255, (40, 44, 3), dtype=np.uint8)).save(pool / f"{number}.png")
    shutil.copy(photos / "validation" / "dark" / "0.png", pool / "8.png")
    shutil.copy(photos / "train" / "bright" / "3.png", pool / "9.png")
    return Teaching(teaching.model, **_SCALE, views=2, weight=0.5, unlabelled=(pool,))  # type: ignore[arg-type]


def test_a_stopped_run_ends_bit_for_bit_as_one_that_was_not(
    photos: Path, tmp_path: Path, teaching: Teaching, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _settings(photos, _with_pool(teaching, photos, tmp_path / "pool"))
    whole = _Notes()
    train(settings, tmp_path / "whole", listener=whole)
    monkeypatch.setenv("MOBILENET_CACHE", str(tmp_path / "another cache"))
    # 48 photos in batches of 6: in the second epoch, whose view is another.
    with pytest.raises(Interrupted):
        train(settings, tmp_path / "stopped", listener=_Notes(11))
    shutil.rmtree(tmp_path / "another cache")
    resume(tmp_path / "stopped")
    want, got = (load_file(tmp_path / run / "model.safetensors") for run in ("whole", "stopped"))
    assert all(torch.equal(want[name], got[name]) for name in want)
    losses = [
        [line["train_loss"] for line in read_metrics(tmp_path / run / "metrics.jsonl").lines]
        for run in ("whole", "stopped")
    ]
    assert losses[0] == losses[1]
    assert "8 photos without labels for the teacher, and 40 with labels" in whole.notes
    assert "left out 1 photos without labels that are validation photos" in whole.notes
    assert "left out 1 photos without labels that are copies of training photos" in whole.notes
    listed = [json.loads(line) for line in (tmp_path / "whole" / "photos.jsonl").read_text().splitlines()]
    assert next(line[1:3] for line in listed if line[2] is None) == ["../../pool/0.png", None]


def test_a_resumed_run_refuses_another_teacher(photos: Path, tmp_path: Path, teaching: Teaching) -> None:
    with pytest.raises(Interrupted):
        train(_settings(photos, teaching), tmp_path / "run", listener=_Notes(2))
    _mean_classifier(teaching.model, gain=19.0, metadata={"names": '["dark", "bright"]'})
    with pytest.raises(ConfigError, match=r"its teacher .*other.onnx is not the same file or is used differently"):
        resume(tmp_path / "run")


def test_the_record_names_the_teacher(photos: Path, tmp_path: Path, teaching: Teaching) -> None:
    heard = _Notes()
    train(_settings(photos, teaching, epochs=1), tmp_path / "run", listener=heard)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    provenance = read_arrays(tmp_path / "run" / "model.safetensors")[0].provenance
    assert config["teacher"]["name"] == str(teaching.model)
    assert provenance["teacher"] == {**config["teacher"], "name": "other.onnx"}
    assert "model" not in provenance["settings"]["teacher"]
    assert any("unknown what the teacher" in note for note in heard.notes)


def test_a_teacher_that_has_seen_the_validation_photos_is_reported(photos: Path, tmp_path: Path) -> None:
    train(TrainingSettings(photos / "validation", **{**_QUICK, "epochs": 1}), tmp_path / "teacher")
    heard = _Notes()
    settings = _settings(photos, Teaching(tmp_path / "teacher"), epochs=1)
    train(settings, tmp_path / "run", listener=heard)
    assert any("was trained on 10 of the 12 validation photos" in note for note in heard.notes)
    views = json.loads((tmp_path / "run" / "config.json").read_text())["settings"]["teacher"]["views"]
    assert views == 1


def test_a_run_needs_no_labels_at_all(photos: Path, tmp_path: Path, teaching: Teaching) -> None:
    pool = tmp_path / "pool"
    pool.mkdir()
    for number, path in enumerate(sorted((photos / "train").rglob("*.png"))):
        shutil.copy(path, pool / f"{number}.png")
    heard = _Notes()
    found = train(_settings(pool, teaching), tmp_path / "run", listener=heard)
    assert found.evaluation.photos == 4
    assert any("figures measure agreement with the teacher" in note for note in heard.notes)
    card = read_arrays(tmp_path / "run" / "model.safetensors")[0]
    assert card.labels == ("dark", "bright"), "the teacher's order"
    lines = read_metrics(tmp_path / "run" / "metrics.jsonl").lines
    assert "train_top1" not in lines[-1]
    judged = [json.loads(line) for line in (tmp_path / "run" / "photos.jsonl").read_text().splitlines()][-4:]
    # The photos of `bright` were copied first.
    assert {(label, int(Path(file).stem) < 20) for _, file, label, _ in judged} <= {("bright", True), ("dark", False)}


def test_labels_of_folders_given_as_unlabelled_are_not_used(photos: Path, tmp_path: Path, teaching: Teaching) -> None:
    alone = Teaching(teaching.model, **_SCALE, views=2, unlabelled=(photos / "train",))  # type: ignore[arg-type]
    settings = _settings(photos / "train", alone, validation=photos / "validation", epochs=1)
    found = train(settings, tmp_path / "run")
    listed = [json.loads(line) for line in (tmp_path / "run" / "photos.jsonl").read_text().splitlines()]
    assert {label for split, _, label, _ in listed if split == "train"} == {None}
    assert {label for split, _, label, _ in listed if split == "validation"} == {"dark", "bright"}
    assert found.evaluation.photos == 12


@pytest.mark.parametrize("probabilities", [False, True])
def test_a_classifier_of_another_tool_sees_pixels_as_described(tmp_path: Path, *, probabilities: bool) -> None:
    path = _mean_classifier(tmp_path / "other.onnx", gain=2.0, probabilities=probabilities)
    names = tmp_path / "names.txt"
    names.write_text("dark\nbright\n")
    teacher = open_teacher(Teaching(path, names, mean=(10, 20, 30), std=(50, 40, 20)), _CPU, torch.float32)
    assert teacher.vocabulary.names == ("dark", "bright")
    pixels = torch.tensor([60, 100, 10], dtype=torch.uint8).expand(3, 24, 24, 3).contiguous()
    (scores,) = teacher.answer(pixels, whole_photos(3)).values()
    # red (60 - 10) / 50 = 1, green (100 - 20) / 40 = 2: logits 2 · (1 - 2) and 2 · (2 - 1)
    wanted = torch.tensor([-2.0, 2.0])
    torch.testing.assert_close(scores[2], torch.softmax(wanted, 0) if probabilities else wanted)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"mean": None}, ConfigError, "does not say how its pixels are normalised; give --teacher-mean"),
        ({"labels": None}, ConfigError, "does not name its classes; give --teacher-labels"),
        ({"resolution": 32}, ConfigError, "--teacher-resolution 32 is not that of .*, 16"),
        ({"labels": "a\nb\nc"}, ConfigError, "has 2 outputs and 3 names of classes"),
        ({"model": Path("nowhere")}, ModelError, "no model at nowhere"),
    ],
)
def test_a_teacher_that_says_too_little_is_refused(
    tmp_path: Path, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    path, names = _mean_classifier(tmp_path / "other.onnx"), tmp_path / "names.txt"
    names.write_text(changes.get("labels") or "dark\nbright\n")
    given = {"model": path, "labels": names, **_SCALE, **changes}
    given["labels"] = None if given["labels"] is None else names
    with pytest.raises(error, match=message):
        open_teacher(Teaching(**given), _CPU, torch.float32)


def test_a_folder_without_photos_is_refused(photos: Path, tmp_path: Path, teaching: Teaching) -> None:
    (tmp_path / "empty").mkdir()
    empty = Teaching(teaching.model, **_SCALE, unlabelled=(tmp_path / "empty",))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="empty contains no photos"):
        train(_settings(photos, empty), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_files_of_this_tool_answer_alike_in_every_format(tiny_run: Path, tiny_tflite: Path) -> None:
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (2, 32, 32, 3), dtype=np.uint8))
    answers = []
    for model in (tiny_run, tiny_tflite):
        teacher = open_teacher(Teaching(model), _CPU, torch.float32)
        assert teacher.task == "classification"
        (values,) = teacher.answer(pixels, whole_photos(2)).values()
        answers.append(values - values.mean(1, keepdim=True))
    torch.testing.assert_close(*answers, atol=1e-4, rtol=1e-3)
    with pytest.raises(ConfigError, match="says itself how it is used; omit --teacher-resolution"):
        open_teacher(Teaching(tiny_run, resolution=32), _CPU, torch.float32)
