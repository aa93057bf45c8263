"""The gate: an exported file is opened by its own engine and compared with the trained network on real photos.

Nothing here looks at how a file was written. It is judged by its answers, which begin with the bytes of photos, by its
size, and in 8 bits by its speed where that is asked for. A gate says what passes, so that NaN never does.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.datasets.targets import Targets
from mobilenet.errors import DataError
from mobilenet.model.card import ModelCard
from mobilenet.model.outputs import Output, Outputs, checked_outputs, finite_photos, shaped_outputs, taken
from mobilenet.model.precision import Precision
from mobilenet.runtimes.batches import predict_batches
from mobilenet.runtimes.predictor import Predictor, open_model
from mobilenet.spec.cost import cost
from mobilenet.tasks.task import Goal, Task

__all__ = ["OF_THE_FILE", "Gate", "Proof", "Reference", "prove", "speed"]

_ABSOLUTE, _RELATIVE = 1e-5, 1e-4
"""How far probabilities of a float32 file may lie from the network's: engines add in other orders."""

_AGREEMENT = {"float32": 1.0, "int8": 0.97}
"""Share of photos on which file and network must give the same answer."""

_ACCURACY_LOSS = {"float32": 0.0, "int8": 0.01}

OF_THE_FILE = ("description", "size", "faster than float32")
"""The gates that judge something else than what a file answers."""

_SPARE_BYTES = 64 * 1024
"""Of a file, beside its weights and its card: shapes, names, class names once more."""

