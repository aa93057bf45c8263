"""The evaluator, with a predictor whose answers are known."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mobilenet.datasets import LeftOut
from mobilenet.errors import DataError, ModelError
from mobilenet.evaluate import Evaluation, Mistake, evaluate
from mobilenet.images import Preprocessing
from mobilenet.metrics.classification import wilson_interval
from mobilenet.model.card import ModelCard
from mobilenet.tasks.classification import Classification, ClassTargets
from mobilenet.tasks.task import Region

LABELS = ("cat", "dog", "owl")
ANSWERS = np.array(
    [[0.7, 0.2, 0.1], [0.5, 0.1, 0.4], [0.25, 0.5, 0.25], [0.1, 0.1, 0.8], [0.9, 0.05, 0.05]], np.float32
)
TRUE = ClassTargets(np.array([0, 2, 1, 0, 1]))
FILES = ("a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg")


class Oracle:
    """Answers with the row of `ANSWERS` that is written into the first pixel."""

    labels = LABELS
    task = "classification"
    preprocessing = Preprocessing(32)

    def __init__(self, answers: NDArray[np.float32] = ANSWERS) -> None:
        self.answers = answers
        self.card = ModelCard("mobilenet_v1", 0.25, 32, self.labels, self.preprocessing, task=self.task)
        self.batches: list[int] = []

    def predict(self, images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        self.batches.append(len(images))
        return {"probabilities": self.answers[images[:, 0, 0, 0]]}


class Lazy:
    """Photos behind `.batch`, as a cache offers them."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, indices: NDArray[np.int64], /) -> NDArray[np.uint8]:
        return self.images[indices]


def _evaluated(
    predictor: Oracle, targets: ClassTargets = TRUE, files: tuple[str, ...] = FILES, **options: Any
) -> Evaluation:
    return evaluate(predictor, Classification(), _images(len(files)), targets, files, **options)


def _images(photos: int = 5) -> NDArray[np.uint8]:
    images = np.zeros((photos, 2, 2, 3), np.uint8)
    images[:, 0, 0, 0] = np.arange(photos)
    return images


def test_every_figure_by_hand() -> None:
    result = _evaluated(Oracle())
    figures = result.figures
    assert (result.task, result.photos) == ("classification", 5)
    assert figures["top1"] == 2 / 5
    assert figures["top1_interval"] == list(wilson_interval(2, 5))
    assert figures["top5"] is None
    assert figures["loss"] == pytest.approx(-np.log([0.7, 0.4, 0.5, 0.1, 0.05]).mean(), rel=1e-6)
    assert figures["labels"] == ["cat", "dog", "owl"]
    assert figures["confusion"] == {
        "true": [0, 0, 1, 1, 2],
        "predicted": [0, 2, 0, 1, 0],
        "photos": [1, 1, 1, 1, 1],
    }
    assert [(row["label"], row["photos"], row["recall"]) for row in figures["per_class"]] == [
        ("cat", 2, 0.5),
        ("dog", 2, 0.5),
        ("owl", 1, 0.0),
    ]
    assert [row["precision"] for row in figures["per_class"]] == [1 / 3, 1.0, 0.0]


def test_mistakes_are_worst_first() -> None:
    result = _evaluated(Oracle())
    assert [mistake.file for mistake in result.mistakes] == ["e.jpg", "d.jpg", "b.jpg"]
    assert result.mistakes[0] == Mistake("e.jpg", "dog", "cat", pytest.approx(0.9))


def test_the_regions_of_a_mistake_are_kept() -> None:
    labelled = (Region((0.25, 0.5, 0.75, 1.0), "owl", wrong=True), Region((0.0, 0.0, 0.5, 0.5), "cat"))
    mistakes = (Mistake("a.jpg", "owl", "cat", 0.5, labelled), Mistake("b.jpg", "dog", "cat", 0.5))
    result = Evaluation("classification", 2, {"top1": 0.0}, mistakes)
    assert Evaluation.from_json(result.to_json()) == result
    assert [sorted(row) for row in json.loads(result.to_json())["mistakes"]] == [
        ["confidence", "file", "label", "labelled_regions", "predicted"],
        ["confidence", "file", "label", "predicted"],
    ]


@pytest.mark.parametrize("region", [{}, {"box": [0, 0, 1], "name": "owl", "wrong": True}, 5])
def test_regions_that_are_damaged_are_refused(region: object) -> None:
    document = json.loads(Evaluation("classification", 1, {}, (Mistake("a.jpg", "owl", "cat", 0.5),)).to_json())
    document["mistakes"][0]["labelled_regions"] = [region]
    with pytest.raises(DataError, match="not an evaluation"):
        Evaluation.from_json(json.dumps(document))


def test_equally_confident_mistakes_are_ordered_by_name() -> None:
    answers = np.array([[1.0, 0.0, 0.0]] * 3, np.float32)
    result = _evaluated(Oracle(answers), ClassTargets(np.array([1, 1, 1])), ("c", "a", "b"))
    assert [mistake.file for mistake in result.mistakes] == ["a", "b", "c"]


