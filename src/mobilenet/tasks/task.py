"""What a task is: everything that classification, detection and the others do in ways of their own.

Generic rooms receive a `Task` and never ask which one it is; only entry points look one up in `tasks.TASKS`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mobilenet.datasets.reader import Reader
from mobilenet.datasets.targets import Targets
from mobilenet.model.card import ModelCard
from mobilenet.model.head import Head
from mobilenet.model.outputs import Outputs
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.spec.rows import Network
from mobilenet.tasks.sections import Figure, Section

if TYPE_CHECKING:
    from mobilenet.nn.objective import Objective

__all__ = ["Answer", "Evaluated", "Figures", "Goal", "LossSettings", "Options", "Task", "Wrong"]

Figures = Mapping[str, Any]
"""What an evaluation measured, as JSON has it, by name: the goal and `loss` among others."""


@dataclass(frozen=True, slots=True)
class Goal:
    """The figure that `fit` maximises and that an exported file must keep: a share, 0…1, larger is better.

    `name` among the figures; `title` for a table (`top-1`), `noun` within a sentence (`accuracy`); `agreement` is what
    it is called when two networks give the same answer.
    """

    name: str
    title: str
    noun: str
    agreement: str


@dataclass(frozen=True, slots=True)
class Wrong:
    """A photo (its index) that was answered wrongly: what it shows, the answer, and how sure that was (0…1)."""

    photo: int
    label: str
    predicted: str
    confidence: float


class Evaluated(Protocol):
    """What an evaluation of `photos` photos has found."""

    @property
    def photos(self) -> int: ...

    @property
    def figures(self) -> Figures: ...


class Answer(Protocol):
    """What is said of one photo."""

    def to_json(self) -> dict[str, Any]:
        """As a mapping that `json.dumps` takes."""
        ...

    def lines(self) -> Iterable[str]:
        """For people, a line each."""
        ...


@dataclass(frozen=True, slots=True)
class Options:
    """What somebody who asks for answers may choose; `top`: how many for each photo."""

    top: int = 5


class LossSettings(Protocol):
    """What training's settings say of the loss."""

    @property
    def label_smoothing(self) -> float: ...

    @property
    def class_balanced(self) -> bool: ...


class Task(Reader, Protocol):
    """One task. Outputs are by name, (N, *shape) float32, with their endings; figures are shares (0…1) unless said."""

    @property
    def name(self) -> str:
        """Its name in model files and for `--task`."""
        ...

    @property
    def goal(self) -> Goal: ...

    @property
    def vocabulary_noun(self) -> str:
        """What the names of its vocabulary are called, in the plural, such as `classes`."""
        ...

    @property
    def curves(self) -> tuple[tuple[str, str], ...]:
        """Figures of each validation that a run records beside the loss: (title, name), the goal first."""
        ...

    def recognises(self, data: Path) -> bool:
        """Whether a folder or file looks like a data set of this task."""
        ...

    def relabelled(self, targets: Targets, given: Vocabulary, wanted: Vocabulary) -> Targets:
        """Targets of one vocabulary in terms of another; DataError names what that lacks."""
        ...

    def head(self, body: Network, vocabulary: Vocabulary) -> Head | None:
        """The rows behind `body`, whose last row is the global pool, and what comes out of them; None for a plain
        classifier of the names."""
        ...

    def objective(self, card: ModelCard, settings: LossSettings | None = None) -> "Objective":
        """What a network of this card learns; imports torch."""
        ...

    def loss_range(
        self, targets: Targets, vocabulary: Vocabulary, settings: LossSettings
    ) -> tuple[float, float] | None:
        """The training loss of the best answer that is the same for every photo, and of answers that are all right;
        None where nobody can say."""
        ...

    def decode(self, outputs: Outputs, card: ModelCard, sizes: NDArray[np.int64], options: Options) -> Sequence[Answer]:
        """An answer for each photo; `sizes` (N, 2): height and width of the whole photos in pixels."""
        ...

    def score(self, outputs: Outputs, targets: Targets, card: ModelCard) -> Figures:
        """What counts, of N ≥ 1 photos."""
        ...

    def mistakes(self, outputs: Outputs, targets: Targets, card: ModelCard) -> list[Wrong]:
        """Every photo with a wrong answer."""
        ...

    def agreement(self, ours: Outputs, theirs: Outputs, card: ModelCard) -> float:
        """Share of photos (0…1) on which two networks give the same answer."""
        ...

    def headline(self, evaluation: "Evaluated") -> tuple[Figure, ...]:
        """The figures that a report begins with, the goal first."""
        ...

    def sections(self, evaluation: "Evaluated") -> tuple[Section, ...]:
        """What a report shows of an evaluation, as plain data."""
        ...

    def summary(self, evaluation: "Evaluated") -> tuple[str, ...]:
        """What training says of its result behind the goal, a line each."""
        ...
