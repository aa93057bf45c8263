"""The task itself."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.datasets.reader import Place, Places, Source
from mobilenet.datasets.sources.coordinates.find import has_positions, read_positions
from mobilenet.datasets.sources.find import find_places
from mobilenet.datasets.targets import Targets
from mobilenet.errors import ConfigError
from mobilenet.model.card import ModelCard
from mobilenet.model.head import Head
from mobilenet.model.outputs import Outputs
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.spec.rows import Network
from mobilenet.tasks.geolocation import radius, smoothing
from mobilenet.tasks.geolocation import read as reading
from mobilenet.tasks.geolocation import score as scoring
from mobilenet.tasks.geolocation.answers import Taken, answers
from mobilenet.tasks.geolocation.locate import located
from mobilenet.tasks.geolocation.sections import headline, sections, summary
from mobilenet.tasks.geolocation.table import Table, table_of
from mobilenet.tasks.geolocation.targets import PlaceTargets
from mobilenet.tasks.geolocation.writers import WRITERS
from mobilenet.tasks.sections import Figure, Section
from mobilenet.tasks.task import Evaluated, Goal, Judgement, LossSettings, Options, TaskDefaults, Temperatures

if TYPE_CHECKING:
    from mobilenet.nn.objective import Objective

__all__ = ["Geolocation"]

_OUTPUT = "probabilities"
_TOP = 5
_MOST_SMOOTHING = 100.0


@dataclass(frozen=True)
class Geolocation(TaskDefaults):
    """From photos with coordinates to `probabilities` (N, C) of C cells of the Earth; ConfigError for invalid options.

    `max_photos` and `min_photos`: a cell with more photos is divided, one with fewer is dropped; None for numbers that
    grow with the square root of all photos. `smoothing`: the distance over which labels are spread, as a multiple of
    the spread of the cell's photos; 0 for none.
    """

    max_photos: int | None = None
    min_photos: int | None = None
    smoothing: float = 0.5

    name = "geolocation"
    goal = Goal(
        "mean_within",
        "mean accuracy",
        "mean accuracy from 1 to 2,500 km",
        "agreement of places",
        # Rounding carries answers across the edge of a distance, in both directions.
        allowed_loss={"float32": 0.001, "int8": 0.01},
        agreeing={"float32": 0.999, "int8": 0.9},
        of_photos=False,
    )
    vocabulary_noun = "cells"
    contradiction = "two places"
    architectures = ("mobilenet_v1",)
    scenes = "land"
    # A mirrored coast is another coast.
    augmentation = MappingProxyType[str, Any]({"flip": False})
    curves = (("mean accuracy", "mean_within"), ("within 750 km", "within_750"))
    writers = WRITERS

    def __post_init__(self) -> None:
        for name, value, least in (("max_photos", self.max_photos, 1), ("min_photos", self.min_photos, 1)):
            if value is not None and value < least:
                raise ConfigError(f"{name} {value} is out of range; use {least} or more")
        if self.max_photos is not None and self.min_photos is not None and self.min_photos > self.max_photos:
            raise ConfigError(f"min_photos {self.min_photos} is above max_photos {self.max_photos}; use less")
        if not 0 <= self.smoothing <= _MOST_SMOOTHING:
            raise ConfigError(f"smoothing {self.smoothing:g} is out of range; use 0 to {_MOST_SMOOTHING:g}")

    def recognises(self, data: Path) -> bool:
        """Whether there are coordinates: columns of them, or GPS in photos or in shards."""
        return has_positions(data)

    def places(self, data: Path, /) -> Places:
        """The parts of the split of a data set; DataError."""
        return find_places(data)

    def source(self, place: Place, /) -> Source:
        """The coordinates of each photo; DataError."""
        return read_positions(place).source()

    def read(self, data: Path, train: Source, judges: Source | None, /) -> tuple[Vocabulary, Targets, Targets | None]:
        """The cells for the training photos, and the place of each; DataError for photos of one place."""
        vocabulary, targets = reading.read_places(data, train, self.max_photos, self.min_photos)
        return vocabulary, targets, None if judges is None else self.targets(judges, vocabulary)

    def described(self, targets: Targets, _vocabulary: Vocabulary, /) -> Iterator[Mapping[str, Any]]:
        """`latitude` and `longitude`."""
        rows = _places(targets).degrees.tolist()
        return ({"latitude": latitude, "longitude": longitude} for latitude, longitude in rows)

    def targets(self, source: Source, vocabulary: Vocabulary, /) -> Targets:
        """The place of each photo, wherever it is."""
        return reading.known_targets(reading.degrees_in(source), vocabulary)

    def relabelled(self, targets: Targets, _given: Vocabulary, wanted: Vocabulary) -> Targets:
        """The same places among other cells."""
        return reading.known_targets(_places(targets).degrees, wanted)

    def answered(self, outputs: Outputs, vocabulary: Vocabulary) -> Targets:
        """The places that a network answers."""
        table = table_of(vocabulary.names, vocabulary.fields)
        return reading.known_targets(located(outputs[_OUTPUT], table), vocabulary)

    def head(self, _body: Network, _vocabulary: Vocabulary) -> Head | None:
        """A plain classifier of the cells."""
        return None

    def objective(self, card: ModelCard, settings: LossSettings | None = None) -> "Objective":
        """Cross-entropy with labels smoothed over nearby cells."""
        # Running models does not need torch.
        from mobilenet.tasks.geolocation.objective import GeolocationObjective

        if settings is None:
            return GeolocationObjective(_table(card), smoothing=self.smoothing)
        return GeolocationObjective(
            _table(card),
            smoothing=self.smoothing,
            label_smoothing=settings.label_smoothing,
            class_balanced=settings.class_balanced,
        )

    def loss_range(
        self, targets: Targets, vocabulary: Vocabulary, settings: LossSettings
    ) -> tuple[float, float] | None:
        """The entropy of the mean label, and the mean entropy of the labels, in nats."""
        if settings.class_balanced:
            return None
        return smoothing.loss_range(_places(targets), vocabulary, self.smoothing, settings.label_smoothing)

    def decode(self, outputs: Outputs, card: ModelCard, _sizes: NDArray[np.int64], options: Options) -> Sequence[Taken]:
        """Where each photo was taken, with radii and the `options.top` likeliest cells, five by default; a photo is
        uncertain if the likeliest cell is below `options.min_confidence`."""
        most, least = options.top or _TOP, options.min_confidence
        return answers(outputs[_OUTPUT], card.labels, _table(card), card.decoding, most, least)

    def judge(self, outputs: Outputs, targets: Targets, card: ModelCard) -> Judgement:
        """Shares within distances, errors, radii, and the same of a constant answer; photos whose answer is more than
        750 km away."""
        probabilities, places, table = outputs[_OUTPUT], _places(targets), _table(card)
        return Judgement(
            scoring.score(probabilities, places, table, card.vocabulary),
            lambda: scoring.mistakes(probabilities, places.degrees, table),
        )

    def temperatures(self, _raw: Outputs, outputs: Outputs, targets: Targets, card: ModelCard) -> Temperatures:
        """The factors that make radii true; no temperature, which would move the answers."""
        fields, figures = radius.fitted(outputs[_OUTPUT], _places(targets).degrees, _table(card))
        return Temperatures(figures=figures, decoding=fields)

    def agreement(self, ours: Outputs, theirs: Outputs, card: ModelCard) -> float:
        """Share of photos (0…1) with the same answer, as exactly as it can be meant."""
        return scoring.agreement(ours[_OUTPUT], theirs[_OUTPUT], _table(card))

    def headline(self, evaluation: Evaluated) -> tuple[Figure, ...]:
        """Shares within distances, and errors."""
        return headline(evaluation)

    def sections(self, evaluation: Evaluated) -> tuple[Section, ...]:
        """Shares by distance, radii, mistakes."""
        return sections(evaluation)

    def summary(self, evaluation: Evaluated) -> tuple[str, ...]:
        """Errors and radii."""
        return summary(evaluation)


def _table(card: ModelCard) -> Table:
    return table_of(card.labels, card.decoding)


def _places(targets: Targets) -> PlaceTargets:
    if not isinstance(targets, PlaceTargets):
        raise TypeError(f"targets are {type(targets).__name__}, not places")
    return targets
