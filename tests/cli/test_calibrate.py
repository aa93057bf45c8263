"""`mobilenet calibrate` as a user calls it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.tasks.embedding.mosaics import write_mosaics
from tests.training.conftest import MODEST, QUICK, draw_photos

from mobilenet.cli.main import main
from mobilenet.model.arrays import read_arrays
from mobilenet.runtimes.predictor import open_model
from mobilenet.training.run import train
from mobilenet.training.settings import TrainingSettings


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Those of training: dark and bright."""
    return draw_photos(tmp_path / "photos")


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """60 dark and bright photos; one in six is in the wrong folder."""
    monkeypatch.setenv("MOBILENET_CACHE", str(tmp_path / "cache"))
    generator = np.random.default_rng(1)
    for name in ("dark", "bright"):
        (tmp_path / "shop" / name).mkdir(parents=True)
        for number in range(30):
            bright = (name == "bright") ^ (number % 6 == 0)
            pixels = generator.integers(128 * bright, 128 * bright + 100, (48, 40, 3), dtype=np.uint8)
            pixels[..., int(bright)] += 28
            Image.fromarray(pixels).save(tmp_path / "shop" / name / f"{number}.png")
    return tmp_path / "shop"


def _evaluated(model: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["evaluate", str(model), str(data), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_confidence_is_fitted_to_other_photos(
    photos: Path, shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    train(TrainingSettings(photos, **{**QUICK, **MODEST}), run)
    before = _evaluated(run, shop, capsys)
    assert main(["calibrate", str(run), str(shop)]) == 0
    out, _ = capsys.readouterr()
    assert "temperature " in out
    assert out.splitlines()[-1] == f"model   {run / 'model-calibrated.safetensors'}"
    after = _evaluated(run / "model-calibrated.safetensors", shop, capsys)
    assert after["top1"] == before["top1"]
    assert after["loss"] < before["loss"]
    # The weights are the same but for the last layer, and what is fitted leaves nothing to fit.
    words = [str(run / "model-calibrated.safetensors"), str(shop), "--out", str(tmp_path / "again.safetensors")]
    first, second = (read_arrays(run / f"model{end}.safetensors") for end in ("", "-calibrated"))
    changed = {name for name, values in first[1].items() if not np.array_equal(values, second[1][name])}
    assert changed == {"classifier.weight", "classifier.bias"}
    factor = first[1]["classifier.weight"] / second[1]["classifier.weight"]
    wanted = second[0].temperatures["probabilities"] / first[0].temperatures.get("probabilities", 1)
    assert factor == pytest.approx(np.full_like(factor, wanted), rel=1e-4)
    assert main(["calibrate", *words]) == 2
    assert "nothing was fitted, and nothing written; no temperature: " in capsys.readouterr().err
    assert not (tmp_path / "again.safetensors").exists()
    assert main(["calibrate", str(run), str(shop), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["temperatures"] == second[0].temperatures
    assert found["evaluation"]["photos"] == 60


def test_a_threshold_is_fitted_to_pairs(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, mosaics = tmp_path / "run", write_mosaics(tmp_path / "mosaics", 2, 4)
    train(TrainingSettings(photos, task="embedding", **{**QUICK, "epochs": 1}), run)
    files = [mosaics / f"kind{kind}" / f"{number:02d}.png" for number in range(4) for kind in range(2)]
    pairs = [(a, b) for place, a in enumerate(files) for b in files[:place] if a.parent != b.parent]
    rows = [f"{a},{b},0" for a, b in pairs] + [f"{files[0]},{files[2]},1"]
    (tmp_path / "pairs.csv").write_text("\n".join(["first,second,same", *rows]))
    words = ["calibrate", str(run), str(tmp_path / "pairs.csv"), "--json", "--task-option"]
    assert main([*words, "false_accept_rate=0.25"]) == 0
    found = json.loads(capsys.readouterr().out)
    model = open_model(run)
    images = np.stack(
        [np.asarray(Image.open(file).resize((32, 32), Image.Resampling.BOX, reducing_gap=None)) for file in files]
    )
    vectors = dict(zip(files, model.predict(images)["embedding"], strict=True))
    similarities = sorted((float(vectors[a] @ vectors[b]) for a, b in pairs), reverse=True)
    # A quarter of the 16 pairs of two classes: four are at or above the threshold, the fifth is not.
    assert similarities[4] - 2e-3 <= found["decoding"]["threshold"] <= similarities[3] + 2e-3
    at = found["evaluation"]["verification"]["at_threshold"]
    assert (at["false_accept_rate"], at["fitted_for"]) == (0.25, 0.25)
    card, _ = read_arrays(run / "model-calibrated.safetensors")
    assert card.decoding == found["decoding"]
    # The rate that a file was fitted for stays its rate, and too few pairs change nothing.
    (tmp_path / "pairs.csv").write_text("\n".join(["first,second,same", *rows[:2], rows[-1]]))
    few = str(tmp_path / "few.safetensors")
    assert main(["calibrate", found["model"], str(tmp_path / "pairs.csv"), "--out", few]) == 2
    line = "no threshold for a false-accept rate of 0.25: 2 pairs of two classes are too few; 4 are needed"
    assert line in capsys.readouterr().err
    assert not Path(few).exists()


def test_what_cannot_be_calibrated_is_refused(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", str(tmp_path), str(shop), "--out", str(tmp_path / "new.onnx")]) == 2
    assert "use a name that ends in .safetensors" in capsys.readouterr().err
    (tmp_path / "model.tflite").write_bytes(b"TFL3")
    assert main(["calibrate", str(tmp_path / "model.tflite"), str(shop)]) == 2
    assert "is an exported file; calibrate the run or the .safetensors file" in capsys.readouterr().err
