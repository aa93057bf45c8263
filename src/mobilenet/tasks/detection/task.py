"""The task itself."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mobilenet.datasets.reader import Place, Places, Source
from mobilenet.datasets.targets import Targets
from mobilenet.errors import ConfigError, DataError
from mobilenet.model.card import ModelCard
from mobilenet.model.graph import Arrays
from mobilenet.model.head import Head
from mobilenet.model.outputs import Outputs
from mobilenet.model.ssd import BOXES, SCORES
from mobilenet.model.suppression import Suppression
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.spec.rows import Network
from mobilenet.tasks.detection import read as reading
from mobilenet.tasks.detection import score as scoring
from mobilenet.tasks.detection.answers import THRESHOLD, Detected, detected, least_score
from mobilenet.tasks.detection.found import found_boxes, suppressed, suppression_of
from mobilenet.tasks.detection.head import Planes, Ssd, decoding_of, head_of, kept_head
from mobilenet.tasks.detection.mistakes import mistakes
from mobilenet.tasks.detection.priors import SCALES, SHAPES, prior_boxes
from mobilenet.tasks.detection.sections import headline, sections, summary
from mobilenet.tasks.detection.shapes import beside_priors
from mobilenet.tasks.detection.targets import BoxTargets
from mobilenet.tasks.detection.writers import WRITERS
from mobilenet.tasks.sections import Figure, Section
from mobilenet.tasks.task import Evaluated, Goal, Judgement, LossSettings, Options, TaskDefaults, Temperatures

if TYPE_CHECKING:
    from mobilenet.nn.objective import Objective

__all__ = ["BoxLoss", "Detection", "ScoreLoss"]

ScoreLoss = Literal["focal", "varifocal", "hard-negatives"]
BoxLoss = Literal["giou", "smooth-l1"]


@dataclass(frozen=True)
class Detection(TaskDefaults):
    """From photos with boxes to `boxes` (N, P, 4) and `scores` (N, P, C) of P prior boxes and C classes.

    ConfigError for invalid options. `score_loss` and `box_loss`: what scores and boxes are learned by, scores by
    default by the focal loss from weights and by hard negatives from random ones; `ssd`: a head of separable
    convolutions, or the authors' plain ones; `planes`: "fine" to predict on block 5 too, by default where a quarter of
    the boxes are small.
    """

    score_loss: ScoreLoss | None = None
    box_loss: BoxLoss = "giou"
    ssd: Ssd | None = None
    planes: Planes | None = None

    name = "detection"
    goal = Goal(
        "ap",
        "AP",
        "average precision",
        "agreement of boxes",
        "boxes",
        allowed_loss={"float32": 0.001, "int8": 0.01},
        # Of two nearly equal boxes, rounding decides which one suppression keeps.
        agreeing={"float32": 0.99, "int8": 0.9},
        of_photos=False,
    )
    vocabulary_noun = "classes"
    contradiction = "different boxes"
    architectures = ("mobilenet_v1_ssd", "mobilenet_v1_ssdlite")
    scenes = "several"
    augmentation = MappingProxyType[str, Any]({"crop_area": (0.5, 1.0), "zoom_out": 1.5, "aliasing": 0.0})
    fine_tuning_rate = 2.0
    writers = WRITERS
    curves = (("AP", "ap"), ("AP50", "ap50"))

    def __post_init__(self) -> None:
        given = (
            ("score_loss", self.score_loss, ScoreLoss),
            ("box_loss", self.box_loss, BoxLoss),
            ("ssd", self.ssd, Ssd),
            ("planes", self.planes, Planes),
        )
        for name, value, known in given:
            if value is not None and value not in get_args(known):
                raise ConfigError(f"unknown {name} {value!r}; use one of {', '.join(get_args(known))}")

    def recognises(self, data: Path) -> bool:
        """Whether there are boxes in a format of COCO, Pascal VOC or YOLO, or in shards."""
        return reading.looks_like_detection(data)

    def places(self, data: Path, /) -> Places:
        """The parts that the annotations tell, or those of folders or shards; DataError."""
        return reading.places(data)

    def source(self, place: Place, /) -> Source:
        """The boxes that files or shards say of each photo; DataError."""
        return reading.read_source(place)

    def read(self, data: Path, train: Source, judges: Source | None, /) -> tuple[Vocabulary, Targets, Targets | None]:
        """The classes and the boxes of each photo; DataError where there are none."""
        return reading.read_boxes(data, train, judges)

    def described(self, targets: Targets, vocabulary: Vocabulary, /) -> Iterator[Mapping[str, Any]] | None:
        """The boxes of each photo."""
        return reading.described(_boxes(targets), vocabulary)

    def targets(self, source: Source, vocabulary: Vocabulary, /) -> Targets:
        """The boxes of the photos in terms of a model's classes; DataError for a class that it does not know."""
        return reading.box_targets(source, vocabulary.names, "the model")

    def relabelled(self, targets: Targets, given: Vocabulary, wanted: Vocabulary) -> Targets:
        """The boxes in terms of `wanted`, matched by the names of classes; DataError for a class that it lacks."""
        boxes = _boxes(targets)
        place = {name: number for number, name in enumerate(wanted.names)}
        lacking = [given.names[label] for label in np.unique(boxes.labels).tolist() if given.names[label] not in place]
        if lacking:
            raise DataError(
                f"the model does not know {', '.join(lacking[:5])}; it knows {', '.join(wanted.names[:10])}"
            )
        places = np.array([place.get(name, 0) for name in given.names] or [0], np.int64)
        return BoxTargets(boxes.boxes, places[boxes.labels], boxes.crowd, boxes.sizes, boxes.starts)

    def answered(self, _outputs: Outputs, _vocabulary: Vocabulary) -> Targets:
        """Not to be had from outputs alone: what they mean depends on the prior boxes."""
        raise ConfigError("a detector cannot learn from a teacher alone yet; give photos with boxes too")

    def head(self, body: Network, vocabulary: Vocabulary) -> Head:
        """Added planes, and predictions on each; SpecError for a body without the planes of SSD."""
        return head_of(body, len(vocabulary.names), self.decoding(body, vocabulary))

    def decoding(self, body: Network, vocabulary: Vocabulary) -> Mapping[str, Any]:
        """The kind of the head, and the prior boxes of each plane."""
        return decoding_of(body, vocabulary.fields, self.ssd, self.planes)

    def inherited(self, decoding: Mapping[str, Any]) -> Mapping[str, Any]:
        """All but the score from which its boxes are shown."""
        return {name: value for name, value in decoding.items() if name != THRESHOLD}

    def kept_head(
        self, theirs: ModelCard, their_arrays: Arrays, ours: ModelCard, our_arrays: Arrays
    ) -> Mapping[str, NDArray[np.float32]]:
        """Everything but the scores of classes that the other network does not know."""
        return kept_head(theirs, their_arrays, ours, our_arrays)

    def objective(self, card: ModelCard, settings: LossSettings | None = None) -> "Objective":
        """The loss of scores and of boxes."""
        # Running models does not need torch.
        from mobilenet.tasks.detection.objective import DetectionObjective

        random = settings is not None and settings.weights is None
        rows = {output.name: output.rows for output in card.outputs}
        return DetectionObjective(
            prior_boxes(card),
            card.decoding[SCALES],
            box_rows=rows[BOXES],
            score_rows=rows[SCORES],
            score_loss=self.score_loss or ("hard-negatives" if random else "focal"),
            box_loss=self.box_loss,
        )

    def loss_range(self, *_: object) -> None:
        """Not known."""

    def decode(
        self, outputs: Outputs, card: ModelCard, sizes: NDArray[np.int64], options: Options
    ) -> Sequence[Detected]:
        """The boxes of each photo, in pixels of the photo."""
        least = least_score(card.decoding, options.min_confidence)
        return detected(found_boxes(outputs, card, least_score=least), card.labels, sizes, least)

    def condensed(self, outputs: Outputs, card: ModelCard) -> Outputs:
        """The boxes that are left after suppression."""
        return suppressed(outputs, card)

    def judge(self, outputs: Outputs, targets: Targets, card: ModelCard) -> Judgement:
        """COCO's figures, where `loss` is 1 - AP, for what outputs mean is known after suppression alone; photos with
        missed boxes, false alarms and swapped classes."""
        judged = scoring.judged(found_boxes(outputs, card), _boxes(targets))
        shapes = beside_priors(judged.targets.boxes, card.decoding.get(SHAPES, []))
        figures = {**scoring.score(judged, card.labels), "shapes": shapes}
        return Judgement(figures, lambda: mistakes(judged, card.labels))

    def temperatures(self, _raw: Outputs, outputs: Outputs, targets: Targets, card: ModelCard) -> Temperatures:
        """The score with the best F1, from which boxes are shown."""
        found = scoring.judged(found_boxes(outputs, card), _boxes(targets)).threshold
        return Temperatures() if found is None else Temperatures(decoding={THRESHOLD: round(found, 6)})

    def agreement(self, ours: Outputs, theirs: Outputs, card: ModelCard) -> float:
        """Share of the boxes of either that the other has too."""
        return scoring.agreement(found_boxes(ours, card), found_boxes(theirs, card))

    def suppression(self, card: ModelCard) -> Suppression:
        """Of boxes of one class; ModelError for a card without prior boxes that match its outputs."""
        return suppression_of(card)

    def headline(self, evaluation: Evaluated) -> tuple[Figure, ...]:
        """Average precision."""
        return headline(evaluation)

    def sections(self, evaluation: Evaluated) -> tuple[Section, ...]:
        """Curves, sizes, mistakes, classes."""
        return sections(evaluation)

    def summary(self, evaluation: Evaluated) -> tuple[str, ...]:
        """Average precision by size."""
        return summary(evaluation)


def _boxes(targets: Targets) -> BoxTargets:
    if not isinstance(targets, BoxTargets):
        raise TypeError(f"targets are {type(targets).__name__}, not boxes")
    return targets
