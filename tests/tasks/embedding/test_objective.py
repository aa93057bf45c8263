"""What the objective minimises: it draws classes together, and a student to its teacher."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mobilenet.datasets.targets import PartlyLabelled, Unlabelled
from mobilenet.images.augment import whole_photos
from mobilenet.metrics.retrieval import retrieval
from mobilenet.tasks.embedding.objective import EmbeddingObjective
from mobilenet.tasks.embedding.targets import Identities
from mobilenet.training.teacher.objective import DistilledObjective


def _photos(seed: int = 0) -> tuple[torch.Tensor, Identities]:
    """100 photos of 5 classes by 12 features, of which 2 tell the classes apart and the others are larger."""
    random = torch.Generator().manual_seed(seed)
    numbers = torch.arange(100) % 5
    features = 3 * torch.randn(100, 12, generator=random)
    angle = 2 * np.pi * numbers / 5
    features[:, :2] = torch.stack([angle.cos(), angle.sin()], 1) + 0.2 * torch.randn(100, 2, generator=random)
    return features, Identities(tuple("abcde"), numbers.numpy())


@pytest.mark.parametrize("loss", ["arcface", "contrastive"])
def test_a_layer_learns_the_features_that_tell_classes_apart(loss: str) -> None:
    torch.manual_seed(0)
    objective = EmbeddingObjective(4, loss=loss)  # type: ignore[arg-type]
    (features, targets), (others, judged) = _photos(0), _photos(1)
    layer = torch.nn.Linear(12, 4)
    learned = objective.learned(targets)
    assert (learned is None) == (loss == "contrastive")
    optimizer = torch.optim.Adam([*layer.parameters(), *(learned.parameters() if learned else ())], 0.02)
    batch = objective.batch(targets, np.arange(100), whole_photos(100))
    inputs = {name: torch.from_numpy(values) for name, values in batch.items()}

    def recall() -> float:
        with torch.no_grad():
            return retrieval(F.normalize(layer(others)).numpy(), judged.numbers).recall_at_1

    before = recall()
    for _ in range(150):
        found = objective({"embedding": layer(features)}, inputs)
        optimizer.zero_grad()
        found[0].backward()
        optimizer.step()
    assert before < 0.5
    assert recall() > 0.85


def test_the_head_starts_at_principal_components() -> None:
    """The distances of NumPy's singular value decomposition, and centres at the means of the classes."""
    features, targets = _photos()
    objective = EmbeddingObjective(3, loss="arcface")
    learned = objective.learned(targets)
    assert learned is not None
    numbers = torch.from_numpy(targets.numbers)
    state = objective.fit_head(features, {"numbers": numbers}, 0)
    assert state is not None
    found = F.linear(features, state["embedding.weight"], state["embedding.bias"])
    centred = features.double().numpy() - features.double().numpy().mean(0)
    _, _, rows = np.linalg.svd(centred, full_matrices=False)
    wanted = centred @ rows[:3].T
    assert np.abs(found.numpy()) == pytest.approx(np.abs(wanted), abs=1e-4)
    unit = F.normalize(found)
    mean = F.normalize(torch.stack([unit[numbers == label].sum(0) for label in range(5)]))
    assert torch.allclose(learned["centres"], mean, atol=1e-5)  # type: ignore[index]
    assert EmbeddingObjective(13).fit_head(features, {"numbers": numbers}, 0) is None


def test_vectors_are_copied_by_their_directions() -> None:
    ours, theirs = torch.randn(5, 3), torch.randn(5, 3)
    angles = F.cosine_similarity(ours, theirs)
    raw = {"embedding": ours}, {"embedding": theirs}
    assert float(EmbeddingObjective(3).distil(*raw, 4.0)) == pytest.approx(float((2 - 2 * angles).sum()), rel=1e-5)
    cosine = EmbeddingObjective(3, distance="cosine").distil(*raw)
    assert float(cosine) == pytest.approx(float((1 - angles).sum()), rel=1e-5)
    assert float(EmbeddingObjective(3).distil(raw[0], {"embedding": 7 * ours})) == pytest.approx(0, abs=1e-5)


def test_a_student_has_centres_only_where_classes_are_learned() -> None:
    _, targets = _photos()
    partly = PartlyLabelled(targets, np.append(np.arange(100), -1))

    def learned(weight: float, given: object, share: float) -> object:
        return DistilledObjective(EmbeddingObjective(4, loss="arcface"), weight, 1.0, share).learned(given)  # type: ignore[arg-type]

    assert learned(1.0, partly, 0.99) is None
    assert learned(0.5, partly, 0.99) is not None
    assert learned(0.5, Unlabelled(3), 0.0) is None


def test_a_share_of_a_batch_without_labels_has_a_gradient_of_zero() -> None:
    """Processes average the gradients of all that is learned: none may be missing."""
    _, targets = _photos()
    partly = PartlyLabelled(targets, np.append(np.arange(100), [-1, -1]))
    objective = DistilledObjective(EmbeddingObjective(4, loss="arcface"), 0.5, 1.0, 0.98)
    learned = objective.learned(partly)
    assert learned is not None
    batch = objective.batch(partly, np.array([100, 101]), whole_photos(2))
    inputs = {name: torch.from_numpy(values) for name, values in batch.items()}
    inputs["teacher.embedding"] = torch.randn(2, 4)
    objective({"embedding": torch.randn(2, 4, requires_grad=True)}, inputs)[0].backward()
    assert all(values.grad is not None and not values.grad.any() for values in learned.parameters())
