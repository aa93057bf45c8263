"""Attributes from a teacher: by its own thresholds, and by the names that it and the data have in common."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mobilenet.errors import ConfigError, DataError
from mobilenet.images import Preprocessing
from mobilenet.images.prepare import prepare_photos
from mobilenet.model.arrays import read_arrays
from mobilenet.model.card import ModelCard
from mobilenet.nn.model_file import write_model
from mobilenet.nn.network import TableNetwork
from mobilenet.runtimes.predictor import open_model
from mobilenet.tasks import DEFAULT, card_ending_in
from mobilenet.training.run import train
from mobilenet.training.settings import TrainingSettings
from mobilenet.training.teacher.settings import Teaching

NAMES = ("red", "round", "large")
_QUICK: dict[str, Any] = {
    "width_multiplier": 0.1,
    "resolution": 32,
    "epochs": 1,
    "batch_size": 8,
    "device": "cpu",
    "precision": "float32",
}


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Forty photos of a colour each, which look the same however they are shrunk."""
    monkeypatch.setenv("MOBILENET_CACHE", str(tmp_path / "cache"))
    (tmp_path / "pool").mkdir()
    for number in range(40):
        colour = tuple(np.random.default_rng(number).integers(0, 256, 3).tolist())
        Image.new("RGB", (40, 40), colour).save(tmp_path / "pool" / f"{number:02d}.png")
    return tmp_path / "pool"


@pytest.fixture
def teacher(pool: Path, tmp_path: Path) -> Path:
    """A network of random weights; each attribute is above its threshold on half of the photos."""
    card = card_ending_in(ModelCard("mobilenet_v1", 0.1, 32, NAMES, Preprocessing(32), task=DEFAULT), "sigmoid")
    torch.manual_seed(0)
    network = TableNetwork(card.network(), card.outputs).eval()
    with torch.no_grad():
        # Far enough from a threshold that another order of sums does not matter.
        network.get_parameter("classifier.weight").mul_(30)
        network.get_parameter("classifier.bias").copy_(torch.tensor([-2.0, 2.0, 0.0]))
    card.decoding["thresholds"] = [0.5, 0.5, 0.5]
    write_model(tmp_path / "teacher.safetensors", network, card)
    card.decoding["thresholds"] = np.median(_probabilities(tmp_path / "teacher.safetensors", pool), axis=0).tolist()
    write_model(tmp_path / "teacher.safetensors", network, card)
    return tmp_path / "teacher.safetensors"


def _probabilities(model: Path, pool: Path) -> np.ndarray:
    predictor, names = open_model(model), [f"{number:02d}.png" for number in range(40)]
    found = prepare_photos(predictor.preprocessing, lambda name: pool / name, names)
    return np.concatenate([predictor.predict(prepared[0][None])["probabilities"] for _, prepared in found])


def test_held_out_photos_are_answered_by_the_thresholds_of_the_teacher(
    pool: Path, teacher: Path, tmp_path: Path
) -> None:
    settings = TrainingSettings(pool, teacher=Teaching(teacher, views=1), validation_fraction=0.5, **_QUICK)
    train(settings, tmp_path / "run")
    limits = read_arrays(teacher)[0].decoding["thresholds"]
    said = (_probabilities(teacher, pool) >= limits).tolist()
    lines = [json.loads(line) for line in (tmp_path / "run" / "photos.jsonl").read_text().splitlines()]
    held_out = {Path(file).stem: label for split, file, label, _ in lines if split == "validation"}
    assert len(held_out) == 20
    for stem, label in held_out.items():
        wanted = [name for name, there in zip(NAMES, said[int(stem)], strict=True) if there]
        assert label == (";".join(wanted) or "-"), stem
    # By one half, round would be on all of them and red on none.
    assert 0 < sum("red" in label for label in held_out.values()) < 20
    assert 0 < sum("round" in label for label in held_out.values()) < 20


@pytest.mark.parametrize("folders", [1, 2])
@pytest.mark.parametrize("kind", ["attributes", DEFAULT])
def test_a_pool_in_folders_is_not_taken_for_classes(
    pool: Path, teacher: Path, tmp_path: Path, folders: int, kind: str
) -> None:
    """With the option that the error names, it is learned from."""
    if kind == DEFAULT:
        card = ModelCard("mobilenet_v1", 0.1, 32, NAMES, Preprocessing(32), task=DEFAULT)
        write_model(teacher, TableNetwork(card.network(), card.outputs).eval(), card)
    for photo in sorted(pool.iterdir()):
        (pool / f"day{int(photo.stem) % folders}").mkdir(exist_ok=True)
        photo.rename(pool / f"day{int(photo.stem) % folders}" / photo.name)
    settings = TrainingSettings(pool, teacher=Teaching(teacher, views=1), **_QUICK)
    with pytest.raises((ConfigError, DataError), match=r"; photos without labels are given with --unlabelled FOLDER$"):
        train(settings, tmp_path / "run")
    train(replace(settings, teacher=Teaching(teacher, views=1, unlabelled=(pool,))), tmp_path / "run")


def _table(pool: Path, *names: str) -> Path:
    rows = [
        ",".join([f"pool/{number:02d}.png", *(str(number // 2**place % 2) for place in range(len(names)))])
        for number in range(40)
    ]
    table = pool.parent / "table.csv"
    table.write_text("\n".join([",".join(["file", *names]), *rows]))
    return table


def test_a_teacher_of_more_attributes_in_another_order(pool: Path, teacher: Path, tmp_path: Path) -> None:
    settings = TrainingSettings(_table(pool, "large", "red"), teacher=Teaching(teacher, views=1), **_QUICK)
    found = train(settings, tmp_path / "run")
    card, _ = read_arrays(tmp_path / "run" / "model.safetensors")
    assert card.labels == ("large", "red")
    # So few validation photos are too few to fit thresholds to, and those of the teacher are for others.
    assert card.decoding["thresholds"] == [0.5, 0.5]
    assert [row["label"] for row in found.evaluation.figures["per_attribute"]] == ["large", "red"]


@pytest.mark.parametrize(
    ("names", "unknown"),
    [
        (("red", "blue"), "does not know 1 of the student's 2 attributes: 'blue'"),
        (("blue", *NAMES), "does not know 1 of the student's 4 attributes: 'blue'"),
        (("blue", "green"), "does not know 2 of the student's 2 attributes: 'blue', 'green'"),
    ],
)
def test_a_teacher_that_lacks_attributes_is_refused(
    pool: Path, teacher: Path, tmp_path: Path, names: tuple[str, ...], unknown: str
) -> None:
    settings = TrainingSettings(_table(pool, *names), teacher=Teaching(teacher, views=1), **_QUICK)
    with pytest.raises(ConfigError, match=f"{unknown}; it knows 'red', 'round', 'large'"):
        train(settings, tmp_path / "run")
    assert not (tmp_path / "run").exists()
