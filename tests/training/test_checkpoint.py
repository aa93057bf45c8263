"""Checkpoints on a disk: whole or not there, and whatever is damaged is noticed."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from mobilenet.errors import ModelError, StorageError
from mobilenet.training.resume.checkpoint import Checkpoints


def _save(store: Checkpoints, step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    store.save(
        {"step": step, "metrics": [{"epoch": 1, "loss": 0.1 + step}]}, {"a": torch.rand(7, 3, generator=generator)}
    )


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    store = Checkpoints(tmp_path / "run", 2)
    assert not store
    assert store.load() is None
    tensors = {
        "half": torch.rand(3, 2).bfloat16(),
        "turned": torch.rand(2, 3).T,
        "planes": torch.rand(1, 2, 3, 4).contiguous(memory_format=torch.channels_last),
        "scalar": torch.tensor(3),
    }
    store.save({"step": 3, "nothing": None, "share": 1 / 3}, tensors)
    saved = store.load()
    assert store
    assert saved is not None
    assert saved.fields == {"step": 3, "nothing": None, "share": 1 / 3}
    assert saved.tensors.keys() == tensors.keys()
    assert all(torch.equal(saved.tensors[name], tensors[name]) for name in tensors)
    assert saved.damaged == ()


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_last_few_are_kept(tmp_path: Path, keep: int) -> None:
    for step in range(1, 6):
        _save(Checkpoints(tmp_path, keep), step)
    names = sorted(path.name for path in tmp_path.iterdir())
    numbers = [f"{number:06d}" for number in range(6 - keep, 6)]
    assert names == sorted(f"{number}{ending}" for number in numbers for ending in (".json", ".safetensors"))


def test_any_bit_that_flips_and_any_cut_is_noticed(tmp_path: Path) -> None:
    store = Checkpoints(tmp_path, 2)
    _save(store, 1)
    _save(store, 2)
    generator = np.random.default_rng(0)
    for path in (tmp_path / "000002.json", tmp_path / "000002.safetensors"):
        whole = path.read_bytes()
        bits = generator.choice(8 * len(whole), 150, replace=False).tolist()
        damaged = [whole[:cut] for cut in generator.choice(len(whole), 30, replace=False)]
        for bit in bits:
            flipped = bytearray(whole)
            flipped[bit // 8] ^= 1 << bit % 8
            damaged.append(bytes(flipped))
        for data in damaged:
            path.write_bytes(data)
            saved = Checkpoints(tmp_path, 2).load()
            assert saved is not None
            assert saved.fields["step"] == 1
            assert len(saved.damaged) == 1
            assert "000002.json is damaged: " in saved.damaged[0]
        path.write_bytes(whole)
    saved = Checkpoints(tmp_path, 2).load()
    assert saved is not None
    assert saved.fields["step"] == 2


def test_another_spelling_of_the_same_values_is_no_checkpoint_of_ours(tmp_path: Path) -> None:
    _save(Checkpoints(tmp_path, 2), 1)
    path = tmp_path / "000001.json"
    path.write_text(json.dumps(json.loads(path.read_text()), indent=1))
    with pytest.raises(ModelError, match=r"no checkpoint is intact: .*its checksum differs; start a new run"):
        Checkpoints(tmp_path, 2).load()


def test_a_damaged_one_makes_room_when_the_next_is_saved(tmp_path: Path) -> None:
    store = Checkpoints(tmp_path, 2)
    for step in (1, 2):
        _save(store, step)
    (tmp_path / "000002.safetensors").write_bytes(b"")
    again = Checkpoints(tmp_path, 2)
    again.load()
    _save(again, 3)
    assert sorted(path.name for path in tmp_path.glob("*.json")) == ["000001.json", "000003.json"]


def test_what_a_killed_save_leaves_is_removed(tmp_path: Path) -> None:
    store = Checkpoints(tmp_path, 2)
    _save(store, 1)
    (tmp_path / "000002.safetensors").write_bytes(b"whole, but its JSON was never written")
    (tmp_path / ".000002.json.abc.part").write_bytes(b"half")
    saved = Checkpoints(tmp_path, 2).load()
    assert saved is not None
    assert saved.fields["step"] == 1
    assert saved.damaged == ()
    Checkpoints(tmp_path, 2).tidy()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000001.json", "000001.safetensors"]


@pytest.mark.parametrize("ending", [".safetensors", ".json"])
def test_a_save_that_fails_leaves_the_others_and_nothing_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    store = Checkpoints(tmp_path, 1)
    _save(store, 1)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    replace = Path.replace

    def full(self: Path, target: Path) -> Path:
        if target.suffix == ending:
            raise OSError(28, os.strerror(28))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StorageError, match="no space left on device; free some space and run again"):
        _save(store, 2)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
