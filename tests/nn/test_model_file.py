"""A model file carries everything, and anything else is refused in one line."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mobilenet.errors import MobilenetError, ModelError
from mobilenet.images import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.nn.model_file import read_model, write_model
from mobilenet.nn.network import TableNetwork

_LABELS = ("Äpfel", "a/b", "c\n", "caf\udce9")
_CARD = ModelCard("mobilenet_v1", 0.25, 64, _LABELS, Preprocessing(64), provenance={"seed": 3}, task="classification")


def _written(folder: Path) -> Path:
    write_model(folder / "model.safetensors", TableNetwork(_CARD.network()), _CARD)
    return folder / "model.safetensors"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    network = TableNetwork(_CARD.network())
    write_model(tmp_path / "m.safetensors", network, _CARD)
    again, card = read_model(tmp_path / "m.safetensors")
    assert card == _CARD
    for name, value in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)


@pytest.mark.parametrize("keep", [0, 5, 100, 50_000, -1])
def test_a_file_that_was_cut_off_is_refused(tmp_path: Path, keep: int) -> None:
    path = _written(tmp_path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelError, match="is not a safetensors file, or is damaged"):
        read_model(path)


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(2)}, tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match="not a model of this tool"):
        read_model(tmp_path / "x.safetensors")


def test_a_missing_and_a_strange_tensor_are_both_named(tmp_path: Path) -> None:
    tensors = TableNetwork(_CARD.network()).state_dict()
    del tensors["classifier.bias"]
    tensors["extra"] = torch.zeros(1)
    tensors["stem.conv.weight"] = torch.zeros(1)
    save_file(tensors, tmp_path / "m.safetensors", {"mobilenet": _CARD.to_json()})
    with pytest.raises(ModelError, match=r"missing: classifier.bias; unexpected: extra; shapes: stem.conv.weight"):
        read_model(tmp_path / "m.safetensors")


@pytest.mark.parametrize(
    "change",
    [
        {"format": 99},
        {"architecture": "mobilenet_v9"},
        {"resolution": 100},
        {"width_multiplier": "wide"},
        {"preprocessing": {}},
        {"labels": []},
        {"resolution": float("inf")},
        {"width_multiplier": float("inf")},
        {"width_multiplier": 1e6},
    ],
)
def test_a_card_that_makes_no_sense_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    document = {**json.loads(_CARD.to_json()), **change}
    save_file({"x": torch.zeros(2)}, tmp_path / "m.safetensors", {"mobilenet": json.dumps(document)})
    with pytest.raises(MobilenetError, match=r"m\.safetensors"):
        read_model(tmp_path / "m.safetensors")
