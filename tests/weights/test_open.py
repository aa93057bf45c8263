"""Weights to start from: the same network whether they are given as a run folder or as its model file."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from mobilenet.errors import ModelError
from mobilenet.images.preprocessing import Preprocessing
from mobilenet.model.arrays import write_arrays
from mobilenet.model.card import ModelCard
from mobilenet.nn.network import TableNetwork
from mobilenet.weights.open import open_weights


def test_a_run_folder_and_its_model_file_are_the_same_weights(tmp_path: Path) -> None:
    card = ModelCard("mobilenet_v1", 0.25, 32, ("cat", "dog"), Preprocessing(32), task="classification")
    file = tmp_path / "model.safetensors"
    state = TableNetwork(card.network(), card.outputs).state_dict()
    write_arrays(file, card, {name: values.numpy() for name, values in state.items()})
    for source in (tmp_path, file):
        found = open_weights(str(source))
        assert found.file == file
        assert found.card == card
        assert found.arrays.keys() == state.keys()
        for name, values in load_file(str(file)).items():
            assert np.array_equal(found.arrays[name], values)


def test_what_is_no_model_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model.safetensors in"):
        open_weights(str(tmp_path))
    with pytest.raises(ModelError, match=r"gone.tflite does not exist"):
        open_weights(str(tmp_path / "gone.tflite"))
