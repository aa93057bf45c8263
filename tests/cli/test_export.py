"""`mobilenet export` as a user calls it: from photos to proven files, which other commands then run."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mobilenet.cli.main import main
from mobilenet.export import export as run
from mobilenet.images import Preprocessing
from mobilenet.model.arrays import read_arrays, write_arrays
from mobilenet.model.card import ModelCard
from mobilenet.model.graph import Graph
from mobilenet.runtimes import open_model
from mobilenet.runtimes.engines import FORMATS
from mobilenet.spec import Conv, ConvStyle
from mobilenet.tasks import card_ending_in
from mobilenet.tasks.classification import Classification

Capture = pytest.CaptureFixture[str]
_COLOURS = {"blue": (20, 30, 220), "green": (30, 200, 30), "red": (220, 20, 20)}
_SIDE = 64


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Blurred blots of three colours, 20 of each."""
    root = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for name, colour in _COLOURS.items():
        (root / name).mkdir()
        for number in range(20):
            noise = random.normal(0, 40, (8, 8, 3)) + colour
            image = Image.fromarray(noise.clip(0, 255).astype(np.uint8)).resize((80, 70), Image.Resampling.BICUBIC)
            image.save(root / name / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that can be followed by hand: layers blur and copy colours, the classifier takes the strongest."""
    pixels = Preprocessing(_SIDE, None, (0, 0, 0), (255, 255, 255))
    style = ConvStyle("tensorflow", "relu6", batch_norm=False)
    card = ModelCard("mobilenet_v1", 0.25, _SIDE, tuple(_COLOURS), pixels, style, task="classification")
    arrays: dict[str, NDArray[np.float32]] = {}
    for row in card.network().rows:
        if isinstance(row, Conv):
            side = (row.out_channels, row.in_channels // row.groups, row.kernel_size, row.kernel_size)
            filters = np.zeros(side, np.float32)
            for channel in range(row.out_channels):
                # What is blurred loses at the border: a little more than the mean makes up for it.
                source = 0 if row.groups > 1 else channel % 3
                filters[channel, source] = 1.0 if row.kernel_size == 1 else 0.12
            arrays[f"{row.name}.conv.weight"] = filters
            arrays[f"{row.name}.conv.bias"] = np.zeros(row.out_channels, np.float32)
    matrix = np.zeros((3, 256), np.float32)
    for number in range(255):
        matrix[2 - number % 3, number] = 0.5
    arrays |= {"classifier.weight": matrix, "classifier.bias": np.zeros(3, np.float32)}
    path = tmp_path_factory.mktemp("model") / "colours.safetensors"
    write_arrays(path, card, arrays)
    return path


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which of two files is faster is measured, never tested."""
    monkeypatch.setattr("mobilenet.export.proof.verify._TIMED_S", 0.01)
    monkeypatch.setattr("mobilenet.export.proof.verify.speed", lambda *given: (1.0, None if given[1] is None else 2.0))


def test_every_file_is_proven_and_runs(model: Path, photos: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["export", str(model), "--data", str(photos), "--out", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    names = [Path(file["file"]).name for file in found["files"]]
    assert names == ["colours-float32.onnx", "colours-int8.onnx", "colours-float32.tflite", "colours-int8.tflite"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names, "export.json"])
    assert json.loads((tmp_path / "export.json").read_text("utf-8")) == found
    assert found["photos"] == "proven on 6 validation photos; calibrated on 54 others"
    assert found["int8_agreement"] == 1.0
    for file in found["files"]:
        assert file["passed"]
        assert file["size_bytes"] == Path(file["file"]).stat().st_size
        assert [one["method"] for one in file["resized"]] == ["area", "bilinear", "asymmetric", "nearest"]
        assert all((one["photos"], one["agreement"], one["accuracy"]) == (6, 1, 1) for one in file["resized"])
        assert file["agreement"] == file["accuracy"] == file["network_accuracy"] == 1.0
        assert main(["predict", file["file"], str(photos / "red" / "0.png"), "--json"]) == 0
        assert '"red"' in capsys.readouterr().out
        assert main(["evaluate", file["file"], str(photos), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["top1"] == 1.0


def test_what_people_read(model: Path, photos: Path, tmp_path: Path, capsys: Capture) -> None:
    arguments = ["--data", str(photos), "--out", str(tmp_path), "--format", "litert", "--precision", "int8"]
    assert main(["export", str(model), *arguments]) == 0
    text = capsys.readouterr().out
    assert "proven on 6 validation photos; calibrated on 54 others" in text
    assert "colours-int8.tflite" in text
    assert "int8: ranges by " in text
    assert text.splitlines()[2].split()[5:8] == ["agreement", "top-1", "network's"]
    assert "Accuracy on 6 photos shrunk by an app, and agreement with area" in text
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".tflite"] == ["colours-int8.tflite"]


def test_what_people_read_of_attributes(model: Path, photos: Path, tmp_path: Path, capsys: Capture) -> None:
    """The same network with a sigmoid for each colour."""
    card, arrays = read_arrays(model)
    write_arrays(tmp_path / "many.safetensors", card_ending_in(card, "sigmoid"), arrays)
    rows = [
        ",".join([str(photo), *(str(int(photo.parent.name == colour)) for colour in _COLOURS)])
        for photo in sorted(photos.rglob("*.png"))
    ]
    (tmp_path / "table.csv").write_text("\n".join([",".join(["file", *_COLOURS]), *rows]))
    # So simple a network may gain nothing by 8 bits.
    main(["export", str(tmp_path / "many.safetensors"), "--data", str(tmp_path / "table.csv"), "--precision", "int8"])
    text = capsys.readouterr().out
    header = next(line for line in text.splitlines() if line.startswith("file  ")).split()
    assert header[5:9] == ["agreement", "mean", "AP", "network's"]
    assert "Mean average precision on 6 photos shrunk by an app, and agreement with area" in text
    assert re.search(r"the int8 files of all formats agree on \d+\.\d% of the answers", text)


def _swapped(write: Callable[..., bytes]) -> Callable[..., bytes]:
    """A writer that mixes up red and blue."""

    def wrong(graph: Graph, *others: object) -> bytes:
        stem = graph.nodes[0]
        return write(
            replace(graph, nodes=(replace(stem, filters=stem.filters[:, ::-1].copy()), *graph.nodes[1:])), *others
        )

    return wrong


def test_a_file_that_fails_is_kept_under_another_name(
    model: Path, photos: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = run.WRITERS["onnx"]
    monkeypatch.setitem(run.WRITERS, "onnx", _swapped(right))
    arguments = ["--data", str(photos), "--out", str(tmp_path), "--format", "onnx", "--precision", "float32"]
    assert main(["export", str(model), *arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith("mobilenet: 1 of 1 files failed: colours-float32.failed.onnx: ")
    assert "likely cause: its colour channels are in reverse order" in error
    assert len(error.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["colours-float32.failed.onnx", "export.json"]
    monkeypatch.setitem(run.WRITERS, "onnx", right)
    assert main(["export", str(model), *arguments]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["colours-float32.onnx", "export.json"]


def _broken(write: Callable[..., bytes]) -> Callable[..., bytes]:
    """A writer whose files answer with NaN."""

    def wrong(graph: Graph, *others: object) -> bytes:
        *body, classifier = graph.nodes
        return write(
            replace(graph, nodes=(*body, replace(classifier, bias=classifier.bias * np.float32(np.nan)))), *others
        )

    return wrong


@pytest.mark.parametrize("name", ["onnx", "litert"])
def test_a_file_that_answers_with_nan_fails_in_one_line(
    model: Path, photos: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    right, suffix = run.WRITERS[name], FORMATS[name].suffix
    monkeypatch.setitem(run.WRITERS, name, _broken(right))
    arguments = ["--data", str(photos), "--out", str(tmp_path), "--format", name, "--precision", "float32"]
    assert main(["export", str(model), *arguments]) == 1
    error = capsys.readouterr().err
    assert f"colours-float32.failed{suffix}: it outputs NaN or infinity on 6 of 6 photos" in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / f"colours-float32{suffix}").exists()
    assert json.loads((tmp_path / "export.json").read_text("utf-8"))["passed"] is False


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_network_that_answers_with_nan_is_not_exported(
    model: Path, photos: Path, tmp_path: Path, capsys: Capture, precision: str
) -> None:
    card, arrays = read_arrays(model)
    arrays["classifier.bias"] = arrays["classifier.bias"] + np.float32(np.nan)
    diverged, out = tmp_path / "diverged.safetensors", tmp_path / "out"
    write_arrays(diverged, card, arrays)
    arguments = ["--data", str(photos), "--out", str(out), "--precision", precision]
    assert main(["export", str(diverged), *arguments]) == 2
    error = capsys.readouterr().err
    assert "the model's outputs contain NaN or infinity: training has diverged" in error
    assert len(error.splitlines()) == 1
    assert not out.exists()


def test_fine_tuning_that_diverges_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """What calibration gave stays, and the record holds numbers alone; no photo is learned from that proves."""
    found = SimpleNamespace(graph="calibrated")
    errors = {"calibrated": 0.1, "tuned": math.inf}
    seen: list[object] = []

    def tune(_graph: object, _found: object, photos: object, _distance: object, **_: object) -> str:
        seen.append(photos)
        return "tuned"

    monkeypatch.setattr(run, "apart_from", lambda photos, others: f"{photos} without {others}")
    monkeypatch.setattr("mobilenet.quantize.fine_tune.training_photos", lambda photos, _: photos)
    monkeypatch.setattr("mobilenet.quantize.fine_tune.fine_tune", tune)
    monkeypatch.setattr("mobilenet.quantize.calibrate.divergence", lambda _, graph, *__: errors[graph])
    card = ModelCard("mobilenet_v1", 0.25, 32, ("cat", "dog"), Preprocessing(32), task="classification")
    work = SimpleNamespace(
        graph=SimpleNamespace(card=card),
        reference=SimpleNamespace(task=Classification(), card=card),
        chosen=SimpleNamespace(training="training", proof="proof"),
        settings=SimpleNamespace(seed=0),
        quantization={"divergence": {"chosen": 0.1}},
        progress=None,
    )
    images = np.zeros((8, 32, 32, 3), np.uint8)
    assert run._fine_tuned(cast("run._Work", work), cast("Any", found), images) == cast("Any", "calibrated")
    assert json.loads(json.dumps(work.quantization, allow_nan=False)) == {
        "divergence": {"chosen": 0.1},
        "fine_tuned": False,
    }
    assert seen == ["training without proof"]


def test_photos_of_other_things_prove_agreement_alone(
    model: Path, photos: Path, tmp_path: Path, capsys: Capture
) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, file in enumerate(sorted(photos.rglob("*.png"))):
        (flat / f"{number}.png").write_bytes(file.read_bytes())
    (flat / "broken.png").write_bytes(b"no photo")
    out = ["--out", str(tmp_path / "out"), "--format", "litert", "--precision", "float32"]
    assert main(["export", str(model), "--data", str(flat), *out, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert "photos without known labels: accuracy is not compared" in found["photos"]
    assert found["files"][0]["accuracy"] is None


def test_an_onnx_file_of_a_fixed_batch(model: Path, photos: Path, tmp_path: Path, capsys: Capture) -> None:
    arguments = ["--data", str(photos), "--out", str(tmp_path), "--format", "onnx", "--precision", "float32"]
    assert main(["export", str(model), *arguments, "--batch", "4"]) == 0
    images = np.zeros((6, _SIDE, _SIDE, 3), np.uint8)
    assert open_model(tmp_path / "colours-float32.onnx").predict(images)["probabilities"].shape == (6, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "coreml"], "unknown format 'coreml'; use onnx, litert or c"),
        (["--precision", "int4"], "unknown precision 'int4'; use float32 or int8"),
        (["--precision", ","], "no precision is given; use float32 or int8"),
        (["--calibration-photos", "2"], "2 calibration photos are out of range; use 8 to 100,000"),
        (["--batch", "0"], "batch size 0 is out of range; use 1 to 1,024"),
    ],
)
def test_wrong_settings_are_one_line(
    model: Path, photos: Path, tmp_path: Path, capsys: Capture, arguments: list[str], message: str
) -> None:
    out = tmp_path / "out"
    assert main(["export", str(model), "--data", str(photos), "--out", str(out), *arguments]) == 2
    assert capsys.readouterr().err == f"mobilenet: {message}\n"
    assert not out.exists()


def test_wrong_models_and_data_are_one_line(model: Path, photos: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["export", str(model)]) == 2
    assert "no photos to verify" in capsys.readouterr().err
    assert main(["export", str(model), "--data", str(tmp_path / "nowhere")]) == 2
    assert "does not exist" in capsys.readouterr().err
    exported = tmp_path / "a.tflite"
    exported.write_bytes(b"")
    assert main(["export", str(exported), "--data", str(photos)]) == 2
    assert "is already exported; give the run folder or the .safetensors file" in capsys.readouterr().err
