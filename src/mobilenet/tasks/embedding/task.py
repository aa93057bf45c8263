"""The task itself."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mobilenet.datasets.reader import Place, Places, Source
from mobilenet.datasets.sources.find import find_places
from mobilenet.datasets.targets import Targets
from mobilenet.errors import ConfigError
from mobilenet.model.card import ModelCard
from mobilenet.model.head import Head
from mobilenet.model.outputs import SHORTEST, Outputs
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.spec.rows import Network
from mobilenet.tasks.embedding import score as scoring
from mobilenet.tasks.embedding.answers import Embedded
from mobilenet.tasks.embedding.head import DIMENSIONS, OUTPUT, asked, features_head, is_projected, projected_head
from mobilenet.tasks.embedding.read import is_pairs, read_identities, source_of, targets_of
from mobilenet.tasks.embedding.sections import headline, sections, summary
from mobilenet.tasks.embedding.targets import Identities, Pairings, Vectors
from mobilenet.tasks.sections import Figure, Section
from mobilenet.tasks.task import Evaluated, Goal, Judgement, LossSettings, Options, TaskDefaults, Temperatures

if TYPE_CHECKING:
    from mobilenet.nn.objective import Objective

__all__ = ["Distance", "Embedding", "Loss"]

Loss = Literal["arcface", "contrastive"]
Distance = Literal["squared", "cosine"]

_DIMENSIONS = 128
_FALSE_ACCEPT_RATE = 0.01


@dataclass(frozen=True)
class Embedding(TaskDefaults):
    """From photos in classes to `embedding` (N, D), vectors of length 1; ConfigError for invalid options.

    `loss`: what classes are learned by. `dimensions`: D; 0 for the features of the body as they are, None for those of
    the teacher, or 128 without one. `distance`: what students copy a teacher's vectors by. `false_accept_rate`: what
    the threshold in the model file is fitted for; None for what the file says, or else 0.01.
    """

    loss: Loss = "contrastive"
    dimensions: int | None = None
    distance: Distance = "squared"
    false_accept_rate: float | None = None

    name = "embedding"
    goal = Goal(
        "recall_at_1",
        "recall@1",
        "recall at 1",
        "same photo nearest",
        "vectors",
        # Photos that are nearly alike change places for rounding, in both directions.
        allowed_loss={"float32": 0.0, "int8": 0.02},
    )
    vocabulary_noun = "classes"
    contradiction = "two labels"
    architectures = ("mobilenet_v1",)
    curves = (("recall@1", "recall_at_1"), ("mAP@R", "map_at_r"))
    raw_outputs = (OUTPUT,)

    def __post_init__(self) -> None:
        for name, value, known in (("loss", self.loss, Loss), ("distance", self.distance, Distance)):
            if value not in get_args(known):
                raise ConfigError(f"unknown {name} {value!r}; use one of {', '.join(get_args(known))}")
        if self.false_accept_rate is not None and not 0 < self.false_accept_rate < 1:
            raise ConfigError(f"false-accept rate {self.false_accept_rate:g} is out of range; use 0.01")

    def recognises(self, data: Path) -> bool:
        """A list of pairs; folders of classes are for classification unless this task is named."""
        return is_pairs(data)

    def places(self, data: Path, /) -> Places:
        """The parts of the split of a data set; DataError."""
        return find_places(data)

    def source(self, place: Place, /) -> Source:
        """The class of each photo by its folder, its line or its shard, or pairs of photos; DataError."""
        return source_of(place)

    def read(self, data: Path, train: Source, judges: Source | None, /) -> tuple[Vocabulary, Targets, Targets | None]:
        """The class of each photo; classes are not part of the vocabulary. DataError for one class, and for pairs."""
        targets, judged = read_identities(data, train, judges)
        fields = {} if self.dimensions is None else {DIMENSIONS: self.dimensions}
        return Vocabulary((), fields), targets, judged

    def described(self, targets: Targets, vocabulary: Vocabulary, /) -> Iterator[Mapping[str, Any]] | None:
        """`label`, the name of the class; None for pairs."""
        return ({"label": name} for name in targets.lines(vocabulary)) if isinstance(targets, Identities) else None

    def targets(self, source: Source, _vocabulary: Vocabulary, /) -> Targets:
        """The classes of the photos, whichever they are, or their pairs."""
        return targets_of(source)

    def relabelled(self, targets: Targets, _given: Vocabulary, _wanted: Vocabulary) -> Targets:
        """As they are: classes of photos are not those of a model."""
        return targets

    def answered(self, outputs: Outputs, _vocabulary: Vocabulary) -> Targets:
        """The vectors themselves."""
        return Vectors(outputs[OUTPUT])

    def head(self, body: Network, vocabulary: Vocabulary) -> Head:
        """A projection of the features, or the features; SpecError for vectors that cannot be made."""
        # What the user asks for goes before what a teacher has.
        dimensions = asked(vocabulary.fields, _DIMENSIONS) if self.dimensions is None else self.dimensions
        return projected_head(body, dimensions) if dimensions else features_head(body)

    def backbone(self, body: Network) -> tuple[Head, dict[str, Any]]:
        """The head of a backbone that was trained elsewhere, its features, and the fields of its vocabulary."""
        head = features_head(body)
        return head, {DIMENSIONS: head.outputs[0].size}

    def objective(self, card: ModelCard, _settings: LossSettings | None = None) -> "Objective":
        """ArcFace or supervised contrastive, and the distance from a teacher's vectors."""
        # Running models does not need torch.
        from mobilenet.tasks.embedding.objective import EmbeddingObjective

        size = card.outputs[0].size
        return EmbeddingObjective(size, loss=self.loss, distance=self.distance, projected=is_projected(card.head))

    def loss_range(self, *_: object) -> None:
        """Not known."""

    def decode(
        self, outputs: Outputs, _card: ModelCard, _sizes: NDArray[np.int64], _options: Options
    ) -> Sequence[Embedded]:
        """The vector of each photo."""
        return [Embedded(vector) for vector in outputs[OUTPUT]]

    def judge(self, outputs: Outputs, targets: Targets, card: ModelCard) -> Judgement:
        """Recall, mAP@R, verification, loss, and recall per class; photos whose nearest other one is of another
        class."""
        vectors, known = outputs[OUTPUT], _known(targets)
        return Judgement(scoring.score(vectors, known, card.decoding), lambda: scoring.mistakes(vectors, known))

    def temperatures(self, raw: Outputs, _outputs: Outputs, targets: Targets, card: ModelCard) -> Temperatures:
        """The threshold for the false-accept rate."""
        vectors = raw[OUTPUT]
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        rate = self.false_accept_rate or card.decoding.get(scoring.RATE, _FALSE_ACCEPT_RATE)
        return scoring.fitted(vectors / np.maximum(lengths, SHORTEST), _known(targets), rate)

    def agreement(self, ours: Outputs, theirs: Outputs, _card: ModelCard) -> float:
        """Share of photos (0…1) whose vectors stand for the same photo in both."""
        return scoring.agreement(ours[OUTPUT], theirs[OUTPUT])

    def headline(self, evaluation: Evaluated) -> tuple[Figure, ...]:
        """Retrieval and verification."""
        return headline(evaluation)

    def sections(self, evaluation: Evaluated) -> tuple[Section, ...]:
        """Verification, mistakes, classes."""
        return sections(evaluation)

    def summary(self, evaluation: Evaluated) -> tuple[str, ...]:
        """The threshold."""
        return summary(evaluation)


def _known(targets: Targets) -> Identities | Pairings | Vectors:
    if not isinstance(targets, Identities | Pairings | Vectors):
        raise TypeError(f"targets are {type(targets).__name__}, not those of vectors")
    return targets
