"""The gates: an exported file is run by its own engine and compared with the trained network on real photos.

Nothing here depends on how a file was written. It is judged by its outputs for the bytes of photos, by its size, and in
8 bits by its speed if that is required. Gates state what passes, so that NaN never does.
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
from mobilenet.export.proof.boxes import SHARE, box_differences
from mobilenet.images.resize import ResizeMethod
from mobilenet.model.card import ModelCard
from mobilenet.model.outputs import Output, Outputs, checked_outputs, finite_photos, shaped_outputs, taken
from mobilenet.model.precision import Precision
from mobilenet.model.suppression import SCORES
from mobilenet.runtimes.batches import predict_batches
from mobilenet.runtimes.c_file import device_bytes
from mobilenet.runtimes.predictor import Predictor, open_model
from mobilenet.spec.cost import cost
from mobilenet.tasks.task import Goal, Task

__all__ = [
    "OF_THE_FILE",
    "Gate",
    "Proof",
    "Reference",
    "Resized",
    "agreement_between",
    "goal_of",
    "prove",
    "speed",
]

_ABSOLUTE, _RELATIVE = 1e-5, 1e-4
"""Tolerance for the probabilities of a float32 file: engines add in different orders."""

OF_THE_FILE = ("description", "size", "faster than float32")
"""The gates that do not concern the outputs of a file."""

_SPARE_BYTES = 64 * 1024
"""Allowance for shapes, names and a second copy of class names, besides weights and card."""

_PRIOR_BYTES = 16
"""Of a prior box: four numbers."""

_TIMED_S, _ROUND = 1.0, 10


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Outputs of the trained network: `images` (N, R, R, 3) uint8 prepared from photos, `outputs` by name (N, *shape).

    `card` is that of the files: where they suppress boxes themselves, `outputs` are the network's after suppression.
    `targets` are those of the N photos, None if they have no labels. DataError without photos, ModelError if the
    outputs do not match the card or are not finite: nothing can be verified against them.
    """

    task: Task
    card: ModelCard
    images: NDArray[np.uint8]
    outputs: Outputs
    targets: Targets | None

    def __post_init__(self) -> None:
        if not len(self.images):
            raise DataError("no photos to verify a file on; give at least one that can be read")
        checked_outputs(self.outputs, self.card.outputs, len(self.images))

    @property
    def accuracy(self) -> float | None:
        """The network's score for the goal of the task, 0…1; None without targets."""
        return None if self.targets is None else goal_of(self.outputs, self.targets, self.task, self.card)


@dataclass(frozen=True, slots=True)
class Gate:
    """One requirement on a file; `failure` says by how much it fails and what to try, and is empty if it passes."""

    name: str
    measured: float
    limit: float
    failure: str = ""

    @property
    def passed(self) -> bool:
        """Whether the file meets the requirement."""
        return not self.failure


@dataclass(frozen=True, slots=True)
class Resized:
    """One file on `photos` shrunk by `method`: its agreement 0…1 with itself on the same photos shrunk by area, and its
    score 0…1 for the goal of the task, None without labels."""

    method: ResizeMethod
    photos: int
    agreement: float
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class Proof:
    """Measurements of one file in one engine: fractions 0…1, differences of outputs, times in ms; `accuracy` is the
    score for the goal of the task."""

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
    """The known mistake that explains why the outputs differ, if any."""
    resized: tuple[Resized, ...] = ()
    """What it answers where photos are shrunk by other methods."""

    @property
    def failures(self) -> tuple[str, ...]:
        """One line for each gate that failed, the cause last; none for a file that passed."""
        if not self.gates:
            return ("it was not measured; export it again",)
        failed = tuple(gate.failure for gate in self.gates if not gate.passed)
        return (*failed, f"likely cause: {self.cause}") if self.cause else failed

    def to_json(self) -> dict[str, Any]:
        """As a mapping for `json.dumps`."""
        gates = [{**asdict(gate), "passed": gate.passed} for gate in self.gates]
        return {**asdict(self), "gates": gates, "passed": not self.failures}


