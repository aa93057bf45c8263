"""The description of a network inside a model file of any format; read and written without torch."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from math import prod
from typing import Any, get_args

from mobilenet.errors import ModelError, SpecError
from mobilenet.images.preprocessing import Preprocessing
from mobilenet.model.head import Head, read_head
from mobilenet.model.outputs import Output
from mobilenet.model.suppression import suppressed_outputs
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.spec.mobilenet import CLASSIFIER, MOBILENETS
from mobilenet.spec.rows import Activation, ConvStyle, Network, Padding
from mobilenet.spec.shapes import output_shapes

__all__ = ["FORMAT", "ModelCard", "check_outputs", "classifier_output"]

FORMAT = 1
"""Version of the description; later versions are refused."""

_MOST_BOXES = 100_000


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Everything that is needed to run a network except its weights.

    `labels` name classes or attributes in the order of the outputs; `decoding` is whatever else turns outputs into
    predictions (prior boxes, cells, thresholds), as JSON values. `temperatures` are the numbers that the raw values of
    outputs, by name, were divided by after training; the weights contain them (`model.tempered`). If `head` is None,
    the body ends in a classifier of the labels, or, without labels, in the vector that a classifier would read: a
    backbone. `provenance` is free-form: data hash, settings, versions, metrics, the file that the weights came from.
    `suppressed` is the number of boxes per photo of a file that decodes and suppresses boxes itself, else None.
    """

    architecture: str
    width_multiplier: float
    resolution: int
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    style: ConvStyle = field(default_factory=ConvStyle)
    task: str = field(kw_only=True)
    provenance: dict[str, Any] = field(default_factory=dict)
    head: Head | None = None
    decoding: dict[str, Any] = field(default_factory=dict)
    temperatures: dict[str, float] = field(default_factory=dict)
    suppressed: int | None = None

    @property
    def vocabulary(self) -> Vocabulary:
        """What the numbers in the outputs mean."""
        return Vocabulary(self.labels, self.decoding)

    @property
    def outputs(self) -> tuple[Output, ...]:
        """What a predictor returns: the network's outputs, or in their place what a file makes of them that decodes and
        suppresses boxes; none for a backbone."""
        return self.network_outputs if self.suppressed is None else suppressed_outputs(self.suppressed)

    @property
    def network_outputs(self) -> tuple[Output, ...]:
        """What rows of the network compute."""
        if self.head is not None:
            return self.head.outputs
        return (classifier_output(len(self.labels)),) if self.labels else ()

    def body(self) -> Network:
        """The table without its head; its last row is the global pool."""
        return MOBILENETS[self.architecture](self.width_multiplier, self.resolution, 0, self.style)

    def network(self) -> Network:
        """The whole table."""
        if self.head is None:
            return MOBILENETS[self.architecture](self.width_multiplier, self.resolution, len(self.labels), self.style)
        body = self.body()
        return replace(body, rows=(*body.rows, *self.head.rows))

    def to_json(self) -> str:
        """One JSON document, in ASCII: folder names may contain bytes that are not UTF-8, which safetensors refuses."""
        document = {
            "format": FORMAT,
            "architecture": self.architecture,
            "width_multiplier": self.width_multiplier,
            "resolution": self.resolution,
            "style": asdict(self.style),
            "task": self.task,
            "labels": list(self.labels),
            "preprocessing": self.preprocessing.to_json(),
            "provenance": self.provenance,
        }
        # Omitted where they say nothing, so that the card of a plain classifier is what every version has written.
        if self.head is not None:
            document["head"] = self.head.to_json()
        if self.decoding:
            document["decoding"] = self.decoding
        if self.temperatures:
            document["temperatures"] = self.temperatures
        if self.suppressed is not None:
            document["suppressed"] = self.suppressed
        return json.dumps(document)

    @classmethod
    def from_json(cls, text: str) -> "ModelCard":
        """The inverse of `to_json`; ModelError, worded to follow the file's name, if `text` describes no network."""
        try:
            document = json.loads(text)
            _check_format(document["format"])
            card = cls(
                architecture=document["architecture"],
                width_multiplier=float(document["width_multiplier"]),
                resolution=int(document["resolution"]),
                labels=tuple(str(label) for label in document["labels"]),
                preprocessing=Preprocessing.from_json(document["preprocessing"]),
                style=_read_style(document["style"]),
                task=str(document["task"]),
                provenance=dict(document["provenance"]),
                head=read_head(document["head"]) if "head" in document else None,
                decoding=dict(document.get("decoding", {})),
                temperatures={str(name): float(value) for name, value in document.get("temperatures", {}).items()},
                suppressed=_read_suppressed(document.get("suppressed")),
            )
            check_outputs(card.network(), card.network_outputs)
            _check_temperatures(card.temperatures, card.network_outputs)
        except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, SpecError, ModelError) as error:
            raise ModelError(f"does not describe a network that can be run: {error}") from error
        return card


def classifier_output(classes: int) -> Output:
    """The output of a network that ends in a classifier: (classes,) probabilities."""
    return Output("probabilities", (CLASSIFIER,), (classes,), "softmax")


def check_outputs(network: Network, outputs: tuple[Output, ...]) -> None:
    """ModelError unless each output has a name of its own and is what its row computes; SpecError where rows do not fit
    together."""
    shapes = output_shapes(network.rows, network.resolution)
    for output in outputs:
        found = [shapes.get(row, (0, 0, 0)) for row in output.rows]
        sizes = list(map(prod, found))
        apart = len(sizes) > 1 and any(size % (output.size // output.shape[0]) for size in sizes)
        if sum(sizes) != output.size or 0 in sizes or apart:
            computed = ", ".join(f"{row} {shape}" for row, shape in zip(output.rows, found, strict=True))
            raise ModelError(
                f"output {output.name} of shape {output.shape} does not match what its rows compute: {computed}"
            )
    if len({output.name for output in outputs}) < len(outputs):
        raise ModelError(f"two outputs have the same name: {[output.name for output in outputs]}")


def _check_format(version: object) -> None:
    if version != FORMAT:
        raise ModelError(f"its format is {version}, but this version reads {FORMAT}; install a newer mobilenet")


def _check_temperatures(temperatures: Mapping[str, float], outputs: tuple[Output, ...]) -> None:
    names = {output.name for output in outputs}
    for name, value in temperatures.items():
        if name not in names:
            raise ModelError(f"temperature of an unknown output, {name!r}; its outputs are {sorted(names)}")
        if not (math.isfinite(value) and value > 0):
            raise ModelError(f"temperature {value} of output {name} is not a positive number")


def _read_suppressed(most: object) -> int | None:
    if most is None:
        return None
    if not isinstance(most, int) or isinstance(most, bool) or not 1 <= most <= _MOST_BOXES:
        raise ModelError(f"its number of boxes per photo is {most!r}; 1 to {_MOST_BOXES:,} expected")
    return most


def _read_style(document: dict[str, Any]) -> ConvStyle:
    style = ConvStyle(**{**document, "epsilon": float(document["epsilon"])})
    known = style.padding in get_args(Padding) and style.activation in get_args(Activation)
    if not (known and isinstance(style.batch_norm, bool)):
        raise ModelError(f"unknown style {document}")
    return style
