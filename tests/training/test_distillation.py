"""The parts of learning from a teacher: the loss by hand, classes matched by name, outputs computed once."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mobilenet.datasets.cache.load import CachedPhotos, load
from mobilenet.datasets.cache.rows import RowCache
from mobilenet.datasets.photos import Photos, with_files
from mobilenet.datasets.targets import PartlyLabelled, Unlabelled, labelled_part
from mobilenet.errors import ConfigError
from mobilenet.images.augment import Augmentation, Crops, draw_crops, training_methods, whole_photos
from mobilenet.images.preprocessing import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.nn.endings import ended, raw
from mobilenet.tasks.classification.objective import ClassificationObjective
from mobilenet.tasks.classification.targets import ClassTargets
from mobilenet.training.sampler import epoch_order
from mobilenet.training.system.processes import Processes
from mobilenet.training.teacher.alignment import AlignedTeacher, aligned
from mobilenet.training.teacher.network import Teacher
from mobilenet.training.teacher.objective import DistilledObjective
from mobilenet.training.teacher.pace import Pace, affordable_views
from mobilenet.training.teacher.settings import Teaching
from mobilenet.training.teacher.views import TeacherLessons

_CARD = ModelCard("mobilenet_v1", 0.25, 32, ("cat", "dog"), Preprocessing(32), task="classification")
_OUTPUT = "probabilities"


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


@pytest.mark.parametrize(("weight", "temperature"), [(1.0, 1.0), (0.3, 2.0)])
def test_the_gradient_is_that_of_the_mix_by_hand(weight: float, temperature: float) -> None:
    random = np.random.default_rng(0)
    ours, theirs = random.normal(0, 2, (2, 4, 3))
    labels = ClassTargets(np.array([2, 0]))
    targets = PartlyLabelled(labels, np.array([1, -1, 0, -1]))
    objective = DistilledObjective(ClassificationObjective(3, label_smoothing=0.1), weight, temperature, 0.5)
    arrays = objective.batch(targets, np.arange(4), whole_photos(4))
    student = torch.tensor(ours, requires_grad=True)
    values = objective(
        {_OUTPUT: student},
        {
            **{name: torch.from_numpy(array) for name, array in arrays.items()},
            f"teacher.{_OUTPUT}": torch.tensor(theirs),
        },
    )
    values[0].backward()
    # d/ds of t² · KL(p || q(s / t)) is t · (q - p); of the cross-entropy with smoothed labels y, q - y.
    taught = temperature * (_softmax(ours / temperature) - _softmax(theirs / temperature))
    smoothed = np.full((4, 3), 0.1 / 3)
    smoothed[0, 0] += 0.9
    smoothed[2, 2] += 0.9
    told = _softmax(ours) - smoothed
    labelled = np.array([True, False, True, False])[:, None]
    wanted = np.where(labelled, weight * taught + (1 - weight) * told, taught) / 4
    assert student.grad is not None
    np.testing.assert_allclose(student.grad.numpy(), wanted, atol=1e-12)
    # Of the two photos with a label, of four in the batch and half of all.
    right = (ours.argmax(1)[[0, 2]] == [0, 2]).mean()
    assert values[1].item() == pytest.approx(right)


def test_a_student_learns_from_its_teacher_what_few_wrong_labels_do_not_say() -> None:
    random = np.random.default_rng(3)
    photos, unseen = (torch.from_numpy(random.normal(size=(count, 12))) for count in (300, 1000))
    teacher = torch.from_numpy(random.normal(size=(12, 3)))
    wrong = random.permutation((photos[:30] @ teacher).argmax(1).numpy())
    labels = np.where(random.uniform(size=30) < 0.3, wrong, (photos[:30] @ teacher).argmax(1).numpy())
    partly = PartlyLabelled(ClassTargets(labels), np.append(np.arange(30), np.full(270, -1)))

    def agreement(weight: float, count: int) -> float:
        """Of a linear student of `count` photos with its teacher."""
        objective = DistilledObjective(ClassificationObjective(3), weight, 1.0, 30 / count)
        arrays = objective.batch(partly, np.arange(count), whole_photos(count))
        targets = {name: torch.from_numpy(array) for name, array in arrays.items()}
        student = torch.zeros(12, 3, dtype=torch.float64, requires_grad=True)
        for _ in range(200):
            said = {f"teacher.{_OUTPUT}": photos[:count] @ teacher}
            loss = objective({_OUTPUT: photos[:count] @ student}, {**targets, **said})[0]
            (slope,) = torch.autograd.grad(loss, student)
            with torch.no_grad():
                student -= 2 * slope
        return float(((unseen @ student).argmax(1) == (unseen @ teacher).argmax(1)).double().mean())

    labelled_alone = agreement(0.01, 30)
    assert labelled_alone < 0.8
    assert agreement(1.0, 30) > labelled_alone + 0.1
    assert agreement(1.0, 300) > 0.97


def test_photos_without_labels_report_the_loss_alone() -> None:
    objective = DistilledObjective(ClassificationObjective(2), 1.0, 1.0, 0.0)
    assert objective.names == ("loss",)
    arrays = objective.batch(Unlabelled(5), np.array([1, 2, 3]), whole_photos(3))
    same = torch.tensor([[1.0, -1.0]] * 3)
    targets = {name: torch.from_numpy(array) for name, array in arrays.items()}
    assert objective({_OUTPUT: same}, {**targets, f"teacher.{_OUTPUT}": same}).tolist() == [0.0]


def test_targets_without_labels_keep_their_places() -> None:
    partly = PartlyLabelled(ClassTargets(np.array([1, 0])), np.array([0, 1, -1])).take(np.array([2, 0]))
    assert list(partly.lines(Vocabulary(("cat", "dog")))) == [None, "dog"]
    strata = partly.strata()
    assert strata is not None
    assert strata.tolist() == [-1, 1]
    assert labelled_part(Unlabelled(2))[1].tolist() == [-1, -1]


def test_balanced_epochs_have_each_photo_without_a_label_once() -> None:
    strata = np.array([0, 0, 0, 0, 0, 1, -1, -1, -1])
    order = epoch_order(9, 0, 3, strata)
    groups = strata[order]
    assert sorted(order[groups < 0].tolist()) == [6, 7, 8]
    assert [(groups == group).sum() for group in (0, 1)] == [3, 3]


@pytest.mark.parametrize("ending", ["softmax", "sigmoid", "l2", "none"])
def test_raw_values_give_the_output_that_they_come_from(ending: str) -> None:
    output = ended(torch.tensor([[0.5, -3.0, 8.0], [1.0, 0.0, -1.0]]), ending)  # type: ignore[arg-type]
    torch.testing.assert_close(ended(raw(output, ending), ending), output)  # type: ignore[arg-type]
    certain = torch.tensor([[1.0, 0.0, 0.0]])
    assert raw(certain, ending).isfinite().all()  # type: ignore[arg-type]


def _teacher(names: tuple[str, ...], scores: Tensor, task: str | None = None) -> Teacher:
    """Gives every photo the same scores (names,)."""

    def answer(pixels: Tensor, _crops: Crops) -> dict[str, Tensor]:
        return {"scores": scores.expand(len(pixels), -1)}

    return Teacher("t.onnx", "digest", task, Vocabulary(names), (), 32, None, answer)


def _raw(teacher: AlignedTeacher) -> Tensor:
    return teacher.raw(torch.zeros(1, 40, 40, 3, dtype=torch.uint8), whole_photos(1))[_OUTPUT]


def test_permuted_classes_are_matched_by_name_and_others_left_out() -> None:
    logits = torch.tensor([5.0, -2.0, 1.0])
    found = aligned(_teacher(("dog", "owl", "cat"), logits), _CARD, "classes")
    assert _raw(found).tolist() == [[1.0, 5.0]]
    assert found.width == 2


def test_probabilities_become_logits_up_to_a_constant() -> None:
    logits = torch.tensor([3.0, 1.0])
    found = _raw(aligned(_teacher(("cat", "dog"), torch.softmax(logits, 0)), _CARD, "classes"))
    torch.testing.assert_close(found[0] - found[0, 0], logits - logits[0])


def test_a_teacher_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"does not know 1 of the student's 2 classes: 'cat'; it knows 'dog', 'owl'"):
        aligned(_teacher(("dog", "owl"), torch.zeros(2)), _CARD, "classes")
    with pytest.raises(ConfigError, match=r"two outputs with the name 'cat'"):
        aligned(_teacher(("cat", "cat", "dog"), torch.zeros(3)), _CARD, "classes")
    with pytest.raises(ConfigError, match=r"t.onnx is for faces, and the student for classification"):
        aligned(_teacher(("cat", "dog"), torch.zeros(2), "faces"), _CARD, "classes")


def test_views_cost_half_of_the_time_without_a_teacher() -> None:
    # An answer costs 20 steps of the student: 100 epochs pay for 50 steps of it, 2.5 answers.
    assert affordable_views(Pace(1e-3, 20e-3), 100, None, 50) == 2
    assert affordable_views(Pace(1e-3, 20e-3), 10, None, 50) == 1
    # A cheap one looks at the new crops of each epoch.
    assert affordable_views(Pace(1e-3, 1e-5), 10, None, 50) == 10
    # One minute of 60 s for 100 photos at 1 ms is 600 epochs.
    assert affordable_views(Pace(1e-3, 30e-3), float("inf"), 1, 100) == 10


class _Mean:
    """The mean of what it sees, once per channel; counts the photos."""

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, pixels: Tensor, crops: Crops) -> dict[str, Tensor]:
        self.seen += len(pixels)
        light = pixels.float().mean((1, 2))[:, :2] + torch.from_numpy(crops.box[:, :2] * 100)
        return {"scores": light * torch.from_numpy(crops.gain[:, :2])}


@pytest.fixture
def cached(photos: Path) -> CachedPhotos:
    files = sorted((photos / "train").rglob("*.png"))
    alone = Photos(photos, ("train/dark/0.png",), ClassTargets(np.array([0])))
    return load(with_files(alone, files[1:]), 48, methods=training_methods(Augmentation()))


def _lessons(
    cached: CachedPhotos, answer: _Mean, max_bytes: int, notes: list[str], folder: Path, views: int = 2
) -> TeacherLessons:
    teacher = Teacher("t.onnx", "digest", None, Vocabulary(("cat", "dog")), (), 32, None, answer)
    return TeacherLessons(
        aligned(teacher, _CARD, "classes"),
        cached,
        Teaching(Path("t.onnx"), views=views),
        Augmentation(),
        seed=5,
        epochs=4,
        labelled=1.0,
        cache=RowCache(folder, max_bytes),
        processes=Processes(),
        device=torch.device("cpu"),
        progress=lambda _done, _all: None,
        note=notes.append,
    )


def _outputs(lessons: TeacherLessons, cached: CachedPhotos) -> Iterator[Tensor]:
    """Of the last photos in epochs 0 to 3, one of them twice."""
    samples = np.array([3, 39, 38, 7, 3 + len(cached)])
    for epoch in range(4):
        lessons.prepare(lambda: None)
        crops = draw_crops(Augmentation(), 5, epoch, samples)
        yield lessons.outputs(samples, crops)[f"teacher.{_OUTPUT}"]


def test_cached_outputs_are_those_that_are_computed_and_repeat(cached: CachedPhotos, tmp_path: Path) -> None:
    first, again, never, notes = _Mean(), _Mean(), _Mean(), list[str]()
    kept = list(_outputs(_lessons(cached, first, 10**8, notes, tmp_path / "a"), cached))
    assert first.seen - 4 == 2 * len(cached)
    assert not notes
    found = list(_outputs(_lessons(cached, again, 10**8, notes, tmp_path / "a"), cached))
    assert again.seen == 4, "only the photos that tell scores from probabilities"
    computed = list(_outputs(_lessons(cached, never, 0, notes, tmp_path / "b"), cached))
    assert len(notes) == 1
    assert "computed at every step" in notes[0]
    for one, two, three in zip(kept, found, computed, strict=True):
        assert torch.equal(one, two)
        assert torch.equal(one, three)
    assert not torch.equal(kept[0], kept[1])
    for later in kept[2:]:
        for row in range(4):
            assert torch.equal(later[row], kept[0][row]) or torch.equal(later[row], kept[1][row])


def test_the_nearest_view_counts(cached: CachedPhotos, tmp_path: Path) -> None:
    """Each photo's answers are told apart by their values; overlaps are counted in a grid of points."""
    lessons = _lessons(cached, _Mean(), 10**8, [], tmp_path, views=3)
    lessons.prepare(lambda: None)
    samples = np.arange(len(cached))
    views = [draw_crops(Augmentation(), 5, view, samples) for view in range(3)]
    by_view = [lessons.outputs(samples, crops)[f"teacher.{_OUTPUT}"] for crops in views]
    boxes = np.stack([crops.box for crops in views])
    for epoch in (3, 4):
        crops = draw_crops(Augmentation(), 5, epoch, samples)
        own = crops.box
        overlaps = np.stack([_common(own, box) / (_area(own) + _area(box) - _common(own, box)) for box in boxes])
        first, second = np.sort(overlaps, 0)[::-1][:2]
        clear = first - second > 0.05
        assert clear.sum() > 10
        found = lessons.outputs(samples, crops)[f"teacher.{_OUTPUT}"]
        for row in np.flatnonzero(clear):
            assert torch.equal(found[row], by_view[overlaps[:, row].argmax()][row])


