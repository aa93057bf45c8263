"""Attributes: what is known, absent or unknown, and what follows from it; unknown is never a no."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from sklearn import metrics as sklearn
from torch.nn import functional as F

from mobilenet.errors import DataError
from mobilenet.images.augment import whole_photos
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.tasks.attributes.answers import judged
from mobilenet.tasks.attributes.cells import Said, from_names, value_of, values_of
from mobilenet.tasks.attributes.confidence import fitted
from mobilenet.tasks.attributes.findings import doubtful, peculiar
from mobilenet.tasks.attributes.objective import AttributeObjective
from mobilenet.tasks.attributes.score import agreement, answered, mistakes, score
from mobilenet.tasks.attributes.targets import AttributeTargets, relabelled
from mobilenet.tasks.attributes.weighting import loss_range, value_weights
from mobilenet.training.run import train
from mobilenet.training.settings import TrainingSettings

NAMES = ("red", "round", "large")


def _values(rows: list[list[int]]) -> NDArray[np.int8]:
    return np.array(rows, np.int8)


@pytest.mark.parametrize(
    ("cell", "value"),
    [("1", 1), ("0.0", 0), ("", -1), ("-1", -1), ("?", -1), (" 1 ", 1), (None, -1), (float("nan"), -1), (True, 1)],
)
def test_what_a_cell_says(cell: object, value: int) -> None:
    assert value_of(cell) == value


@pytest.mark.parametrize("cell", ["2", "yes", 0.5, 7, "0,5", [1]])
def test_what_is_no_value(cell: object) -> None:
    assert value_of(cell) is None


def test_a_list_says_what_is_not_there() -> None:
    said = [from_names("red; round"), from_names(""), from_names("-"), from_names("large;?red")]
    assert values_of(said, NAMES).tolist() == [[1, 1, 0], [-1, -1, -1], [0, 0, 0], [-1, 0, 1]]


def test_a_column_that_is_missing_is_unknown() -> None:
    assert values_of([Said(("round",), (0,), -1)], NAMES).tolist() == [[-1, 0, -1]]


@given(st.lists(st.lists(st.integers(-1, 1), min_size=3, max_size=3), min_size=1, max_size=8))
def test_lines_say_everything(rows: list[list[int]]) -> None:
    lines = list(AttributeTargets(_values(rows)).lines(Vocabulary(NAMES)))
    assert values_of([from_names(line) for line in lines], NAMES).tolist() == rows


def test_targets_in_the_terms_of_another_model() -> None:
    targets = AttributeTargets(_values([[1, 0], [-1, 1]]))
    found = relabelled(targets, Vocabulary(("round", "red")), Vocabulary(NAMES))
    assert found.values.tolist() == [[0, 1, -1], [1, -1, -1]]
    with pytest.raises(DataError, match="the model does not know 'blue'; it knows 'red', 'round', 'large'"):
        relabelled(targets, Vocabulary(("red", "blue")), Vocabulary(NAMES))


def _loss(logits: NDArray[np.float32], values: NDArray[np.int8], **settings: float) -> torch.Tensor:
    objective = AttributeObjective(**settings)  # type: ignore[arg-type]
    rows = np.arange(len(values))
    batch = objective.batch(AttributeTargets(values), rows, whole_photos(len(values)))
    raw = torch.from_numpy(logits).requires_grad_()
    found = objective({"probabilities": raw}, {name: torch.from_numpy(array) for name, array in batch.items()})
    found[0].backward()
    assert raw.grad is not None
    # What is not known teaches nothing.
    assert bool((raw.grad[torch.from_numpy(values) < 0] == 0).all())
    return found.detach()


def test_the_loss_is_that_of_known_values() -> None:
    logits = np.array([[2.0, -1.0], [0.5, 3.0], [-2.0, 1.0], [1.0, -3.0]], np.float32)
    values = _values([[1, 0], [0, -1], [1, 1], [0, -1]])
    known = values >= 0
    by_hand = F.binary_cross_entropy_with_logits(
        torch.from_numpy(logits[known]), torch.from_numpy(values[known]).float()
    )
    found = _loss(logits, values)
    # Both attributes are as often there as not: all weights are 1.
    assert float(found[0]) == pytest.approx(float(by_hand), rel=1e-6)
    assert float(found[1]) == pytest.approx(3 / 6)
    assert _loss(logits, np.full_like(values, -1)).tolist() == [0, 0]


def test_rare_attributes_weigh_more_but_within_bounds() -> None:
    values = np.zeros((1000, 3), np.int8)
    values[:500, 0] = 1
    values[:100, 1] = 1
    values[:1, 2] = 1
    weights = value_weights(AttributeTargets(values), balanced=False)
    assert (weights[0] == weights[1]).all()
    assert weights[0, 1] / weights[0, 0] == pytest.approx(1 / (4 * 0.1 * 0.9))
    assert weights[0, 2] / weights[0, 0] == pytest.approx(10)
    counts = np.stack([(values == 0).sum(0), (values == 1).sum(0)])
    assert (weights * counts).sum() / counts.sum() == pytest.approx(1)
    balanced = value_weights(AttributeTargets(values), balanced=True)
    assert balanced[1, 1] * 100 == pytest.approx(balanced[0, 1] * 900)


def test_the_loss_of_guessing_is_what_the_objective_reports_for_it() -> None:
    values = _values([[1, 0], [0, 0], [1, 1], [1, -1], [0, 0], [1, 0]])
    for smoothing in (0.0, 0.2):
        found = loss_range(AttributeTargets(values), smoothing, balanced=False)
        assert found is not None
        shares = np.array([4 / 6, 1 / 5]) * (1 - smoothing) + smoothing / 2
        guesses = np.tile(np.log(shares / (1 - shares)), (6, 1)).astype(np.float32)
        assert found[0] == pytest.approx(float(_loss(guesses, values, label_smoothing=smoothing)[0]), rel=1e-5)
    assert loss_range(AttributeTargets(_values([[-1, -1]])), 0.1, balanced=False) is None


def test_distillation_is_zero_for_the_teachers_own_outputs() -> None:
    objective = AttributeObjective()
    teacher = torch.tensor([[2.0, -1.0], [0.0, 4.0]])
    assert float(objective.distil({"probabilities": teacher}, {"probabilities": teacher}, 2.0)) == pytest.approx(0)
    student = torch.zeros(2, 2)
    p = teacher.sigmoid()
    by_hand = (p * (p / 0.5).log() + (1 - p) * ((1 - p) / 0.5).log()).mean(1).sum()
    found = objective.distil({"probabilities": student}, {"probabilities": teacher})
    assert float(found) == pytest.approx(float(by_hand), rel=1e-5)


def test_a_head_is_fitted_to_what_is_known() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(300, 5)).astype(np.float32)
    truth = (features[:, :2] + 0.1 * random.normal(size=(300, 2)) > 0).astype(np.int8)
    hidden = random.random((300, 2)) < 0.3
    # What is hidden is wrong as well: it must not be looked at.
    objective = AttributeObjective()
    batch = objective.batch(AttributeTargets(np.where(hidden, np.int8(-1), truth)), np.arange(300), whole_photos(300))
    head = objective.fit_head(torch.from_numpy(features), {k: torch.from_numpy(v) for k, v in batch.items()}, 0)
    logits = features @ head["classifier.weight"].numpy().T + head["classifier.bias"].numpy()
    assert ((logits > 0) == truth).mean() > 0.95


def test_figures_are_scikit_learns() -> None:
    random = np.random.default_rng(1)
    probabilities = random.random((60, 3)).astype(np.float32)
    values = random.integers(-1, 2, (60, 3)).astype(np.int8)
    values[:, 2] = np.where(values[:, 2] == 0, -1, values[:, 2])
    limits = [0.4, 0.6, 0.5]
    found = score(probabilities, values, NAMES, {"thresholds": limits})
    aps, f1s = [], []
    for place in range(2):
        known = values[:, place] >= 0
        truth, seen = values[known, place] == 1, probabilities[known, place]
        aps.append(sklearn.average_precision_score(truth, seen))
        f1s.append(sklearn.f1_score(truth, seen >= limits[place]))
    # Nobody is known not to be large: that would be 100 % whatever the network says.
    assert found["per_attribute"][2]["ap"] is None
    assert found["mean_ap"] == pytest.approx(np.mean(aps))
    assert found["mean_f1"] == pytest.approx(np.mean(f1s))
    right = ((probabilities >= limits) == (values == 1)) | (values < 0)
    asked = (values >= 0).any(1)
    assert found["exact"] == pytest.approx(right.all(1)[asked].mean())
    known = values >= 0
    assert found["loss"] == pytest.approx(sklearn.log_loss(values[known] == 1, probabilities[known].astype(float)))


def test_unknown_values_change_no_figure() -> None:
    random = np.random.default_rng(2)
    probabilities, values = random.random((40, 2)), random.integers(0, 2, (40, 2)).astype(np.int8)
    more = np.vstack([probabilities, random.random((20, 2))])
    silent = np.vstack([values, np.full((20, 2), -1, np.int8)])
    plain, padded = (score(p, v, NAMES[:2], {}) for p, v in ((probabilities, values), (more, silent)))
    assert padded.pop("unknown_values") == 40
    assert plain.pop("unknown_values") == 0
    assert plain == padded


def test_nothing_to_measure_is_said() -> None:
    with pytest.raises(DataError, match="no attribute can be measured on 2 photos"):
        score(np.full((2, 1), 0.5), _values([[1], [-1]]), ("red",), {})


def test_mistakes_go_both_ways() -> None:
    probabilities = np.array([[0.9, 0.2, 0.5]])
    wrong = mistakes(probabilities, _values([[0, 1, -1]]), NAMES, {})
    assert [(one.label, one.predicted, round(one.confidence, 6)) for one in wrong] == [
        ("not red", "red", 0.9),
        ("round", "not round", 0.8),
    ]


def test_agreement_is_the_share_of_equal_answers() -> None:
    ours = np.array([[0.9, 0.2], [0.6, 0.5]])
    theirs = np.array([[0.8, 0.6], [0.4, 0.5 - 1e-7]])
    assert agreement(ours, theirs, {}) == 0.5
    assert agreement(ours, theirs, {"thresholds": [0.3, 0.1]}) == 1


def test_thresholds_and_temperature_are_fitted_to_what_is_known() -> None:
    random = np.random.default_rng(3)
    logits = random.normal(size=(600, 2))
    truth = (random.random((600, 2)) < 1 / (1 + np.exp(-logits))).astype(np.int8)
    found = fitted("probabilities", (3 * logits).astype(np.float32), AttributeTargets(truth), {})
    assert found.by_output["probabilities"] == pytest.approx(3, rel=0.2)
    figures = found.figures["temperature"]
    assert figures["loss_cross_fitted"] < figures["loss_before"]
    few = AttributeTargets(np.where(np.arange(600)[:, None] < 20, truth, np.int8(-1)))
    none = fitted("probabilities", logits.astype(np.float32), few, {})
    assert none.by_output == {}
    assert "20 validation photos with known attributes are too few" in none.figures["temperature"]["note"]
    rare = truth.copy()
    rare[:, 1] = 0
    rare[:4, 1] = 1
    assert (
        fitted("probabilities", logits.astype(np.float32), AttributeTargets(rare), {}).decoding["thresholds"][1] == 0.5
    )


def test_answers_are_those_above_their_thresholds() -> None:
    probabilities = np.array([[0.45, 0.55, 0.1]])
    (answer,) = judged(probabilities, NAMES, {"thresholds": [0.4, 0.6, 0.5]}, 0.6)
    assert answer.to_json()["present"] == ["red"]
    assert answer.to_json()["uncertain"] is True
    assert list(answer.lines()) == ["uncertain: below 60 % for red, round", " 45.0 %  red"]
    (none,) = judged(np.array([[0.1, 0.3, 0.2]]), NAMES, {}, None)
    assert list(none.lines()) == ["none; the likeliest is round with 30.0 %"]
    assert answered(probabilities, {}).tolist() == [[False, True, False]]


def test_findings_in_columns() -> None:
    random = np.random.default_rng(4)
    one = random.integers(0, 2, 30).astype(np.int8)
    values = np.stack([one, one, 1 - one, np.ones(30, np.int8), np.full(30, -1, np.int8)], axis=1)
    values[7] = -1
    names = ("a", "b", "c", "d", "e")
    files = [f"{number}.jpg" for number in range(30)]
    assert list(doubtful(values, names)) == ["nothing is known of: 'e'", "always 1 where known: 'd'"]
    assert list(peculiar(values, names, files)) == [
        "always equal where both are known: a and b",
        "always opposite where both are known: a and c, b and c",
        "photos without any known attribute: 1 (7.jpg)",
    ]
    assert "write 0 where" in next(doubtful(_values([[1, -1], [-1, 1]]), ("a", "b")))


def test_a_photo_is_in_no_single_group(tmp_path: Path) -> None:
    targets = AttributeTargets(_values([[1, 0, -1]]))
    assert targets.present().tolist() == [[True, False, False]]
    assert targets.absent().tolist() == [[False, True, False]]
    assert targets.strata() is None  # type: ignore[func-returns-value]


def test_what_cannot_be_measured_is_said_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOBILENET_CACHE", str(tmp_path / "cache"))
    lines = ["file_name,split,red"]
    for number in range(12):
        Image.new("RGB", (40, 40), (20 * number, 0, number)).save(tmp_path / f"{number}.png")
        lines.append(f"{number}.png,{'train' if number < 9 else 'val'},{int(number > 4)}")
    (tmp_path / "table.csv").write_text("\n".join(lines))
    settings = TrainingSettings(tmp_path / "table.csv", width_multiplier=0.1, resolution=32, epochs=1, device="cpu")
    with pytest.raises(DataError, match="none of the attributes can be measured on 3 validation photos"):
        train(settings, tmp_path / "run")
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_thresholds_of_which_nothing_is_known_stay_the_same_answers() -> None:
    random = np.random.default_rng(0)
    raw = random.normal(0, 4, (200, 2)).astype(np.float32)
    values = (random.random((200, 2)) < 1 / (1 + np.exp(-raw / 4))).astype(np.int8)
    values[:, 1] = -1
    values[:4, 1] = 1
    decoding = {"thresholds": [0.5, 0.3]}
    found = fitted("probabilities", raw, AttributeTargets(values), decoding)
    temperature = found.by_output["probabilities"]
    assert found.figures["thresholds"]["fitted"] == 1
    before = 1 / (1 + np.exp(-raw[:, 1])) >= 0.3
    after = 1 / (1 + np.exp(-raw[:, 1] / temperature)) >= found.decoding["thresholds"][1]
    assert temperature > 1.5
    assert (before == after).all()
