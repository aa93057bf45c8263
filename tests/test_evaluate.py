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
from mobilenet.metrics.classification import wilson_interval

LABELS = ("cat", "dog", "owl")
ANSWERS = np.array(
    [[0.7, 0.2, 0.1], [0.5, 0.1, 0.4], [0.25, 0.5, 0.25], [0.1, 0.1, 0.8], [0.9, 0.05, 0.05]], np.float32
)
TRUE = np.array([0, 2, 1, 0, 1])
FILES = ("a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg")


class Oracle:
    """Answers with the row of `ANSWERS` that is written into the first pixel."""

    labels = LABELS
    task = "classification"
    preprocessing: Any = None

    def __init__(self, answers: NDArray[np.float32] = ANSWERS) -> None:
        self.answers = answers
        self.batches: list[int] = []

    def predict(self, images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        self.batches.append(len(images))
        return {"probabilities": self.answers[images[:, 0, 0, 0]]}


class Lazy:
    """Photos behind `.batch`, as a cache offers them."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self.images = images

    def batch(self, indices: NDArray[np.int64], /) -> NDArray[np.uint8]:
        return self.images[indices]


def _images(photos: int = 5) -> NDArray[np.uint8]:
    images = np.zeros((photos, 2, 2, 3), np.uint8)
    images[:, 0, 0, 0] = np.arange(photos)
    return images


def test_every_figure_by_hand() -> None:
    result = evaluate(Oracle(), _images(), TRUE, FILES)
    assert result.photos == 5
    assert result.top1 == 2 / 5
    assert result.top1_interval == wilson_interval(2, 5)
    assert result.top5 is None
    assert result.loss == pytest.approx(-np.log([0.7, 0.4, 0.5, 0.1, 0.05]).mean(), rel=1e-6)
    assert result.confusion == ((1, 0, 1), (1, 1, 0), (1, 0, 0))
    assert [(row.label, row.photos, row.recall) for row in result.per_class] == [
        ("cat", 2, 0.5),
        ("dog", 2, 0.5),
        ("owl", 1, 0.0),
    ]
    assert [row.precision for row in result.per_class] == [1 / 3, 1.0, 0.0]


def test_mistakes_are_worst_first() -> None:
    result = evaluate(Oracle(), _images(), TRUE, FILES)
    assert [mistake.file for mistake in result.mistakes] == ["e.jpg", "d.jpg", "b.jpg"]
    assert result.mistakes[0] == Mistake("e.jpg", "dog", "cat", pytest.approx(0.9))


def test_equally_confident_mistakes_are_ordered_by_name() -> None:
    answers = np.array([[1.0, 0.0, 0.0]] * 3, np.float32)
    result = evaluate(Oracle(answers), _images(3), np.array([1, 1, 1]), ("c", "a", "b"))
    assert [mistake.file for mistake in result.mistakes] == ["a", "b", "c"]


@pytest.mark.parametrize("batch_size", [1, 2, 5, 64])
def test_batches_and_sources_do_not_change_the_result(batch_size: int) -> None:
    oracle, seen = Oracle(), []
    result = evaluate(
        oracle, Lazy(_images()), TRUE, FILES, batch_size=batch_size, progress=lambda *done: seen.append(done)
    )
    assert result == evaluate(Oracle(), _images(), TRUE, FILES)
    assert max(oracle.batches) == min(batch_size, 5)
    assert seen[-1] == (5, 5)
    assert len(seen) == len(oracle.batches)


class Nested(Oracle):
    labels = ("fruit/apple", "fruit/pear", "owl")


def test_levels_and_families_by_hand() -> None:
    """An apple for an owl, an owl for an apple, a pear for an apple: the last one alone stays inside fruit."""
    result = evaluate(Nested(), _images(), TRUE, FILES)
    assert [(level.name, level.groups, level.top1, level.inside) for level in result.levels] == [
        ("level 1", 2, 3 / 5, 0),
        ("leaf", 3, 2 / 5, 1),
    ]
    assert result.levels[1].top1_interval == result.top1_interval
    (fruit,) = result.families
    assert (fruit.label, fruit.children) == ("fruit", ("fruit/apple", "fruit/pear"))
    assert (fruit.photos, fruit.inside, fruit.outside, fruit.confusion) == (4, 1, 1, ((1, 0), (1, 1)))
    assert result.wrong == 3
    assert Evaluation.from_json(result.to_json()) == result


def test_the_answer_on_a_level_belongs_to_the_answer_that_was_given() -> None:
    """The owl is 40 % and right; apple and pear are 60 % together, which would be wrong on level 1."""
    answers = np.array([[0.35, 0.25, 0.4]], np.float32)
    result = evaluate(Nested(answers), _images(1), np.array([2]), ("a.jpg",))
    assert [level.top1 for level in result.levels] == [1.0, 1.0]


def test_flat_classes_have_neither_levels_nor_families() -> None:
    result = evaluate(Oracle(), _images(), TRUE, FILES)
    assert (result.levels, result.families) == ((), ())


def test_what_an_evaluation_lacks_is_named() -> None:
    fields = json.loads(evaluate(Oracle(), _images(), TRUE, FILES).to_json())
    del fields["levels"]
    with pytest.raises(DataError, match="it lacks 'levels'; run mobilenet evaluate again"):
        Evaluation.from_json(json.dumps(fields))


def test_json_round_trip_through_a_file(tmp_path: Path) -> None:
    files = ("ünïcode 🐈.jpg", "not\udce9utf8.jpg", '"quoted".jpg', "d.jpg", "e.jpg")
    result = evaluate(Oracle(), _images(), TRUE, files, root=tmp_path, left_out=[LeftOut("broken.jpg", "truncated")])
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
    result = evaluate(Oracle(), _images(), TRUE, FILES)
    assert Path(result.root, result.mistakes[0].file) == tmp_path.resolve() / "e.jpg"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"photos": 3}', '{"top1_interval": 1}'])
def test_a_damaged_evaluation_is_one_line(text: str) -> None:
    with pytest.raises(DataError, match="not an evaluation"):
        Evaluation.from_json(text)


@pytest.mark.parametrize("constant", ["NaN", "Infinity"])
def test_an_evaluation_with_a_figure_that_is_no_number_is_refused(constant: str) -> None:
    result = evaluate(Oracle(), _images(), TRUE, FILES)
    text = result.to_json().replace(f'"top1": {result.top1}', f'"top1": {constant}', 1)
    with pytest.raises(DataError, match=f"not an evaluation: it has {constant} for a figure; run mobilenet evaluate"):
        Evaluation.from_json(text)


def test_an_absent_evaluation_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        Evaluation.read(tmp_path / "evaluation.json")


def test_no_photos_and_no_numbers_are_refused() -> None:
    with pytest.raises(DataError, match="no photos to evaluate"):
        evaluate(Oracle(), _images(0), np.zeros(0, int), ())
    with pytest.raises(ModelError, match="NaN"):
        evaluate(Oracle(np.full((5, 3), np.nan, np.float32)), _images(), TRUE, FILES)