def prove(
    file: Path, runtime: str, precision: Precision, reference: Reference, faster_than: Predictor | None = None
) -> tuple[Proof, Outputs]:
    """Open `file` with `runtime` and compare it with the network; also returns its outputs (N, *shape), finite or not.

    `faster_than`: the float32 file of the same network, opened with one thread, which an 8-bit file must beat.
    ModelError if the engine cannot run it.
    """
    task, card, photos = reference.task, reference.card, len(reference.images)
    predictor = open_model(file, runtime, threads=1)
    found = predict_batches(predictor, reference.images, check=shaped_outputs)
    answered = finite_photos(found)
    agreement = agreement_between(found, reference.outputs, task, card)
    wanted, targets = reference.accuracy, reference.targets
    accuracy = None if targets is None else goal_of(found, targets, task, card)
    own_ms, other_ms = speed(predictor, faster_than, reference.images[:1])
    gates = [
        _description(predictor, card, task.vocabulary_noun),
        _finite(answered),
        _agreement(agreement, precision, photos, task.goal),
    ]
    if precision == "float32":
        gates += _outputs(found, reference)
    if accuracy is not None and wanted is not None:
        gates.append(_accuracy(accuracy, wanted, precision, task.goal))
    size = device_bytes(file)
    gates.append(_size(size, precision, card))
    if other_ms is not None:
        gates.append(_speed(own_ms, other_ms))
    differences = _differences(found, reference)
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
        network_accuracy=wanted,
        latency_ms=own_ms,
        float32_latency_ms=other_ms,
        gates=tuple(gates),
    )
    return proof, found


def agreement_between(first: Outputs, second: Outputs, task: Task, card: ModelCard) -> float:
    """The agreement 0…1 of two files' outputs (N, *shape) for the same photos; a photo without finite outputs in both
    counts as disagreement."""
    answered = finite_photos(first) & finite_photos(second)
    return _of_those(answered, lambda kept: task.agreement(taken(first, kept), taken(second, kept), card))


def goal_of(outputs: Outputs, targets: Targets, task: Task, card: ModelCard) -> float:
    """The score 0…1 of outputs (N, *shape) for the goal of the task; a photo without finite outputs counts as wrong. 0
    where the photos have nothing to measure it on."""

    def score(kept: NDArray[np.int64]) -> float:
        figure = task.judge(taken(outputs, kept), targets.take(kept), card).figures[task.goal.name]
        return 0.0 if figure is None else float(figure)

    return _of_those(finite_photos(outputs), score)


def _of_those(answered: NDArray[np.bool_], measure: Callable[[NDArray[np.int64]], float]) -> float:
    """A fraction of all photos, measured on those with finite outputs (N,); the others count as wrong."""
    kept = np.flatnonzero(answered)
    if len(kept) == len(answered):
        return measure(kept)
    return measure(kept) * len(kept) / len(answered) if len(kept) else 0.0