_TIMED_S, _ROUND = 1.0, 10


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What the trained network says: `images` (N, R, R, 3) uint8 prepared from photos, `outputs` by name (N, *shape).

    `targets` are those of the N photos, None where nobody knows what they show. DataError without photos, ModelError
    where the outputs are not what the card says, or not finite: nothing can be proven by them.
    """

    task: Task
    card: ModelCard
    images: NDArray[np.uint8]
    outputs: Outputs
    targets: Targets | None

    def __post_init__(self) -> None:
        if not len(self.images):
            raise DataError("no photos to prove a file on; give at least one that can be read")
        checked_outputs(self.outputs, self.card.outputs, len(self.images))

    @property
    def accuracy(self) -> float | None:
        """The goal of the task that the network reaches, 0…1; None where nobody knows what the photos show."""
        return None if self.targets is None else self.goal_of(self.outputs, np.arange(len(self.images)))

    def goal_of(self, outputs: Outputs, photos: NDArray[np.int64]) -> float:
        """The goal that answers (N, *shape) reach on the `photos` of these numbers, 0…1; ValueError without targets."""
        if self.targets is None:
            raise ValueError("nobody knows what the photos show")
        figures = self.task.score(taken(outputs, photos), self.targets.take(photos), self.card)
        return float(figures[self.task.goal.name])


@dataclass(frozen=True, slots=True)
class Gate:
    """One thing that a file must show; `failure` says by how much it fails and what to try, and is empty where it
    passes."""

    name: str
    measured: float
    limit: float
    failure: str = ""

    @property
    def passed(self) -> bool:
        """Whether the file may be used."""
        return not self.failure


@dataclass(frozen=True, slots=True)
class Proof:
    """What was measured of one file in one engine; shares are 0…1, differences of outputs, times in ms; `accuracy` is
    the goal of the task."""

    file: str
    runtime: str
    precision: Precision
    size_bytes: int
    photos: int
    largest_difference: float
    mean_difference: float
    agreement: float
    accuracy: float | None
    network_accuracy: float | None
    latency_ms: float
    float32_latency_ms: float | None
    gates: tuple[Gate, ...]
    cause: str | None = None
    """What explains that the answers differ, where it is a known mistake."""

    @property
    def failures(self) -> tuple[str, ...]:
        """One line for each gate that failed, the cause last; none for a file that is proven."""
        if not self.gates:
            return ("nothing of it was measured; prove it again",)
        failed = tuple(gate.failure for gate in self.gates if not gate.passed)
        return (*failed, f"the likely cause: {self.cause}") if self.cause else failed

    def to_json(self) -> dict[str, Any]:
        """As a mapping that `json.dumps` takes."""
        gates = [{**asdict(gate), "passed": gate.passed} for gate in self.gates]
        return {**asdict(self), "gates": gates, "passed": not self.failures}


def prove(
    file: Path, runtime: str, precision: Precision, reference: Reference, faster_than: Predictor | None = None
) -> tuple[Proof, Outputs]:
    """Open `file` with `runtime` and compare it with the network; also what it answers, finite or not.

    `faster_than`: the float32 file of the same network, opened with one thread, which an 8-bit file must beat.
    ModelError where the engine does not run it.
    """
    task, card, photos = reference.task, reference.card, len(reference.images)
    predictor = open_model(file, runtime, threads=1)
    found = predict_batches(predictor, reference.images, check=shaped_outputs)
    answered = finite_photos(found)
    agreement = _of_those(
        answered, lambda kept: task.agreement(taken(found, kept), taken(reference.outputs, kept), card)
    )
    accuracy = None
    if reference.targets is not None:
        accuracy = _of_those(answered, lambda kept: reference.goal_of(found, kept))
    own_ms, other_ms = speed(predictor, faster_than, reference.images[:1])
    gates = [_description(predictor, card), _finite(answered), _agreement(agreement, precision, photos, task.goal)]
    if precision == "float32":
        gates += [_output(output, found[output.name], reference.outputs[output.name]) for output in card.outputs]
    if accuracy is not None and reference.accuracy is not None:
        gates.append(_accuracy(accuracy, reference.accuracy, precision, task.goal))
    size = file.stat().st_size
    gates.append(_size(size, precision, card))
    if other_ms is not None:
        gates.append(_speed(own_ms, other_ms))
    differences = [_difference(found[output.name], reference.outputs[output.name]) for output in card.outputs]
    proof = Proof(
        file=str(file),
        runtime=runtime,
        precision=precision,
        size_bytes=size,
        photos=photos,
        largest_difference=max(float(difference.max()) for difference in differences),
        mean_difference=max(float(difference.mean()) for difference in differences),
        agreement=agreement,
        accuracy=accuracy,
        network_accuracy=reference.accuracy,
        latency_ms=own_ms,
        float32_latency_ms=other_ms,
        gates=tuple(gates),
    )
    return proof, found


def _of_those(answered: NDArray[np.bool_], measure: Callable[[NDArray[np.int64]], float]) -> float:
    """A share of all photos, measured on those (N,) that got an answer; the others count as wrong."""
    kept = np.flatnonzero(answered)
    if len(kept) == len(answered):
        return measure(kept)
    return measure(kept) * len(kept) / len(answered) if len(kept) else 0.0


def _difference(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> NDArray[np.float32]:
    """What is no number is as wrong as a probability can be."""
    return np.where(np.isfinite(found), np.abs(found - wanted), np.float32(1))


def speed(predictor: Predictor, other: Predictor | None, image: NDArray[np.uint8]) -> tuple[float, float | None]:
    """Median ms of one `image` (1, R, R, 3) in each, taking turns for about a second; None where there is no other."""
    contenders = [predictor] if other is None else [predictor, other]
    times: list[list[float]] = [[] for _ in contenders]
    for contender in contenders:
        contender.predict(image)
    begin = time.perf_counter()
    while time.perf_counter() - begin < _TIMED_S:
        for contender, seen in zip(contenders, times, strict=True):
            for _ in range(_ROUND):
                start = time.perf_counter()
                contender.predict(image)
                seen.append(time.perf_counter() - start)
    found = [1000 * median(seen) for seen in times]
    return found[0], found[1] if len(found) > 1 else None


def _description(predictor: Predictor, card: ModelCard) -> Gate:
    said = (predictor.card.vocabulary, predictor.preprocessing, predictor.task)
    wrong = [
        name
        for name, found, wanted in zip(
            ("classes", "preprocessing", "task"), said, (card.vocabulary, card.preprocessing, card.task), strict=True
        )
        if found != wanted
    ]
    failure = f"its {' and '.join(wrong)} are not the network's; write it again" if wrong else ""
    return Gate("description", float(len(wrong)), 0, failure)


def _finite(answered: NDArray[np.bool_]) -> Gate:
    """`answered` (N,): whether all outputs of a photo are finite."""
    silent = int((~answered).sum())
    failure = f"it answers with NaN or infinity on {silent} of {len(answered)} photos; it computes something else"
    return Gate("finite answers", float(silent), 0, "" if silent == 0 else failure)


def _output(output: Output, found: NDArray[np.float32], wanted: NDArray[np.float32]) -> Gate:
    """The largest difference as a share of what is allowed."""
    scale = max(1.0, float(np.abs(wanted).max())) if output.ending == "none" else 1.0
    difference = _difference(found, wanted)
    worst = float((difference / (_ABSOLUTE * scale + _RELATIVE * np.abs(wanted))).max())
    failure = (
        ""
        if worst <= 1
        else f"its {output.name} differ from the network's by up to {difference.max():.2g}, {worst:.3g} times what "
        "rounding explains; it computes something else"
    )
    return Gate(output.name, worst, 1.0, failure)


def _remedy(precision: Precision) -> str:
    if precision == "float32":
        return "it computes something else"
    return "try --qat or more --calibration-photos, else use the float32 file"


def _agreement(agreement: float, precision: Precision, photos: int, goal: Goal) -> Gate:
    limit = _AGREEMENT[precision]
    other = round((1 - agreement) * photos) if math.isfinite(agreement) else photos
    failure = (
        ""
        if agreement >= limit
        else f"its {goal.title} differs from the network's on {other} of {photos} photos: {agreement:.1%} agreement, "
        f"{limit:.0%} required; {_remedy(precision)}"
    )
    return Gate(goal.agreement, agreement, limit, failure)


def _accuracy(accuracy: float, wanted: float, precision: Precision, goal: Goal) -> Gate:
    limit = wanted - _ACCURACY_LOSS[precision]
    failure = (
        ""
        if accuracy >= limit - 1e-9
        else f"its {goal.noun} is {accuracy:.1%}, {100 * (wanted - accuracy):.1f} points below the network's "
        f"{wanted:.1%} where {100 * _ACCURACY_LOSS[precision]:.1f} are allowed; {_remedy(precision)}"
    )
    return Gate(goal.noun, accuracy, limit, failure)


def _size(size: int, precision: Precision, card: ModelCard) -> Gate:
    """Weights once, the card in the worst of writings, and little else."""
    priced = cost(card.network())
    weights = priced.weight_bytes_float32 if precision == "float32" else priced.weight_bytes_int8
    scales = 12 * sum(layer.output_shape[2] for layer in priced.layers)
    limit = weights + scales + 2 * len(card.to_json()) + _SPARE_BYTES
    failure = "" if size <= limit else f"it has {size:,} bytes where {limit:,} are enough; something is in it twice"
    return Gate("size", size, limit, failure)


def _speed(own_ms: float, other_ms: float) -> Gate:
    failure = (
        ""
        if own_ms < other_ms
        else f"it takes {own_ms:.2f} ms a photo, the float32 file {other_ms:.2f} ms: this device gains nothing by "
        "8 bits; use the float32 file"
    )
    return Gate("faster than float32", own_ms, other_ms, failure)
