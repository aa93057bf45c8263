"""`mobilenet import` as a user calls it."""

import json
from pathlib import Path

import numpy as np
import pytest

from mobilenet.cli.main import main
from mobilenet.images import Preprocessing
from mobilenet.nn.model_file import read_model
from mobilenet.runtimes.predictor import open_model
from mobilenet.spec import Conv, ConvStyle, Linear, mobilenet_v1
from mobilenet.weights.layers import ForeignConv, ForeignLinear, ForeignNetwork
from mobilenet.weights.tflite import read as tflite

Capture = pytest.CaptureFixture[str]


def _zeros(classes: int) -> ForeignNetwork:
    rows = mobilenet_v1(0.25, 32, classes, ConvStyle("tensorflow", "relu6", batch_norm=False)).rows
    convs = [
        ForeignConv(
            row.name,
            np.zeros((row.out_channels, row.in_channels // row.groups, *2 * (row.kernel_size,)), np.float32),
            row.stride,
            row.groups,
            row.padding,
            row.activation,
        )
        for row in rows
        if isinstance(row, Conv)
    ]
    linear = [np.zeros((row.out_features, row.in_features), np.float32) for row in rows if isinstance(row, Linear)]
    classifier = ForeignLinear("classifier", linear[0], np.arange(classes, dtype=np.float32)) if linear else None
    return ForeignNetwork("file", tuple(convs), classifier, 32)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file that is read as a network of three classes, of which the last is the likeliest everywhere."""
    monkeypatch.setattr(tflite, "read_tflite", lambda _path: _zeros(3))
    path = tmp_path / "their.tflite"
    path.write_bytes(b"....TFL3")
    return str(path)


def test_what_was_found_is_printed_and_the_model_runs(file: str, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "new" / "model.safetensors"
    names = tmp_path / "names.txt"
    names.write_text("\ufeffred\ngreen\nblue\n", "utf-8")
    assert main(["import", file, "--out", str(out), "--labels", str(names), "--mean", "0", "--std", "1,2,3"]) == 0
    printed, remarks = capsys.readouterr()
    assert [line.split("  ", 1)[1].strip() for line in printed.splitlines()[2:10]] == [
        "mobilenet_v1, width 0.25",
        "32 pixels",
        "tensorflow",
        "relu6",
        "folded into the filters",
        "3: red; green; blue",
        "(pixel - 0) / 1, 2, 3",
        "none",
    ]
    assert remarks == ""
    card = read_model(out)[1]
    assert card.preprocessing == Preprocessing(32, None, (0.0, 0.0, 0.0), (1.0, 2.0, 3.0))
    assert card.provenance["source"]["file"] == "their.tflite"
    photo = tmp_path / "photo.png"
    _save_photo(photo)
    assert main(["predict", str(out), str(photo), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["predictions"][0]["label"] == "blue"


def _save_photo(path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (40, 30), (1, 2, 3)).save(path)


def test_one_json_document(file: str, tmp_path: Path, capsys: Capture) -> None:
    out = str(tmp_path / "model.safetensors")
    assert main(["import", file, "--out", out, "--resolution", "64", "--json"]) == 0
    printed, remarks = capsys.readouterr()
    document = json.loads(printed)
    assert remarks == ""
    assert document["model"] == out
    assert (document["architecture"], document["width_multiplier"], document["resolution"]) == (
        "mobilenet_v1",
        0.25,
        64,
    )
    assert (document["padding"], document["activation"], document["batch_norm"]) == ("tensorflow", "relu6", False)
    assert (document["classes"], document["preprocessing"]["mean"]) == (3, [127.5] * 3)
    assert document["source"]["kind"] == "TFLite"
    assert len(document["source"]["sha256"]) == 64
    assert document["notes"] == [
        "the classes have no names; give them with --labels",
        "the file does not specify the pixel scaling; (pixel - 127.5) / 127.5 is assumed",
    ]


def test_a_backbone_gives_vectors_as_it_is(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(tflite, "read_tflite", lambda _path: _zeros(0))
    out = tmp_path / "model.safetensors"
    assert main(["import", file, "--out", str(out)]) == 0
    assert "none: vectors of 256 numbers" in capsys.readouterr().out
    found = open_model(out)
    assert (found.task, found.labels, found.card.decoding) == ("embedding", (), {"dimensions": 256})
    assert found.predict(np.zeros((2, 32, 32, 3), np.uint8))["embedding"].shape == (2, 256)


def test_a_classifier_is_dropped_for_the_vectors_before_it(file: str, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "model.safetensors"
    assert main(["import", file, "--vectors", "--out", str(out), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["classes"], document["vectors"]) == (0, 256)
    assert document["notes"] == [
        "the file does not specify the pixel scaling; (pixel - 127.5) / 127.5 is assumed",
    ]
    assert [output.name for output in open_model(out).card.outputs] == ["embedding"]
    assert main(["import", file, "--vectors", "--labels", "names.txt", "--out", str(out)]) == 2
    assert "--vectors drops the classifier, and --labels names its classes; omit one" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "is empty; download or save it again"),
        (b"weights", "is not a supported weight file; give a TFLite file, a Keras HDF5 file"),
        (b"PK\3\4 an archive", "is a zip archive that is damaged; download or save it again"),
        (b"\xff" * 7 + b"\x7f{}", "is not a supported weight file"),
    ],
)
def test_other_files_are_refused_with_what_is_understood(
    tmp_path: Path, capsys: Capture, content: bytes, fault: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert main(["import", str(path), "--out", str(tmp_path / "model.safetensors")]) == 2
    line = capsys.readouterr().err
    assert line.startswith(f"mobilenet: {path}")
    assert fault in line
    assert len(line.splitlines()) == 1
    assert not (tmp_path / "model.safetensors").exists()


def test_places_without_a_file_are_one_line(tmp_path: Path, capsys: Capture) -> None:
    for source, fault in ((tmp_path / "gone", "does not exist; give"), (tmp_path, "is a folder; give")):
        assert main(["import", str(source), "--out", "model.safetensors"]) == 2
        assert fault in capsys.readouterr().err


def test_a_model_of_ours_is_not_imported_again(file: str, tmp_path: Path, capsys: Capture) -> None:
    out = str(tmp_path / "model.safetensors")
    assert main(["import", file, "--out", out]) == 0
    capsys.readouterr()
    assert main(["import", out, "--out", str(tmp_path / "again.safetensors")]) == 2
    assert "is already a model of this tool" in capsys.readouterr().err


@pytest.mark.parametrize("numbers", ["many", "1,2", "1,2,3,4", ""])
def test_wrong_numbers_are_one_line(file: str, tmp_path: Path, capsys: Capture, numbers: str) -> None:
    assert main(["import", file, "--out", str(tmp_path / "m.safetensors"), "--mean", numbers]) == 2
    assert "is not a number such as 127.5, or three such as" in capsys.readouterr().err


def test_files_of_labels_that_cannot_be_read_are_one_line(file: str, tmp_path: Path, capsys: Capture) -> None:
    latin = tmp_path / "latin.txt"
    latin.write_bytes("caf\xe9".encode("latin-1"))
    for labels, fault in ((tmp_path / "gone.txt", "no such file"), (latin, "is not UTF-8"), (tmp_path, "directory")):
        assert main(["import", file, "--out", str(tmp_path / "m.safetensors"), "--labels", str(labels)]) == 2
        line = capsys.readouterr().err
        assert line.startswith(f"mobilenet: the label file {labels}")
        assert fault in line