@pytest.mark.parametrize("batch_size", [1, 2, 5, 64])
def test_batches_and_sources_do_not_change_the_result(batch_size: int) -> None:
    oracle, seen = Oracle(), []
    result = evaluate(
        oracle,
        Classification(),
        Lazy(_images()),
        TRUE,
        FILES,
        batch_size=batch_size,
        progress=lambda *done: seen.append(done),
    )
    assert result == _evaluated(Oracle())
    assert max(oracle.batches) == min(batch_size, 5)
    assert seen[-1] == (5, 5)
    assert len(seen) == len(oracle.batches)


class Nested(Oracle):
    labels = ("fruit/apple", "fruit/pear", "owl")


def test_levels_and_families_by_hand() -> None:
    """An apple for an owl, an owl for an apple, a pear for an apple: the last one alone stays inside fruit."""
    result = _evaluated(Nested())
    levels = result.figures["levels"]
    assert [(level["name"], level["groups"], level["top1"], level["inside"]) for level in levels] == [
        ("level 1", 2, 3 / 5, 0),
        ("leaf", 3, 2 / 5, 1),
    ]
    assert levels[1]["top1_interval"] == result.figures["top1_interval"]
    assert result.figures["families"] == [
        {
            "label": "fruit",
            "children": ["fruit/apple", "fruit/pear"],
            "photos": 4,
            "inside": 1,
            "outside": 1,
            "confusion": {"true": [0, 1, 1], "predicted": [0, 0, 1], "photos": [1, 1, 1]},
        }
    ]
    assert len(result.mistakes) == 3
    assert Evaluation.from_json(result.to_json()) == result


def test_the_answer_on_a_level_belongs_to_the_answer_that_was_given() -> None:
    """The owl is 40 % and right; apple and pear are 60 % together, which would be wrong on level 1."""
    answers = np.array([[0.35, 0.25, 0.4]], np.float32)
    result = _evaluated(Nested(answers), ClassTargets(np.array([2])), ("a.jpg",))
    assert [level["top1"] for level in result.figures["levels"]] == [1.0, 1.0]


def test_flat_classes_have_neither_levels_nor_families() -> None:
    result = _evaluated(Oracle())
    assert (result.figures["levels"], result.figures["families"]) == ([], [])


def test_what_an_evaluation_lacks_is_named() -> None:
    fields = json.loads(_evaluated(Oracle()).to_json())
    del fields["mistakes"]
    with pytest.raises(DataError, match="'mistakes' is missing; run mobilenet evaluate again"):
        Evaluation.from_json(json.dumps(fields))


def test_json_round_trip_through_a_file(tmp_path: Path) -> None:
    files = ("ünïcode 🐈.jpg", "not\udce9utf8.jpg", '"quoted".jpg', "d.jpg", "e.jpg")
    result = _evaluated(Oracle(), TRUE, files, root=tmp_path, left_out=[LeftOut("broken.jpg", "truncated")])
    result.write(tmp_path / "evaluation.json")
    assert Evaluation.read(tmp_path / "evaluation.json") == result
    assert Evaluation.from_json(result.to_json()) == result
    assert Path(result.root, "d.jpg") == tmp_path.resolve() / "d.jpg"
    assert json.loads(result.to_json())["left_out"] == [{"file": "broken.jpg", "reason": "truncated"}]
    assert [path.name for path in tmp_path.iterdir()] == ["evaluation.json"]


def test_paths_that_are_relative_to_nothing_are_below_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = _evaluated(Oracle())
    assert Path(result.root, result.mistakes[0].file) == tmp_path.resolve() / "e.jpg"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"photos": 3}', '{"top1_interval": 1}'])
def test_a_damaged_evaluation_is_one_line(text: str) -> None:
    with pytest.raises(DataError, match="not an evaluation"):
        Evaluation.from_json(text)


def test_an_evaluation_from_before_there_were_tasks_is_one_of_a_classifier() -> None:
    fields = json.loads(_evaluated(Oracle()).to_json())
    del fields["task"]
    assert Evaluation.from_json(json.dumps(fields)) == _evaluated(Oracle())


@pytest.mark.parametrize("constant", ["NaN", "Infinity"])
def test_an_evaluation_with_a_figure_that_is_no_number_is_refused(constant: str) -> None:
    result = _evaluated(Oracle())
    text = result.to_json().replace(f'"top1": {result.figures["top1"]}', f'"top1": {constant}', 1)
    with pytest.raises(DataError, match=f"not an evaluation: it contains {constant}; run mobilenet evaluate"):
        Evaluation.from_json(text)


def test_an_absent_evaluation_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        Evaluation.read(tmp_path / "evaluation.json")


def test_no_photos_and_no_numbers_are_refused() -> None:
    with pytest.raises(DataError, match="no photos to evaluate"):
        _evaluated(Oracle(), ClassTargets(np.zeros(0, np.int64)), ())
    with pytest.raises(ModelError, match="NaN"):
        _evaluated(Oracle(np.full((5, 3), np.nan, np.float32)))
