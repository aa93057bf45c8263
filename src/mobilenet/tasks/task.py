"""The interface of a task: everything that differs between classification, detection and the others.

Generic code receives a `Task` and never asks which one it is; only entry points look one up in `tasks.TASKS`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mobilenet.datasets.reader import Reader
from mobilenet.datasets.targets import Targets
from mobilenet.model.card import ModelCard
from mobilenet.model.head import Head
from mobilenet.model.outputs import Outputs
from mobilenet.model.precision import Precision
from mobilenet.model.suppression import Suppression
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.spec.rows import Network
from mobilenet.tasks.sections import Figure, Part, Section

if TYPE_CHECKING:
    from mobilenet.nn.objective import Objective

__all__ = [
    "NO_WRITERS",
    "Answer",
    "Evaluated",
    "Figures",
    "Goal",
    "Judgement",
    "LossSettings",
    "Options",
    "Region",
    "Task",
    "TaskDefaults",
    "Temperatures",
    "Weights",
    "Writer",
    "Writers",
    "Wrong",
]

Weights = Mapping[str, NDArray[np.float32]]
"""The arrays of a network by name, in the shapes of its torch module's `state_dict()`."""

Figures = Mapping[str, Any]
"""The measures of an evaluation by name, as JSON values, including the goal and `loss`."""


