"""`mobilenet benchmark`, as people and programs call it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from mobilenet.benchmark import Benchmark
from mobilenet.benchmark.device.grid import GridSettings
from mobilenet.cli.main import main


def _error(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["benchmark", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


def test_people_get_a_table_the_device_and_remarks(
    tiny_run: Path, tiny_tflite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "latency.png"
    words = ["benchmark", str(tiny_tflite), str(tiny_run), "--seconds", "0.06", "--plot", str(picture)]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert err == ""
    title, header, first, second, empty, device, *rest = out.splitlines()
    assert title == "One image at a time, 0.06 s each in 3 rounds, random pixels"
    assert header.split()[:5] == ["file", "runtime", "threads", "p50", "ms"]
    assert first.split()[:3] == [str(tiny_tflite), "litert", "1"]
    assert first.split()[7] == "1.000"
    assert second.split()[:3] == [str(tiny_run), "torch", "1"]
    assert empty == ""
    assert " cores, " in device
    assert [line.split()[:3:2] for line in rest[:2]] == [["litert", "alone:"], ["torch", "alone:"]]
    assert all(note.startswith("note: ") for note in rest[2:])
    with Image.open(picture) as image:
        assert image.format == "PNG"


def test_programs_get_one_document(tiny_tflite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = tmp_path / "photo.png"
    Image.new("RGB", (40, 30), (255, 0, 0)).save(photo)
    assert main(["benchmark", str(tiny_tflite), "--seconds", "0.03", "--photo", str(photo), "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.count("\n") == 1
    result = Benchmark.from_json(out)
    assert json.loads(out)["timings"][0]["contender"] == {
        "file": str(tiny_tflite),
        "runtime": "litert",
        "threads": 1,
    }
    assert (result.photo, result.seconds) == (str(photo), 0.03)


def test_what_is_given_twice_is_measured_once(tiny_tflite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(tiny_tflite), "--runtime", "litert,litert", "--threads", "1,1", "--seconds", "0.03", "--json"]
    assert main(["benchmark", *words]) == 0
    assert len(json.loads(capsys.readouterr().out)["timings"]) == 1


def test_a_grid_is_printed_with_its_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = GridSettings(widths=(0.25, 0.5), resolutions=(32, 64), precisions=("int8",), seconds=0.1)
    monkeypatch.setattr("mobilenet.benchmark.device.grid.GridSettings", lambda **given: replace(small, **given))
    out = tmp_path / "device.json"
    assert main(["benchmark", "--grid", "--runtime", "litert", "--seconds", "0.1", "--out", str(out)]) == 0
    title = capsys.readouterr().out.splitlines()[0]
    (curve,) = json.loads(out.read_text())["curves"]
    assert title.startswith("int8 on litert with 1 thread: ms per image at p95, by width and resolution; p90 error")
    assert title.endswith(f"p90 error {curve['error_p90']:.1%}, of memory {curve['memory_error_p90']:.1%}")


def test_wrong_usage_is_one_line(
    tiny_run: Path, tiny_tflite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(tiny_run)
    assert "give at least one model file, or --grid" in _error(capsys)
    assert "no model at gone.tflite; a model is" in _error(capsys, "gone.tflite")
    assert f"no model.safetensors in {tmp_path}; a model is" in _error(capsys, str(tmp_path))
    assert "unknown runtime 'tensorrt'; use one of" in _error(capsys, run, "--runtime", "tensorrt")
    assert "does not run on litert; use --runtime torch" in _error(capsys, run, "--runtime", "litert")
    assert "0 seconds are out of range; use a number above 0" in _error(capsys, run, "--seconds", "0")
    assert "'soon' is not a valid float" in _error(capsys, run, "--seconds", "soon")
    assert "0 threads are out of range; use 1 to 1024" in _error(capsys, run, "--threads", "1,0")
    for wrong in ("", "1,", "two", "1.5"):
        assert "is not a comma-separated list of numbers" in _error(capsys, run, "--threads", wrong)
    assert "picture.gif is not a supported image format" in _error(capsys, run, "--plot", "picture.gif")
    assert "gone.jpg: cannot be read" in _error(capsys, str(tiny_tflite), "--photo", "gone.jpg")


def test_an_engine_that_is_not_installed_is_named_with_what_brings_it(
    tiny_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mobilenet.runtimes.engines.find_spec", lambda _: None)
    assert "torch is not installed; pip install 'mobilenet[train]'" in _error(
        capsys, str(tiny_run), "--runtime", "torch"
    )
    assert "needs torch; pip install 'mobilenet[train]'" in _error(capsys, str(tiny_run))


def test_a_damaged_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.tflite").write_bytes(b"no model")
    assert "broken.tflite is not a TFLite file, or is damaged" in _error(capsys, str(tmp_path / "broken.tflite"))
