"""A path becomes an engine, or one line that says what would."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mobilenet.errors import ConfigError, ModelError
from mobilenet.runtimes import ENGINES, model_file, open_model


def test_a_run_folder_means_its_model(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    assert model_file(tmp_path) == tmp_path / "model.safetensors"
    assert model_file(tmp_path / "model.safetensors") == tmp_path / "model.safetensors"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (".", "no model.safetensors in"),
        ("absent", "no model at"),
        ("absent.safetensors", "no model at"),
        ("weights.pkl", r"weights.pkl ends in '.pkl'"),
        ("weights", r"weights ends in 'nothing'"),
    ],
)
def test_what_is_no_model_is_one_line_with_the_remedy(tmp_path: Path, name: str, message: str) -> None:
    for existing in ("weights.pkl", "weights"):
        (tmp_path / existing).touch()
    with pytest.raises(ModelError, match=message) as error:
        open_model(tmp_path / name)
    assert "a model is a run folder with model.safetensors, or a file ending in .safetensors, .tflite, .onnx" in str(
        error.value
    )
    assert "\n" not in str(error.value)


def test_an_engine_that_does_not_run_such_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(ConfigError, match=r"litert cannot run .safetensors files \(.*\); use torch"):
        open_model(tmp_path, "litert")


def test_an_engine_that_is_not_installed_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = replace(ENGINES["litert"], module="ai_edge_litert.gone")
    monkeypatch.setitem(ENGINES, "litert", gone)
    (tmp_path / "model.tflite").touch()
    with pytest.raises(ModelError, match=r"model.tflite needs ai_edge_litert; pip install 'mobilenet\[litert\]'"):
        open_model(tmp_path / "model.tflite")


def test_importing_runtimes_loads_no_torch() -> None:
    script = "import sys, mobilenet.runtimes, mobilenet.evaluate; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_a_model_file_opens_with_the_engine_that_runs_it(tmp_path: Path) -> None:
    from mobilenet.images import Preprocessing
    from mobilenet.model.card import ModelCard
    from mobilenet.nn.model_file import write_model
    from mobilenet.nn.network import TableNetwork

    card = ModelCard("mobilenet_v1", 0.25, 32, ("cat", "dog", "owl"), Preprocessing(32), task="classification")
    write_model(tmp_path / "model.safetensors", TableNetwork(card.network()).eval(), card)
    predictor = open_model(tmp_path)
    probabilities = predictor.predict(np.zeros((2, 32, 32, 3), np.uint8))["probabilities"]
    assert (predictor.labels, predictor.task, predictor.preprocessing) == (card.labels, card.task, Preprocessing(32))
    assert (probabilities.shape, probabilities.dtype) == ((2, 3), np.float32)
    # float32 rounding
    assert probabilities.sum(axis=1) == pytest.approx([1, 1], abs=1e-6)
