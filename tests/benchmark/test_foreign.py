"""Files of other tools run on what they say of their inputs."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from mobilenet.benchmark import Benchmark
from mobilenet.benchmark.worker.foreign import is_foreign, open_foreign
from mobilenet.cli.main import main
from mobilenet.errors import ModelError

_ENGINES = ["onnxruntime", "openvino"]


def _onnx(path: Path, *inputs: tuple[int, list[Any]]) -> Path:
    """Each input, as floats in one row; the first side may be open."""
    given = [helper.make_tensor_value_info(f"in{n}", kind, shape) for n, (kind, shape) in enumerate(inputs)]
    made = [helper.make_tensor_value_info(f"out{n}", TensorProto.FLOAT, None) for n in range(len(inputs))]
    casts = [helper.make_node("Cast", [end.name], [f"f{n}"], to=TensorProto.FLOAT) for n, end in enumerate(given)]
    rows = [helper.make_node("Flatten", [f"f{n}"], [end.name]) for n, end in enumerate(made)]
    graph = helper.make_graph([*casts, *rows], "graph", given, made)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return path


@pytest.fixture
def foreign(tiny_tflite: Path, tmp_path: Path) -> Path:
    """A sound TFLite file without our seal."""
    path = tmp_path / "theirs.tflite"
    path.write_bytes(tiny_tflite.read_bytes().replace(b"mobilenet-sha256:", b"somebody-sha256:_"))
    return path


def test_files_without_our_seal_are_of_other_tools(foreign: Path, tiny_tflite: Path, tmp_path: Path) -> None:
    assert is_foreign(foreign)
    assert is_foreign(_onnx(tmp_path / "a.onnx", (TensorProto.FLOAT, [1, 2])))
    assert not is_foreign(tiny_tflite)
    assert not is_foreign(tmp_path)
    changed = tmp_path / "changed.tflite"
    changed.write_bytes(tiny_tflite.read_bytes() + b"\0")
    assert not is_foreign(changed)
    changed.write_bytes(b"no model")
    assert not is_foreign(changed)


def test_a_tflite_file_runs(foreign: Path) -> None:
    opened = open_foreign(foreign, "litert", 1)
    (answer,) = opened.run()
    assert answer.shape == (1, 3)
    assert answer.sum() == pytest.approx(1, abs=1e-5)
    assert opened.resolution == 32
    assert len(opened.remarks) == 1


@pytest.mark.parametrize("engine", _ENGINES)
def test_every_input_is_filled_as_the_file_says(tmp_path: Path, engine: str) -> None:
    kinds = (TensorProto.FLOAT, ["N", 3, 4]), (TensorProto.UINT8, [1, 50, 2, 3]), (TensorProto.INT8, [100])
    opened = open_foreign(_onnx(tmp_path / "a.onnx", *kinds), engine, 1)
    floats, bytes_, signed = opened.run()
    assert [made.size for made in (floats, bytes_, signed)] == [12, 300, 100]
    assert 0 <= floats.min() < floats.max() < 1
    assert 0 <= bytes_.min() < 30
    assert 225 < bytes_.max() <= 255
    assert -128 <= signed.min() < -60
    assert 60 < signed.max() <= 127
    assert np.array_equal(opened.run()[1], bytes_)
    assert opened.resolution is None
    assert opened.remarks[1:] == ("leaves the first side of its input in0 open; it is measured with 1",)


@pytest.mark.parametrize(("shape", "side"), [(["N", 3, 8, 8], 8), ([1, 16, 16, 3], 16), ([1, 16, 8, 3], None)])
def test_the_side_of_a_square_photo_is_the_resolution(tmp_path: Path, shape: list[Any], side: int | None) -> None:
    assert open_foreign(_onnx(tmp_path / "a.onnx", (TensorProto.FLOAT, shape)), "onnxruntime", 1).resolution == side


@pytest.mark.parametrize("engine", _ENGINES)
@pytest.mark.parametrize(
    ("kind", "shape", "fault"),
    [
        (TensorProto.FLOAT, [1, 3, "height", "width"], r"input in0 has shape \(1, 3, \?, \?\); export it with a fixed"),
        (TensorProto.INT64, [1, 8], r"input in0 has type .*; float32, uint8 and int8 are supported"),
    ],
)
def test_inputs_that_cannot_be_filled_are_refused(
    tmp_path: Path, engine: str, kind: int, shape: list[Any], fault: str
) -> None:
    with pytest.raises(ModelError, match=fault):
        open_foreign(_onnx(tmp_path / "a.onnx", (kind, shape)), engine, 1)


@pytest.mark.parametrize("engine", _ENGINES)
def test_a_file_that_the_engine_cannot_run_is_one_line(tmp_path: Path, engine: str) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"\x08\x08 nothing of use")
    with pytest.raises(ModelError, match=r"cannot run .*a\.onnx: .*; measure the others without it") as caught:
        open_foreign(path, engine, 1)
    assert "\n" not in str(caught.value)


def test_ours_and_theirs_are_measured_side_by_side(
    foreign: Path, tiny_tflite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["benchmark", str(tiny_tflite), str(foreign), "--threads", "1,2", "--seconds", "0.03"]
    assert main([*words, "--json"]) == 0
    result = Benchmark.from_json(capsys.readouterr().out)
    assert [timing.resolution for timing in result.timings] == [32] * 4
    assert [bool(timing.remarks) for timing in result.timings] == [False, False, True, True]
    origin = "is a file of another tool: its speed and memory are measured on random numbers"
    assert [note for note in result.notes() if origin in note] == [f"{foreign} {result.timings[2].remarks[0]}"]
    photo = tmp_path / "photo.png"
    photo.touch()
    assert main(["benchmark", str(foreign), "--photo", str(photo)]) == 2
    assert "which does not say how photos are prepared; omit --photo" in capsys.readouterr().err


def test_a_benchmark_of_an_earlier_version_has_no_remarks(benchmark: Benchmark) -> None:
    text = benchmark.to_json().replace(', "remarks": []', "")
    assert "remarks" not in text
    assert Benchmark.from_json(text) == benchmark


def test_predict_says_how_to_import(foreign: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = _onnx(tmp_path / "a.onnx", (TensorProto.FLOAT, [1, 2]))
    (tmp_path / "a.h5").touch()
    for path, remedy in (
        (foreign, f"read its weights with mobilenet import {foreign} --out model.safetensors"),
        (theirs, "is an ONNX file of another tool, or is damaged; import the TFLite, HDF5 or safetensors file"),
        (tmp_path / "a.h5", "for weights of other tools, use mobilenet import"),
    ):
        assert main(["predict", str(path), "photo.jpg"]) == 2
        assert remedy in capsys.readouterr().err