def _inside(box: np.ndarray) -> np.ndarray:
    """(N, 4) boxes -> (N, 200, 200): whether the points of a grid over the photo are inside."""
    at = (np.arange(200) + 0.5) / 200
    rows = (at >= box[:, :1]) & (at < box[:, :1] + box[:, 2:3])
    columns = (at >= box[:, 1:2]) & (at < box[:, 1:2] + box[:, 3:])
    return rows[:, :, None] & columns[:, None, :]


def _common(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return (_inside(one) & _inside(other)).mean((1, 2))


def _area(box: np.ndarray) -> np.ndarray:
    return _inside(box).mean((1, 2))


def test_a_damaged_file_of_outputs_is_computed_again(cached: CachedPhotos, tmp_path: Path) -> None:
    kept = list(_outputs(_lessons(cached, _Mean(), 10**8, [], tmp_path), cached))
    files = list(tmp_path.rglob("*.rows"))
    assert len(files) == 2
    data = bytearray(files[0].read_bytes())
    data[-1] ^= 1
    files[0].write_bytes(data)
    again = _Mean()
    found = list(_outputs(_lessons(cached, again, 10**8, [], tmp_path), cached))
    assert again.seen == 4 + len(cached)
    assert all(map(torch.equal, kept, found))


def test_another_teacher_or_other_photos_are_not_found_in_the_cache(cached: CachedPhotos, tmp_path: Path) -> None:
    list(_outputs(_lessons(cached, _Mean(), 10**8, [], tmp_path), cached))
    fewer = load(cached.photos.take(np.arange(40)[::-1]), 48, methods=cached.methods)
    again = _Mean()
    list(_outputs(_lessons(fewer, again, 10**8, [], tmp_path), fewer))
    assert again.seen == 4 + 2 * len(fewer)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight": 0.0}, "distillation weight 0 is out of range"),
        ({"temperature": 0.0}, "distillation temperature 0 is out of range"),
        ({"views": 0}, "number of teacher views 0 is out of range"),
    ],
)
def test_settings_out_of_range_are_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Teaching(Path("t"), **changes)  # type: ignore[arg-type]
