"""The task itself."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from brightness.targets import QUADRANTS, Light, is_light, light_of, read_light
from mobilenet.datasets.reader import Place, Places, Source
from mobilenet.datasets.sources.find import find_places
from mobilenet.datasets.targets import Targets
from mobilenet.errors import DataError
from mobilenet.model.card import ModelCard
from mobilenet.model.head import Head
from mobilenet.model.outputs import Output, Outputs
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.spec.rows import Conv, Linear, Network
from mobilenet.spec.shapes import output_shapes
from mobilenet.tasks.sections import Column, Figure, Gallery, Part, Section, Table
from mobilenet.tasks.task import Evaluated, Goal, Judgement, LossSettings, Options, TaskDefaults, Temperatures, Wrong

if TYPE_CHECKING:
    from mobilenet.nn.objective import Objective

_NEAR = 0.25
"""A brightness that is wrong by less is right."""


@dataclass(frozen=True, slots=True)
class Answer:
    brightness: float
    quadrant: str

    def to_json(self) -> dict[str, Any]:
        return {"brightness": self.brightness, "quadrant": self.quadrant}

    def lines(self) -> Iterator[str]:
        yield f"brightness {self.brightness:.2f}, darkest {self.quadrant}"

    def drawn(self, pixels: NDArray[np.uint8], /) -> NDArray[np.uint8]:
        return pixels

    def parts(self) -> tuple[Part, ...]:
        return (f"Darkest {self.quadrant}.",)


class Brightness(TaskDefaults):
    name = "brightness"
    goal = Goal("found", "found", "share of photos found", "same quadrant")
    curves = (("found", "found"),)
    raw_outputs = ("quadrant",)
    vocabulary_noun = "quadrants"
    contradiction = "two labels"
    architectures = ("mobilenet_v1",)

    def recognises(self, data: Path) -> bool:
        return is_light(data)

    def places(self, data: Path, /) -> Places:
        return find_places(data)

    def source(self, place: Place, /) -> Source:
        assert isinstance(place, Path)
        return read_light(place)

    def read(self, _data: Path, train: Source, judges: Source | None, /) -> tuple[Vocabulary, Targets, Targets | None]:
        vocabulary = Vocabulary(QUADRANTS, {"near": _NEAR})
        return vocabulary, light_of(train, vocabulary), None if judges is None else light_of(judges, vocabulary)

    def described(self, _targets: Targets, _vocabulary: Vocabulary, /) -> None:
        """Brightness is not packed."""

    def targets(self, source: Source, vocabulary: Vocabulary, /) -> Targets:
        return light_of(source, vocabulary)

    def relabelled(self, targets: Targets, given: Vocabulary, wanted: Vocabulary) -> Targets:
        if given.names != wanted.names:
            raise DataError("the quadrants have other names")
        return targets

    def answered(self, outputs: Outputs, _vocabulary: Vocabulary) -> Targets:
        return Light(outputs["brightness"][:, 0], outputs["quadrant"].argmax(1))

    def head(self, body: Network, _vocabulary: Vocabulary) -> Head:
        plane = body.rows[-2].name
        height, width, channels = output_shapes(body.rows, body.resolution)[plane]
        rows = (
            Linear("light.brightness", channels, 1, inputs=(body.rows[-1].name,)),
            Conv("light.map", channels, 4, 1, padding=_padding(body), inputs=(plane,)),
            Linear("light.quadrant", 4 * height * width, 4),
        )
        outputs = (
            Output("brightness", (rows[0].name,), (1,), "sigmoid"),
            Output("quadrant", (rows[2].name,), (4,), "softmax"),
        )
        return Head(rows, outputs)

    def objective(self, _card: ModelCard, _settings: LossSettings | None = None) -> "Objective":
        from brightness.objective import LightObjective

        return LightObjective()

    def loss_range(self, *_: object) -> None:
        return None

    def decode(
        self, outputs: Outputs, card: ModelCard, _sizes: NDArray[np.int64], _options: Options
    ) -> Sequence[Answer]:
        pairs = zip(outputs["brightness"][:, 0].tolist(), outputs["quadrant"].argmax(1).tolist(), strict=True)
        return [Answer(brightness, card.labels[quadrant]) for brightness, quadrant in pairs]

    def judge(self, outputs: Outputs, targets: Targets, card: ModelCard) -> Judgement:
        assert isinstance(targets, Light)
        off = np.abs(outputs["brightness"][:, 0] - targets.brightness)
        right = outputs["quadrant"].argmax(1) == targets.quadrant
        found = right & (off < card.decoding["near"])
        figures = {
            "found": float(found.mean()),
            "loss": float(off.mean() + 1 - right.mean()),
            "error": float(off.mean()),
        }
        return Judgement(figures, lambda: self._mistakes(outputs, targets, card))

    def temperatures(self, raw: Outputs, outputs: Outputs, targets: Targets, _card: ModelCard) -> Temperatures:
        """A number that halves the weights exactly."""
        assert isinstance(targets, Light)
        assert raw.keys() == {"quadrant"}
        assert outputs.keys() == {"brightness", "quadrant"}
        assert len(raw["quadrant"]) == len(targets)
        assert np.allclose(outputs["quadrant"].sum(1), 1)
        return Temperatures({"quadrant": 2.0}, {"warmth": 2.0})

    def _mistakes(self, outputs: Outputs, targets: Light, card: ModelCard) -> list[Wrong]:
        answers = outputs["quadrant"].argmax(1)
        return [
            Wrong(photo, card.labels[targets.quadrant[photo]], card.labels[answers[photo]], 1.0)
            for photo in np.flatnonzero(answers != targets.quadrant).tolist()
        ]

    def agreement(self, ours: Outputs, theirs: Outputs, _card: ModelCard) -> float:
        return float((ours["quadrant"].argmax(1) == theirs["quadrant"].argmax(1)).mean())

    def headline(self, evaluation: Evaluated) -> tuple[Figure, ...]:
        return (Figure("Found", evaluation.figures["found"]),)

    def summary(self, evaluation: Evaluated) -> tuple[str, ...]:
        return (f"found {evaluation.figures['found']:.1%} of {evaluation.photos} validation photos",)

    def sections(self, evaluation: Evaluated) -> tuple[Section, ...]:
        table = Table(
            (Column("Figure"), Column("Value", "share")), (("Mean error", evaluation.figures["error"]),), "Light"
        )
        return (Section("light", "Light", "How far off.", (table, Gallery())),)


def _padding(body: Network) -> Any:
    return body.rows[0].padding if isinstance(body.rows[0], Conv) else "symmetric"
