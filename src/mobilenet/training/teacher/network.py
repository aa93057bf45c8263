"""A trained network as a teacher, whatever computes it."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from mobilenet.images.augment import Crops
from mobilenet.model.outputs import Output
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.runs.trained_on import TrainedOn

__all__ = ["Answer", "Teacher"]

Answer = Callable[[Tensor, Crops], dict[str, Tensor]]
"""(N, S, S, 3) uint8 pixels of whole photos and N crops of them -> outputs by name, each (N, *shape) float32."""


@dataclass(frozen=True, slots=True, eq=False)
class Teacher:
    """A trained network; `answer` gives its outputs before their endings.

    `digest` is that of everything that determines the outputs. `task`, `outputs` and `trained_on` are those of a model
    of this tool; a network of another tool has None, none and None, and `answer` gives one output (N, names), scores or
    probabilities. `resolution` is the side of its input in pixels.
    """

    name: str
    digest: str
    task: str | None
    vocabulary: Vocabulary
    outputs: tuple[Output, ...]
    resolution: int
    trained_on: TrainedOn | None
    answer: Answer
