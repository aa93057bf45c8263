"""Attributes: many labels at once, each of which a photo has, has not, or is not known to have."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.datasets.reader import Place, Places, Source
from mobilenet.datasets.sources.find import find_places
from mobilenet.datasets.targets import Targets
from mobilenet.model.card import ModelCard
from mobilenet.model.head import Head
from mobilenet.model.outputs import Output, Outputs
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.spec.mobilenet import CLASSIFIER
from mobilenet.spec.rows import Linear, Network
from mobilenet.spec.shapes import output_shapes
from mobilenet.tasks.attributes import score as scoring
from mobilenet.tasks.attributes.answers import Attributed, judged
from mobilenet.tasks.attributes.confidence import fitted
from mobilenet.tasks.attributes.read import attribute_targets, looks_like_attributes, read_attributes, read_source
from mobilenet.tasks.attributes.sections import headline, sections, summary
from mobilenet.tasks.attributes.targets import AttributeTargets, relabelled
from mobilenet.tasks.attributes.weighting import loss_range
from mobilenet.tasks.sections import Figure, Section
from mobilenet.tasks.task import Evaluated, Goal, Judgement, LossSettings, Options, TaskDefaults, Temperatures

if TYPE_CHECKING:
    from mobilenet.nn.objective import Objective

__all__ = ["Attributes"]

_OUTPUT = "probabilities"


class Attributes(TaskDefaults):
    """From a table with a column per attribute to `probabilities` (N, attributes), each between 0 and 1."""

    name = "attributes"
    goal = Goal(
        "mean_ap",
        "mean AP",
        "mean average precision",
        "agreement of answers",
        "answers",
        # Rounding may change the order of photos with nearly the same probability.
        allowed_loss={"float32": 0.001, "int8": 0.005},
        of_photos=False,
    )
    vocabulary_noun = "attributes"
    contradiction = "two labels"
    architectures = ("mobilenet_v1",)
    augmentation: Mapping[str, Any] = MappingProxyType({"crop_area": (0.75, 1.0)})
    curves = (("mean AP", "mean_ap"), ("mean F1", "mean_f1"))
    raw_outputs = (_OUTPUT,)

    def recognises(self, data: Path) -> bool:
        """Whether its columns are 0, 1 or blank, or its labels several at once."""
        return looks_like_attributes(data)

    def places(self, data: Path, /) -> Places:
        """The parts of the split of a data set; DataError."""
        return find_places(data)

    def source(self, place: Place, /) -> Source:
        """What a table or shards say of each photo's attributes; DataError."""
        return read_source(place)

    def read(self, data: Path, train: Source, judges: Source | None, /) -> tuple[Vocabulary, Targets, Targets | None]:
        """The attributes with a known value in training, and the values of each photo; DataError if there are none."""
        return read_attributes(data, train, judges)

    def described(self, targets: Targets, vocabulary: Vocabulary, /) -> Iterator[Mapping[str, Any]]:
        """`attributes`: 1, 0 or null for each."""
        values = _attributes(targets).values.tolist()
        return (
            {
                "attributes": {
                    name: value if value >= 0 else None for name, value in zip(vocabulary.names, row, strict=True)
                }
            }
            for row in values
        )

    def targets(self, source: Source, vocabulary: Vocabulary, /) -> Targets:
        """The values of each photo, matched by name; DataError names an attribute that the model lacks."""
        return attribute_targets(source, vocabulary.names, "the model")

    def relabelled(self, targets: Targets, given: Vocabulary, wanted: Vocabulary) -> Targets:
        """Matched by name; DataError names the attributes that `wanted` lacks."""
        return relabelled(_attributes(targets), given, wanted)

    def answered(self, outputs: Outputs, vocabulary: Vocabulary) -> Targets:
        """Every attribute at its threshold or above."""
        return AttributeTargets(scoring.answered(outputs[_OUTPUT], vocabulary.fields).astype(np.int8))

    def head(self, body: Network, vocabulary: Vocabulary) -> Head | None:
        """A classifier with a sigmoid for each attribute."""
        pool = body.rows[-1].name
        _, _, channels = output_shapes(body.rows, body.resolution)[pool]
        names = len(vocabulary.names)
        return Head((Linear(CLASSIFIER, channels, names),), (Output(_OUTPUT, (CLASSIFIER,), (names,), "sigmoid"),))

    def objective(self, _card: ModelCard, settings: LossSettings | None = None) -> "Objective":
        """Binary cross-entropy of what is known."""
        # Running models does not need torch.
        from mobilenet.tasks.attributes.objective import AttributeObjective

        if settings is None:
            return AttributeObjective()
        return AttributeObjective(label_smoothing=settings.label_smoothing, class_balanced=settings.class_balanced)

    def loss_range(
        self, targets: Targets, _vocabulary: Vocabulary, settings: LossSettings
    ) -> tuple[float, float] | None:
        """The mean entropy of the attributes' frequencies, and that of smoothed labels, in nats."""
        return loss_range(_attributes(targets), settings.label_smoothing, balanced=settings.class_balanced)

    def decode(
        self, outputs: Outputs, card: ModelCard, _sizes: NDArray[np.int64], options: Options
    ) -> Sequence[Attributed]:
        """Every attribute of each photo, and which are present by the thresholds of the model."""
        return judged(outputs[_OUTPUT], card.labels, card.decoding, options.min_confidence)

    def judge(self, outputs: Outputs, targets: Targets, card: ModelCard) -> Judgement:
        """Average precision, F1, calibration and exact matches; wrong answers in both directions, all of what is
        known."""
        judged = outputs[_OUTPUT], _attributes(targets).values, card.labels, card.decoding
        return Judgement(scoring.score(*judged), lambda: scoring.mistakes(*judged))

    def temperatures(self, raw: Outputs, _outputs: Outputs, targets: Targets, card: ModelCard) -> Temperatures:
        """That of all sigmoids together, by maximum likelihood, and the threshold of each attribute by its F1."""
        return fitted(_OUTPUT, raw[_OUTPUT], _attributes(targets), card.decoding)

    def agreement(self, ours: Outputs, theirs: Outputs, card: ModelCard) -> float:
        """Share of equal answers (0…1), by the thresholds of the model."""
        return scoring.agreement(ours[_OUTPUT], theirs[_OUTPUT], card.decoding)

    def headline(self, evaluation: Evaluated) -> tuple[Figure, ...]:
        """Mean AP, mean F1, exact matches, loss and calibration error."""
        return headline(evaluation)

    def sections(self, evaluation: Evaluated) -> tuple[Section, ...]:
        """Scores by attribute, their curves, mistakes, which occur together, calibration."""
        return sections(evaluation)

    def summary(self, evaluation: Evaluated) -> tuple[str, ...]:
        """F1 and its thresholds, and what guessing would reach."""
        return summary(evaluation)


def _attributes(targets: Targets) -> AttributeTargets:
    if not isinstance(targets, AttributeTargets):
        raise TypeError(f"targets are {type(targets).__name__}, not attributes")
    return targets
