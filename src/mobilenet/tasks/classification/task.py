"""Classification: one class per photo."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.datasets.reader import Place, Places, Source
from mobilenet.datasets.sources.find import find_places, read_source
from mobilenet.datasets.targets import Targets
from mobilenet.metrics.classification import loss_range
from mobilenet.model.card import ModelCard
from mobilenet.model.head import Head
from mobilenet.model.outputs import Outputs
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.spec.rows import Network
from mobilenet.tasks.classification import score as scoring
from mobilenet.tasks.classification.answers import Classified, answers, parents
from mobilenet.tasks.classification.confidence import fitted
from mobilenet.tasks.classification.read import class_targets, read_classes
from mobilenet.tasks.classification.sections import headline, sections, summary
from mobilenet.tasks.classification.targets import ClassTargets, relabelled
from mobilenet.tasks.sections import Figure, Section
from mobilenet.tasks.task import Evaluated, Goal, Judgement, LossSettings, Options, TaskDefaults, Temperatures

if TYPE_CHECKING:
    from mobilenet.nn.objective import Objective

__all__ = ["Classification"]

_OUTPUT = "probabilities"
_TOP = 5


class Classification(TaskDefaults):
    """From folders of photos, a CSV file of labels or shards to `probabilities` (N, classes)."""

    name = "classification"
    goal = Goal("top1", "top-1", "accuracy", "top-1 agreement")
    vocabulary_noun = "classes"
    contradiction = "two labels"
    architectures = ("mobilenet_v1",)
    curves = (("top-1", "top1"), ("top-5", "top5"))
    raw_outputs = (_OUTPUT,)

    def recognises(self, _data: Path) -> bool:
        """Anything may have classes: this task is asked last."""
        return True

    def places(self, data: Path, /) -> Places:
        """The parts of the split of a data set; DataError."""
        return find_places(data)

    def source(self, place: Place, /) -> Source:
        """The class of each photo by its folder, its line or its shard; DataError."""
        return read_source(place)

    def read(self, data: Path, train: Source, judges: Source | None, /) -> tuple[Vocabulary, Targets, Targets | None]:
        """The sorted classes, and the class index of each photo; DataError if there is only one class."""
        return read_classes(data, train, judges)

    def described(self, targets: Targets, vocabulary: Vocabulary, /) -> Iterator[Mapping[str, Any]]:
        """`label`, the name of the class."""
        return ({"label": name} for name in targets.lines(vocabulary))

    def targets(self, source: Source, vocabulary: Vocabulary, /) -> Targets:
        """The class of each photo, matched by name; DataError names a class that the model lacks."""
        return class_targets(source, vocabulary)

    def relabelled(self, targets: Targets, given: Vocabulary, wanted: Vocabulary) -> Targets:
        """Matched by name; DataError names the classes that `wanted` lacks."""
        return relabelled(_classes(targets), given, wanted)

    def answered(self, outputs: Outputs, _vocabulary: Vocabulary) -> Targets:
        """The likeliest class of each photo."""
        return ClassTargets(outputs[_OUTPUT].argmax(1).astype(np.int64))

    def head(self, _body: Network, _vocabulary: Vocabulary) -> Head | None:
        """A plain classifier."""
        return None

    def objective(self, card: ModelCard, settings: LossSettings | None = None) -> "Objective":
        """Cross-entropy."""
        # Running models does not need torch.
        from mobilenet.tasks.classification.objective import ClassificationObjective

        if settings is None:
            return ClassificationObjective(len(card.labels))
        return ClassificationObjective(
            len(card.labels), label_smoothing=settings.label_smoothing, class_balanced=settings.class_balanced
        )

    def loss_range(
        self, targets: Targets, vocabulary: Vocabulary, settings: LossSettings
    ) -> tuple[float, float] | None:
        """The entropy of the class frequencies, and that of smoothed labels, in nats."""
        counts = np.bincount(_classes(targets).numbers, minlength=len(vocabulary.names))
        return loss_range(np.sign(counts) if settings.class_balanced else counts, settings.label_smoothing)

    def decode(
        self, outputs: Outputs, card: ModelCard, _sizes: NDArray[np.int64], options: Options
    ) -> Sequence[Classified]:
        """The `options.top` likeliest classes of each photo, five by default, and the parents of the first; a photo is
        uncertain if the likeliest class is below `options.min_confidence`."""
        probabilities = outputs[_OUTPUT]
        likeliest = answers(probabilities, card.labels, options.top or _TOP)
        return [
            Classified(tuple(best), tuple(parents(row, card.labels)), options.min_confidence)
            for best, row in zip(likeliest, probabilities, strict=True)
        ]

    def judge(self, outputs: Outputs, targets: Targets, card: ModelCard) -> Judgement:
        """Top-1, top-5, loss, calibration, and scores per class; photos whose likeliest class is wrong."""
        judged = outputs[_OUTPUT], _classes(targets).numbers, card.labels
        return Judgement(scoring.score(*judged), lambda: scoring.mistakes(*judged))

    def temperatures(self, raw: Outputs, _outputs: Outputs, targets: Targets, _card: ModelCard) -> Temperatures:
        """That of the softmax, by maximum likelihood."""
        return fitted(_OUTPUT, raw[_OUTPUT], _classes(targets).numbers)

    def agreement(self, ours: Outputs, theirs: Outputs, _card: ModelCard) -> float:
        """Top-1 agreement (0…1)."""
        return scoring.agreement(ours[_OUTPUT], theirs[_OUTPUT])

    def headline(self, evaluation: Evaluated) -> tuple[Figure, ...]:
        """Accuracy, loss and calibration error."""
        return headline(evaluation)

    def sections(self, evaluation: Evaluated) -> tuple[Section, ...]:
        """Confusion matrix, mistakes, calibration, scores per class."""
        return sections(evaluation)

    def summary(self, evaluation: Evaluated) -> tuple[str, ...]:
        """Accuracy on the levels of nested classes."""
        return summary(evaluation)


def _classes(targets: Targets) -> ClassTargets:
    if not isinstance(targets, ClassTargets):
        raise TypeError(f"targets are {type(targets).__name__}, not classes")
    return targets