def _difference(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> NDArray[np.float32]:
    """NaN and infinity count as the largest possible difference of probabilities."""
    return np.where(np.isfinite(found), np.abs(found - wanted), np.float32(1))


def speed(predictor: Predictor, other: Predictor | None, image: NDArray[np.uint8]) -> tuple[float, float | None]:
    """Median ms for one `image` (1, R, R, 3) uint8 in each, alternating for about a second; None without another."""
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


def _description(predictor: Predictor, card: ModelCard, noun: str) -> Gate:
    said = (predictor.card.vocabulary, predictor.preprocessing, predictor.task)
    wrong = [
        name
        for name, found, wanted in zip(
            (noun, "preprocessing", "task"), said, (card.vocabulary, card.preprocessing, card.task), strict=True
        )
        if found != wanted
    ]
    failure = f"its {' and '.join(wrong)} differ from the network's; export it again" if wrong else ""
    return Gate("description", float(len(wrong)), 0, failure)


def _finite(answered: NDArray[np.bool_]) -> Gate:
    """`answered` (N,): whether all outputs of a photo are finite."""
    silent = int((~answered).sum())
    failure = f"it outputs NaN or infinity on {silent} of {len(answered)} photos; it computes something else"
    return Gate("finite answers", float(silent), 0, "" if silent == 0 else failure)


def _output(output: Output, found: NDArray[np.float32], wanted: NDArray[np.float32]) -> Gate:
    """The largest difference as a fraction of the tolerance."""
    scale = max(1.0, float(np.abs(wanted).max())) if output.ending == "none" else 1.0
    difference = _difference(found, wanted)
    worst = float((difference / (_ABSOLUTE * scale + _RELATIVE * np.abs(wanted))).max())
    failure = (
        ""
        if worst <= 1
        else f"its {output.name} differ from the network's by up to {difference.max():.2g}, {worst:.3g} times the "
        "tolerance; it computes something else"
    )
    return Gate(output.name, worst, 1.0, failure)


def _outputs(found: Outputs, reference: Reference) -> list[Gate]:
    """Of a float32 file: each output, or boxes where it suppresses them itself."""
    card, wanted = reference.card, reference.outputs
    if card.suppressed is None:
        return [_output(output, found[output.name], wanted[output.name]) for output in card.outputs]
    return [_boxes(box_differences(found, wanted, card.resolution))]


def _boxes(differences: NDArray[np.float32]) -> Gate:
    """`differences` (M,) of all boxes, as multiples of the tolerance."""
    share = float((differences <= 1).mean()) if len(differences) else 0.0
    failure = f"{share:.1%} of its boxes are the network's within 1 pixel of its input and 0.001 of the score"
    if not len(differences):
        failure = "neither it nor the network found a box on any photo"
    failure = "" if share >= SHARE else f"{failure}, {SHARE:.0%} required; it computes something else"
    return Gate("the network's boxes", share, SHARE, failure)


def _differences(found: Outputs, reference: Reference) -> list[NDArray[np.float32]]:
    """The differences of each output; of boxes those of their scores, best first in each photo."""
    card = reference.card
    names = [output.name for output in card.outputs] if card.suppressed is None else [SCORES]
    return [_difference(found[name], reference.outputs[name]) for name in names]


def _remedy(precision: Precision) -> str:
    if precision == "float32":
        return "it computes something else"
    return "try --qat or more --calibration-photos, else use the float32 file"


def _agreement(agreement: float, precision: Precision, photos: int, goal: Goal) -> Gate:
    limit = goal.agreeing[precision]
    other = round((1 - agreement) * photos) if math.isfinite(agreement) else photos
    differs = f"{goal.title} differs from the network's on {other} of {photos} photos"
    if goal.answers:
        differs = f"{goal.answers} differ from the network's"
    failure = (
        ""
        if agreement >= limit
        else f"its {differs}: {agreement:.1%} agreement, {limit:.0%} required; {_remedy(precision)}"
    )
    return Gate(goal.agreement, agreement, limit, failure)


def _accuracy(accuracy: float, wanted: float, precision: Precision, goal: Goal) -> Gate:
    allowed = goal.allowed_loss[precision]
    limit = wanted - allowed
    if wanted == 0 and not goal.of_photos:
        # Any file is as good as that.
        return Gate(
            goal.noun, accuracy, limit, f"the network's own {goal.noun} is 0.0%, which proves nothing; train it"
        )
    failure = (
        ""
        if accuracy >= limit - 1e-9
        else f"its {goal.noun} is {accuracy:.1%}, {100 * (wanted - accuracy):.1f} points below the network's "
        f"{wanted:.1%}, {100 * allowed:.1f} allowed; {_remedy(precision)}"
    )
    return Gate(goal.noun, accuracy, limit, failure)


def _size(size: int, precision: Precision, card: ModelCard) -> Gate:
    """Weights once, the card in its largest encoding, and little else."""
    priced = cost(card.network())
    weights = priced.weight_bytes_float32 if precision == "float32" else priced.weight_bytes_int8
    scales = 12 * sum(layer.output_shape[2] for layer in priced.layers)
    priors = 0 if card.suppressed is None else sum(_PRIOR_BYTES * output.shape[0] for output in card.network_outputs)
    limit = weights + scales + priors + 2 * len(card.to_json()) + _SPARE_BYTES
    failure = "" if size <= limit else f"it has {size:,} bytes, {limit:,} allowed; part of it is duplicated"
    return Gate("size", size, limit, failure)


def _speed(own_ms: float, other_ms: float) -> Gate:
    failure = (
        ""
        if own_ms < other_ms
        else f"it takes {own_ms:.2f} ms per photo, the float32 file {other_ms:.2f} ms: 8 bits are not faster on this "
        "device; use the float32 file"
    )
    return Gate("faster than float32", own_ms, other_ms, failure)