@dataclass(frozen=True, slots=True)
class Goal:
    """The figure that `fit` maximises and that an exported file must preserve: a share, 0…1, larger is better.

    `name` is its key among the figures; `title` is for tables (`top-1`), `noun` for sentences (`accuracy`); `agreement`
    is the term for two networks giving the same prediction, and `answers` for what is predicted where a photo has
    several, of which agreement is then a share. `of_photos`: it is a share of the photos, so that its uncertainty is
    binomial. A file may be below its network by `allowed_loss`, by its precision, and `agreeing` is the share of
    predictions that must be the same.
    """

    name: str
    title: str
    noun: str
    agreement: str
    answers: str = ""
    of_photos: bool = True
    allowed_loss: Mapping[Precision, float] = field(default_factory=lambda: {"float32": 0.0, "int8": 0.01})
    agreeing: Mapping[Precision, float] = field(default_factory=lambda: {"float32": 1.0, "int8": 0.97})


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a photo to draw on it, with its name: top, left, bottom, right as shares (0…1) of the photo; `wrong`:
    the mistake is about this one."""

    box: tuple[float, float, float, float]
    name: str
    wrong: bool = False


@dataclass(frozen=True, slots=True)
class Wrong:
    """A photo (its index) with a wrong prediction: its label, the prediction, and its confidence (0…1); where it is
    about parts of the photo, the labelled ones and those that were predicted."""

    photo: int
    label: str
    predicted: str
    confidence: float
    labelled_regions: tuple[Region, ...] = ()
    predicted_regions: tuple[Region, ...] = ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """What outputs are worth: the `figures` of N ≥ 1 photos and, when asked for, their `mistakes`: every photo with a
    wrong prediction, or the worst mistakes of each kind."""

    figures: Figures
    mistakes: Callable[[], Sequence[Wrong]]


class Evaluated(Protocol):
    """The result of an evaluation of `photos` photos."""

    @property
    def photos(self) -> int: ...

    @property
    def figures(self) -> Figures: ...


class Answer(Protocol):
    """The prediction for one photo."""

    def to_json(self) -> dict[str, Any]:
        """As an object for `json.dumps`."""
        ...

    def lines(self) -> Iterable[str]:
        """As lines of text."""
        ...

    def drawn(self, pixels: NDArray[np.uint8], /) -> NDArray[np.uint8]:
        """(H, W, 3) uint8, the whole upright picture -> a copy with the prediction drawn on it, (k·H, k·W, 3) for a
        small one; see `images.overlay`."""
        ...

    def parts(self) -> Sequence[Part]:
        """What a page shows beside the drawn picture, such as a map."""
        ...


class Writer(Protocol):
    """Predictions written to files, a photo at a time."""

    def add(self, name: PurePosixPath, photo: Path, answer: Answer) -> None:
        """The prediction for a photo; `name` is the path to write it under, unlike that of any other photo even without
        its ending."""
        ...

    def finish(self) -> None:
        """Writes what can only be written after all photos."""
        ...


Writers = Mapping[str, Callable[[Path, ModelCard], Writer]]
"""What opens a file or a folder for predictions, by the name of its format."""

NO_WRITERS: Writers = MappingProxyType({})
"""Of a task whose predictions are printed alone."""


@dataclass(frozen=True, slots=True)
class Options:
    """The user's options for predictions: `top`: how many per photo, None for as many as the task gives by itself;
    `min_confidence` (0…1): predictions below it are marked as uncertain, or left out where a photo has any number of
    them; None for neither."""

    top: int | None = None
    min_confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Temperatures:
    """What is fitted to photos that were not trained on: temperatures by the name of the output whose raw values are
    divided by them, to fold into the weights.

    `figures` are those of the fit, as JSON values, for the evaluation of the run; `decoding` are fields of the
    vocabulary, such as thresholds, for the card of the trained network.
    """

    by_output: Mapping[str, float] = field(default_factory=dict)
    figures: Figures = field(default_factory=dict)
    decoding: Mapping[str, Any] = field(default_factory=dict)


class LossSettings(Protocol):
    """The training settings that concern the loss."""

    @property
    def label_smoothing(self) -> float: ...

    @property
    def class_balanced(self) -> bool: ...

    @property
    def weights(self) -> str | None: ...


class Task(Reader, Protocol):
    """One task. Outputs are by name, (N, *shape) float32, after their endings; figures are shares (0…1) by default."""

    @property
    def name(self) -> str:
        """Its name in model files and for `--task`."""
        ...

    @property
    def goal(self) -> Goal: ...

    @property
    def curves(self) -> tuple[tuple[str, str], ...]:
        """The figures that a run records at each validation besides the loss: (title, name), the goal first."""
        ...

    @property
    def architectures(self) -> tuple[str, ...]:
        """The networks that are usual for it, by their names in `spec.architectures`, the published one first."""
        ...

    @property
    def scenes(self) -> str:
        """What the scenes of its demo show, so that they have the labels that it learns: one of `scenes.Objects`."""
        ...

    @property
    def augmentation(self) -> Mapping[str, Any]:
        """Fields of `images.augment.Augmentation` that suit its targets, where those of the recipe do not: crops in
        which what they say can still be seen."""
        ...

    @property
    def fine_tuning_rate(self) -> float:
        """Factor of the recipe's learning rate where it starts from other weights."""
        ...

    @property
    def writers(self) -> Writers:
        """The formats in which its predictions can be written to files."""
        ...

    def recognises(self, data: Path) -> bool:
        """Whether a folder or file looks like a data set of this task."""
        ...

    def relabelled(self, targets: Targets, given: Vocabulary, wanted: Vocabulary) -> Targets:
        """Targets of the vocabulary `given` in terms of `wanted`; DataError names what `wanted` lacks."""
        ...

    def answered(self, outputs: Outputs, vocabulary: Vocabulary) -> Targets:
        """The targets of N photos as a network with this vocabulary says them: what a student is measured by where
        nobody has labelled."""
        ...

    def head(self, body: Network, vocabulary: Vocabulary) -> Head | None:
        """The rows after `body`, whose last row is the global pool, and their outputs; None for a plain classifier of
        the names."""
        ...

    def decoding(self, body: Network, vocabulary: Vocabulary) -> Mapping[str, Any]:
        """What turns the outputs of a network with that `body` into predictions, for its card, as JSON values: the
        fields of the vocabulary, and what follows from the body."""
        ...

    def inherited(self, decoding: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a network that goes on from another one of this task, with other photos, keeps of its `decoding`."""
        ...

    def kept_head(self, theirs: ModelCard, their_arrays: Weights, ours: ModelCard, our_arrays: Weights) -> Weights:
        """The arrays of our head that can be taken from another network of this task that training goes on from, by
        their names; all in the shapes of the torch modules."""
        ...

    def objective(self, card: ModelCard, settings: LossSettings | None = None) -> "Objective":
        """The training objective for a network with this card; imports torch."""
        ...

    def loss_range(
        self, targets: Targets, vocabulary: Vocabulary, settings: LossSettings
    ) -> tuple[float, float] | None:
        """The training loss of the best constant prediction, and of perfect predictions; None if they are not known."""
        ...

    def decode(self, outputs: Outputs, card: ModelCard, sizes: NDArray[np.int64], options: Options) -> Sequence[Answer]:
        """The prediction for each photo; `sizes` (N, 2): height and width of the whole photos in pixels."""
        ...

    def condensed(self, outputs: Outputs, card: ModelCard) -> Outputs:
        """What `judge`, `temperatures` and `agreement` need of the outputs of N photos, (N, *shape) by name, where it
        takes less memory than the outputs, which `judge` and `agreement` read as well; else the outputs themselves."""
        ...

    def judge(self, outputs: Outputs, targets: Targets, card: ModelCard) -> Judgement:
        """The figures and the mistakes of N ≥ 1 photos, by their outputs or by what is condensed of them."""
        ...

    @property
    def raw_outputs(self) -> tuple[str, ...]:
        """The names of the outputs that `temperatures` reads before their endings."""
        ...

    def temperatures(self, raw: Outputs, outputs: Outputs, targets: Targets, card: ModelCard) -> Temperatures:
        """Temperatures, and what else decoding needs, fitted to N ≥ 1 photos that were not trained on; `raw` are the
        `raw_outputs` before their endings, `outputs` all of them, condensed. No temperature may change a prediction.
        `Temperatures()` where there is nothing to fit."""
        ...

    def agreement(self, ours: Outputs, theirs: Outputs, card: ModelCard) -> float:
        """Share of photos (0…1) on which two networks give the same prediction, or of answers where a photo has
        several; by their outputs or by what is condensed of them."""
        ...

    def suppression(self, card: ModelCard) -> Suppression | None:
        """How the outputs of a network with this card become boxes, for files that can do it themselves; None where
        outputs are no boxes."""
        ...

    def headline(self, evaluation: "Evaluated") -> tuple[Figure, ...]:
        """The figures at the top of a report, the goal first."""
        ...

    def sections(self, evaluation: "Evaluated") -> tuple[Section, ...]:
        """The sections of a report on an evaluation, as plain data."""
        ...

    def summary(self, evaluation: "Evaluated") -> tuple[str, ...]:
        """The lines about its result that training prints after the goal."""
        ...


class TaskDefaults:
    """What is the same for most tasks: scenes of one object, a head that is fitted to the photos, predictions that are
    printed, not written to files, and need no suppression. A task overrides what differs."""

    scenes = "one"
    augmentation: Mapping[str, Any] = MappingProxyType({})
    fine_tuning_rate = 1.0
    writers = NO_WRITERS
    raw_outputs: tuple[str, ...] = ()

    def decoding(self, _body: Network, vocabulary: Vocabulary) -> Mapping[str, Any]:
        """The fields of the vocabulary."""
        return vocabulary.fields

    def inherited(self, _decoding: Mapping[str, Any]) -> Mapping[str, Any]:
        """Nothing."""
        return {}

    def kept_head(self, _theirs: ModelCard, _their_arrays: Weights, _ours: ModelCard, _our_arrays: Weights) -> Weights:
        """Nothing: the head is fitted to the photos."""
        return {}

    def condensed(self, outputs: Outputs, _card: ModelCard) -> Outputs:
        """The outputs themselves."""
        return outputs

    def suppression(self, _card: ModelCard) -> Suppression | None:
        """None: its outputs are not boxes."""
        return None
