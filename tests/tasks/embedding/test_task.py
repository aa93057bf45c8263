"""The parts of the task: what it reads, its figures by hand, its options."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mobilenet.datasets.dataset import open_dataset, open_photos
from mobilenet.errors import ConfigError, DataError, SpecError
from mobilenet.images import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.spec.mobilenet import mobilenet_v1
from mobilenet.tasks import TASKS, configured
from mobilenet.tasks.embedding import Embedding
from mobilenet.tasks.embedding.score import agreement
from mobilenet.tasks.embedding.targets import Identities, Pairings, Vectors

_TASK = Embedding()


def _card(**more: object) -> ModelCard:
    body = mobilenet_v1(0.25, 32, 0)
    return ModelCard(
        "mobilenet_v1", 0.25, 32, (), Preprocessing(32), task="embedding", head=_TASK.head(body, Vocabulary()), **more
    )


def _unit(*rows: tuple[float, ...]) -> np.ndarray:
    vectors = np.array(rows, np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_folders_are_its_only_when_it_is_named(mosaics: Path, tmp_path: Path) -> None:
    assert not _TASK.recognises(mosaics)
    assert next(task for task in TASKS.values() if task.recognises(mosaics)).name == "classification"
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("first,second,same\n")
    assert _TASK.recognises(pairs)


def test_classes_are_not_in_the_vocabulary(mosaics: Path) -> None:
    found = open_dataset(mosaics, _TASK)
    assert found.vocabulary == Vocabulary()
    assert isinstance(found.train.targets, Identities)
    assert found.train.targets.names == ("kind0", "kind1", "kind2", "kind3")
    # One of the 12 photos of each class: a tenth, stratified.
    assert np.bincount(found.validation.targets.strata()).tolist() == [1, 1, 1, 1]
    assert set(found.validation.targets.lines(found.vocabulary)) == {"kind0", "kind1", "kind2", "kind3"}


def test_a_model_is_measured_on_classes_that_it_was_not_trained_on(tmp_path: Path, mosaics: Path) -> None:
    other = tmp_path / "other"
    for name in ("a", "b"):
        (other / name).mkdir(parents=True)
        for photo in sorted((mosaics / "kind0").iterdir())[:2]:
            (other / name / photo.name).write_bytes(photo.read_bytes())
    assert list(open_photos(other, _TASK, Vocabulary()).targets.lines(Vocabulary())) == ["a", "a", "b", "b"]


def test_one_class_is_one_line(tmp_path: Path, mosaics: Path) -> None:
    (tmp_path / "kind0").symlink_to(mosaics / "kind0")
    with pytest.raises(DataError, match=r"has only one class, kind0; put the photos of each class in a folder"):
        open_dataset(tmp_path, _TASK)


def test_figures_by_hand() -> None:
    """Two of class 0 side by side, and two of class 1 that point away from each other, one of them near class 0."""
    vectors = _unit((1, 0), (1, 0.1), (1, 0.3), (-1, -0.2))
    targets = Identities(("a", "b"), np.array([0, 0, 1, 1]))
    found = _TASK.judge({"embedding": vectors}, targets, replace(_card(), decoding={"threshold": 0.5})).figures
    assert (found["recall_at_1"], found["queries"]) == (0.5, 4)
    # Both of class 0 have their mate first; those of class 1 have R = 1 and another photo first.
    assert found["map_at_r"] == 0.5
    assert [row["recall_at_1"] for row in found["per_class"]] == [1, 0]
    at = found["verification"]["at_threshold"]
    # Pairs of one class: cosines near 1 and near -1; of two classes: 2 near 1, 2 near -1.
    assert (at["true_accept_rate"], at["false_accept_rate"]) == (0.5, 0.5)
    assert (found["verification"]["same_pairs"], found["verification"]["different_pairs"]) == (2, 4)
    wrong = _TASK.judge({"embedding": vectors}, targets, _card()).mistakes()
    assert [(one.photo, one.label, one.predicted) for one in wrong] == [(2, "b", "a"), (3, "b", "a")]


def test_the_validation_loss_is_that_of_the_objective() -> None:
    import torch

    from mobilenet.nn.losses import contrastive_loss

    random = np.random.default_rng(0)
    vectors, numbers = _unit(*random.normal(size=(20, 5))), random.integers(0, 6, 20)
    found = _TASK.judge({"embedding": vectors}, Identities(tuple("abcdef"), numbers), _card()).figures["loss"]
    wanted = contrastive_loss(torch.from_numpy(vectors).double(), torch.from_numpy(numbers), 0.1)
    assert found == pytest.approx(float(wanted))


def test_a_threshold_is_fitted_to_pairs_and_kept() -> None:
    random = np.random.default_rng(0)
    raw = random.normal(size=(60, 8)).astype(np.float32)
    targets = Identities(("a", "b"), np.arange(60) % 2)
    found = replace(_TASK, false_accept_rate=0.1).temperatures({"embedding": raw}, {}, targets, _card())
    assert found.by_output == {}
    assert found.decoding["false_accept_rate"] == 0.1
    unit = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    card = replace(_card(), decoding=dict(found.decoding))
    at = _TASK.judge({"embedding": unit}, targets, card).figures["verification"]["at_threshold"]
    assert at["false_accept_rate"] == pytest.approx(0.1, abs=2 / 900)
    few = _TASK.temperatures({"embedding": raw[:6]}, {}, targets.take(np.arange(6)), _card())
    assert few.decoding == {}
    assert few.figures["threshold"]["note"] == "9 pairs of two classes are too few; 100 are needed"


def test_pairs_measure_verification_alone(tmp_path: Path, mosaics: Path) -> None:
    lines = [f"{mosaics}/kind0/00.png,{mosaics}/kind0/01.png,1", f"{mosaics}/kind0/00.png,{mosaics}/kind1/00.png,0"]
    (tmp_path / "pairs.csv").write_text("\n".join(["first,second,same", *lines, "a.png,,1", "a.png,b.png,maybe"]))
    photos = open_photos(tmp_path / "pairs.csv", _TASK, Vocabulary())
    assert len(photos) == 3
    assert isinstance(photos.targets, Pairings)
    assert photos.targets.same.tolist() == [True, False]
    vectors = _unit((1, 0), (1, 0.1), (0, 1))
    found = _TASK.judge({"embedding": vectors}, photos.targets, _card()).figures
    assert found["recall_at_1"] is None
    assert found["loss"] == pytest.approx((1 - vectors[0] @ vectors[1]) / 2, abs=1e-6)
    assert (found["verification"]["same_pairs"], found["verification"]["different_pairs"]) == (1, 1)
    for part in (_TASK.headline, _TASK.sections, _TASK.summary):
        part(type("Found", (), {"photos": 3, "figures": found})())
    with pytest.raises(DataError, match="contains pairs, which only measure a model"):
        open_dataset(tmp_path / "pairs.csv", _TASK)


def test_pairs_follow_their_photos() -> None:
    pairs = Pairings(4, np.array([[0, 1], [1, 3], [2, 3]]), np.array([True, False, True]))
    assert list(pairs.lines(Vocabulary())) == [[[1, 1]], [[3, 0]], [[3, 1]], []]
    kept = pairs.take(np.array([3, 1]))
    assert (len(kept), kept.pairs.tolist(), kept.same.tolist()) == (2, [[1, 0]], [False])


def test_a_teacher_is_agreed_with() -> None:
    theirs = _unit((1, 0), (0, 1), (-1, 0))
    found = _TASK.judge(
        {"embedding": theirs[[0, 1, 1]]}, _TASK.answered({"embedding": theirs}, Vocabulary()), _card()
    ).figures
    assert found["recall_at_1"] == pytest.approx(2 / 3)
    assert found["loss"] == pytest.approx(2 / 3)
    assert isinstance(_TASK.answered({"embedding": theirs}, Vocabulary()), Vectors)
    for part in (_TASK.headline, _TASK.sections, _TASK.summary):
        part(type("Found", (), {"photos": 3, "figures": found})())


def test_agreement_is_of_photos_whose_vectors_stay_their_own() -> None:
    theirs = _unit((1, 0), (0, 1), (-1, 0))
    turned = _unit((1, 0.2), (0.6, 1), (-1, 0))
    assert agreement(theirs, theirs) == 1
    # The second is still nearest to its own, but at a cosine of 0.86.
    assert agreement(turned, theirs) == pytest.approx(2 / 3)
    # Copies of a photo are all its own.
    assert agreement(theirs[[0, 0, 1]], theirs[[0, 0, 1]]) == 1
    assert agreement(theirs[[1, 0, 2]], theirs) == pytest.approx(1 / 3)


def test_options_are_checked() -> None:
    task = configured(_TASK, (("loss", "contrastive"), ("dimensions", "64"), ("false_accept_rate", "1e-3")))
    assert task == Embedding(loss="contrastive", dimensions=64, false_accept_rate=0.001)
    body = mobilenet_v1(0.25, 32, 0)
    for options, line in (
        ((("margin", "1"),), "unknown option 'margin' of embedding; its options are loss, dimensions, distance, "),
        ((("loss", "triplet"),), "unknown loss 'triplet'; use one of arcface, contrastive"),
        ((("dimensions", "many"),), "dimensions=many is not a whole number; give a whole number"),
        ((("false_accept_rate", "2"),), "false-accept rate 2 is out of range; use 0.01"),
    ):
        with pytest.raises(ConfigError) as error:
            configured(_TASK, options)
        assert str(error.value).startswith(line)
    with pytest.raises(ConfigError, match="unknown option 'a' of classification; it has no options"):
        configured(TASKS["classification"], (("a", "b"),))
    assert _TASK.head(body, Vocabulary()).outputs[0].shape == (128,)
    assert _TASK.head(body, Vocabulary((), {"dimensions": 0})).outputs[0].shape == (256,)
    for wrong in (1, 20_000, "8", True):
        with pytest.raises(SpecError):
            _TASK.head(body, Vocabulary((), {"dimensions": wrong}))
