"""`mobilenet fit` on photos of three colours, with a small device profile that is made here."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mobilenet.benchmark import Contender, Settings, measure
from mobilenet.benchmark.device.grid import GridSettings, measure_grid
from mobilenet.cli.main import main
from mobilenet.search.journal.journal import Journal
from mobilenet.search.strategy import choice


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("device") / "device.json"
    grid = GridSettings(widths=(0.25, 0.375), resolutions=(32, 64), runtimes=("litert",), seconds=0.1)
    measure_grid(grid).write(path)
    return path


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mobilenet.search.trial.proving._SECONDS", 0.2)


def _run(*words: object) -> int:
    return main(["fit", *map(str, words)])


def _words(photos: Path, device: Path, out: Path) -> list[object]:
    return [photos, "--device", device, "--runtime", "litert", "--out", out, "--epochs", 32]


def test_a_budget_becomes_a_file_that_meets_it(
    photos: Path, device: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "fit"
    words = [*_words(photos, device, out), "--size", "400kB", "--json"]
    assert _run(*words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["winner"] == {"width_multiplier": 0.25, "resolution": 64}
    model = Path(found["model"])
    assert model == out / "model.tflite"
    assert model.stat().st_size == found["chosen"]["size_bytes"] <= 400_000
    (timing,) = measure([Contender(str(model), "litert", 1)], Settings(0.1)).timings
    assert timing.resolution == 64
    verdicts = {f"{row['width_multiplier']:g}-{row['resolution']}": row["verdict"] for row in found["candidates"]}
    assert verdicts["0.25-64"] == "chosen"
    assert verdicts["0.25-32"] == "dominated by a larger one: 0.25-64"
    assert verdicts["0.375-32"].startswith("over budget: a file of")
    page = (out / "report.html").read_text("utf-8")
    assert "MobileNet 0.25-64 in int8 is proven, and fits the budget as measured" in page
    assert "VGG16" in page
    assert "<script" not in page

    def never(*_: object, **__: object) -> None:
        pytest.fail("what is done is done again")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mobilenet.search.trial.trainings.train", never)
        patch.setattr(choice, "prove_and_measure", never)
        assert _run(*words) == 0
    assert json.loads(capsys.readouterr().out) == found


def test_a_search_that_was_interrupted_ends_with_the_same_result(
    photos: Path, device: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        pytest.fail("it went on")

    def tear(_: object, folder: Path, **__: object) -> None:
        """Where a run folder is made, and nothing is in it yet that a run goes on from."""
        folder.mkdir(parents=True)
        stop()

    words = [*_words(photos, device, tmp_path / "fit"), "--size", "700kB", "--json"]
    for place, how in (
        ("mobilenet.search.trial.trainings.train", tear),
        ("mobilenet.search.strategy.choice.prove_and_measure", stop),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(place, how)
            assert _run(*words) == 143
        err = capsys.readouterr().err
        assert "resume with the same command: mobilenet fit" in err
        assert err.endswith("mobilenet: stopped by SIGTERM\n")
    assert _run(*words) == 0
    found = json.loads(capsys.readouterr().out)
    whole = [*_words(photos, device, tmp_path / "whole"), "--size", "700kB", "--json"]
    assert _run(*whole) == 0
    other = json.loads(capsys.readouterr().out)
    assert found["winner"] == other["winner"]
    trials = [[(one["epochs"], one["accuracy"]) for one in row["trials"]] for row in found["candidates"]]
    assert trials == [[(one["epochs"], one["accuracy"]) for one in row["trials"]] for row in other["candidates"]]


def test_people_get_a_table_and_the_smallest_that_reaches_an_accuracy(
    photos: Path, device: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(*_words(photos, device, tmp_path / "fit"), "--accuracy", "60%") == 0
    out, err = capsys.readouterr()
    assert "4 candidates; looking for the smallest whose file reaches 60.0%" in err
    assert out.startswith("4 of 4 candidates; ~ marks estimates")
    assert " chosen " in out
    found = json.loads((tmp_path / "fit" / "fit.json").read_text())
    assert found["winner"]["width_multiplier"] == 0.25
    assert found["chosen"]["accuracy"] >= 0.6
    assert found["chosen"]["precision"] == "int8"
    assert f"model   {tmp_path / 'fit' / 'model.tflite'}" in out


def test_only_the_widths_and_resolutions_that_are_named_are_candidates(
    photos: Path, device: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*_words(photos, device, tmp_path / "fit")[:-1], 1]
    assert _run(*words, "--size", "1kB", "--widths", "0.375", "--resolutions", "64,32") == 1
    assert "the nearest, 0.375-32 in" in capsys.readouterr().err
    assert _run(*words, "--size", "5MB", "--widths", "0.375", "--resolutions", "32", "--json") in (0, 1)
    out, err = capsys.readouterr()
    assert "1 candidates, 1 within the budget" in err
    found = json.loads(out)
    assert [(row["width_multiplier"], row["resolution"]) for row in found["candidates"]] == [(0.375, 32)]
    assert _run(*words, "--size", "5MB", "--widths", "0.25", "--resolutions", "32") == 2
    assert "contains another search: widths was [0.375] and is [0.25]; choose another --out" in capsys.readouterr().err


def test_crops_are_as_large_as_they_are_asked_for(photos: Path, device: Path, tmp_path: Path) -> None:
    """Nothing else of the recipe changes, from random weights as from others."""
    run, limits = tmp_path / "weights", ["--size", "5MB", "--widths", "0.25", "--resolutions", "32"]
    words = ["--width", "0.25", "--resolution", "32", "--epochs", "1", "--out", str(run)]
    assert main(["train", str(photos), *words]) == 0
    for start in ([], ["--weights", run]):
        found = []
        for number, more in enumerate(([], ["--crop-area", "0.8"])):
            out = tmp_path / f"fit-{len(start)}-{number}"
            assert _run(*_words(photos, device, out)[:-1], 1, *limits, *start, *more) in (0, 1)
            found.append(json.loads((out / "runs" / "0.25-32" / "config.json").read_text())["plan"])
        usual, larger = found
        assert larger["augmentation"].pop("crop_area") == [0.8, 1.0]
        assert usual["augmentation"].pop("crop_area") == ([0.25, 1.0] if start else [0.5, 1.0])
        assert larger == usual


def test_where_nothing_is_inside_the_nearest_is_named(
    photos: Path, device: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(*_words(photos, device, tmp_path / "fit"), "--latency", "0.0001ms") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "no candidate fits the budget of 0.0001 ms at p95, 10% of latency in reserve; the nearest, 0.25-32 in" in err
    assert not (tmp_path / "fit" / "runs").exists()
    needed = err.split(" of memory; try ")[1].split()
    assert _run(*_words(photos, device, tmp_path / "fit")[:-1], 1, *needed) in (0, 1)
    assert "1 within the budget" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no budget is given; use --latency 5ms"),
        (["--latency", "5"], "'5' is not a valid latency; write a number and a unit (ms, us, µs, s), such as 5ms"),
        (["--latency", "5kB"], "'5kB' is not a valid latency"),
        (["--size", "-1kB"], "'-1kB' is not a valid size"),
        (["--accuracy", "90"], "an accuracy of 90 is out of range"),
        (["--size", "1MB", "--runtime", "torch"], "torch cannot verify a file"),
        (["--size", "1MB", "--threads", "3"], "does not contain litert or onnxruntime with --threads 3; it has:"),
        (
            ["--latency", "5ms", "--reserve", "-10%"],
            "'-10%' is not a valid share; write a number and a unit (%), such as 10%",
        ),
        (["--latency", "5ms", "--reserve", "10"], "a reserve of 10 is out of range; use a fraction such as 0.1"),
        (["--size", "1MB", "--epochs", "0"], "epochs 0 is out of range"),
        (["--size", "1MB", "--widths", "0.25,0.3"], "the device profile has no width 0.3; choose from 0.25, 0.375"),
        (["--size", "1MB", "--resolutions", "96"], "the device profile has no resolution 96; choose from 32, 64"),
        (["--size", "1MB", "--crop-area", "2"], "smallest crop area 2 is out of range; use 0.01 to 1"),
        (["--size", "1MB", "--widths", "a,b"], "'a,b' is not a comma-separated list of numbers"),
    ],
)
def test_wrong_input_is_one_line(
    words: list[str], message: str, photos: Path, device: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(photos, "--device", device, "--out", tmp_path / "fit", *words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err.replace("onnxruntime or litert", "litert or onnxruntime")


def test_a_profile_of_another_version_is_refused(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "old.json"
    path.write_text('{"kind": "device profile", "format": 0}')
    assert _run(photos, "--device", path, "--out", tmp_path / "fit", "--size", "1MB") == 2
    err = capsys.readouterr().err
    assert f"{path} is a device profile of format 0, this version reads 1; make one with mobilenet benchmark" in err


def test_a_budget_of_another_device_is_kept_by_its_profile(
    photos: Path, device: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A device a thousand times slower: nothing here says how fast the file is there."""
    profile = json.loads(device.read_text())
    profile["environment"]["processor"] = "ARM Cortex-M7"
    for curve in profile["curves"]:
        for point in curve["points"]:
            point["p50_ms"], point["p95_ms"] = 1000 * point["p50_ms"], 1000 * point["p95_ms"]
    slow = tmp_path / "slow.json"
    slow.write_text(json.dumps(profile))
    assert _run(*_words(photos, slow, tmp_path / "fit"), "--size", "400kB", "--latency", "1s", "--json") == 0
    out, err = capsys.readouterr()
    assert "the profile is of another device (ARM Cortex-M7): latency and memory are estimated" in err
    chosen = json.loads(out)["chosen"]
    assert chosen["estimated"]
    (timing,) = measure([Contender(json.loads(out)["model"], "litert", 1)], Settings(0.1)).timings
    assert chosen["p95_ms"] > 20 * timing.p95_ms
    page = (tmp_path / "fit" / "report.html").read_text("utf-8")
    assert "not measured there" in page
    assert "as measured" not in page


def test_a_moved_folder_and_more_photos(
    photos: Path, device: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], paint: Callable[..., Path]
) -> None:
    words = ["--size", "400kB", "--accuracy", "50%", "--json"]
    assert _run(*_words(photos, device, tmp_path / "fit"), *words) == 0
    (tmp_path / "fit" / "model.onnx").write_bytes(b"of a search that chose otherwise")
    assert _run(*_words(photos, device, tmp_path / "fit"), *words) == 0
    assert not (tmp_path / "fit" / "model.onnx").exists()
    (tmp_path / "fit").rename(tmp_path / "moved")
    (tmp_path / "moved" / "model.tflite").unlink()
    assert _run(*_words(photos, device, tmp_path / "moved"), *words) == 0
    assert (tmp_path / "moved" / "model.tflite").exists()
    capsys.readouterr()
    paint(photos / "train" / "red" / "another.png", "red", 7)
    assert _run(*_words(photos, device, tmp_path / "moved"), *words) == 2
    assert "contains another search: it began with different photos; choose another --out" in capsys.readouterr().err


def test_weights_that_are_narrower_than_all_candidates(
    photos: Path, device: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "narrow"
    words = ["--width", "0.125", "--resolution", "32", "--epochs", "1", "--out", str(run)]
    assert main(["train", str(photos), *words]) == 0
    assert _run(*_words(photos, device, tmp_path / "fit"), "--size", "1MB", "--weights", run) == 2
    assert "all weights to start from are narrower than any candidate; give --weights of width 0.25 or" in (
        capsys.readouterr().err
    )


def test_another_budget_in_the_same_folder_is_refused(
    photos: Path, device: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fit").mkdir()
    Journal(tmp_path / "fit" / "search.json", {"size_bytes": 1}, {}).step("train", dict)
    assert _run(*_words(photos, device, tmp_path / "fit"), "--size", "400kB") == 2
    err = capsys.readouterr().err
    assert "contains another search: " in err
    assert "; size bytes was 1 and is 400000; " in err
    assert "it began with different photos; " in err


def test_files_of_somebody_else_are_left_alone(
    photos: Path, device: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    for name in ("model.onnx", "device.json"):
        (tmp_path / "mine" / name).write_bytes(b"mine")
    assert _run(*_words(photos, device, tmp_path / "mine"), "--size", "400kB") == 2
    assert "mine contains device.json and model.onnx but no search; choose another --out" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["device.json", "model.onnx"]


def test_a_search_goes_on_with_photos_that_have_moved(
    photos: Path, device: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in mid-training, with a checkpoint."""
    words = ["--size", "400kB", "--json"]

    def stop(_: object, done: dict[str, Any]) -> None:
        if done["epoch"] == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mobilenet.cli.fit.progress._Training.epoch", stop)
        assert _run(*_words(photos, device, tmp_path / "fit"), *words) == 143
    photos.rename(tmp_path / "moved photos")
    capsys.readouterr()
    assert _run(*_words(tmp_path / "moved photos", device, tmp_path / "fit"), *words) == 0
    assert json.loads(capsys.readouterr().out)["chosen"]["accuracy"] > 0.5


def test_eight_photos_of_which_one_is_broken_are_too_few_for_8_bits(
    device: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], paint: Callable[..., Path]
) -> None:
    for colour in ("red", "blue"):
        for number in range(6):
            part = "train" if number < 4 else "validation"
            paint(tmp_path / "few" / part / colour / f"{number}.png", colour, 5 * number)
    (tmp_path / "few" / "train" / "red" / "0.png").write_bytes(b"no photo")
    assert _run(*_words(tmp_path / "few", device, tmp_path / "fit")[:-1], 1, "--size", "1MB", "--json") == 0
    assert json.loads(capsys.readouterr().out)["chosen"]["precision"] == "float32"
