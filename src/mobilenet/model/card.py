"""What a model file says about its network, whatever the file's format; read and written without torch."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, get_args

from mobilenet.errors import ModelError, SpecError
from mobilenet.images import Preprocessing
from mobilenet.spec import Activation, ConvStyle, Network, Padding
from mobilenet.spec.architectures import MOBILENETS

__all__ = ["FORMAT", "ModelCard"]

FORMAT = 1
"""Version of the description; one of a later version is refused."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Everything that is needed to run a network but its numbers.

    No `labels`: a backbone, whose output is the vector that a classifier would read. `provenance` is free: data hash,
    settings, versions, metrics, the file that the weights came from.
    """

    architecture: str
    width_multiplier: float
    resolution: int
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    style: ConvStyle = field(default_factory=ConvStyle)
    task: str = "classification"
    provenance: dict[str, Any] = field(default_factory=dict)

    def network(self) -> Network:
        """The table of the network."""
        return MOBILENETS[self.architecture](self.width_multiplier, self.resolution, len(self.labels), self.style)

    def to_json(self) -> str:
        """One JSON document, in ASCII: names of folders may hold bytes that are no UTF-8, which safetensors refuses."""
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
        return json.dumps(document)

    @classmethod
    def from_json(cls, text: str) -> "ModelCard":
        """The inverse of `to_json`; ModelError, to be read behind the file's name, for what describes no network."""
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
                task=document["task"],
                provenance=dict(document["provenance"]),
            )
            card.network()
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, SpecError, ModelError) as error:
            raise ModelError(f"describes no network that can be run: {error}") from error
        return card


def _check_format(version: object) -> None:
    if version != FORMAT:
        raise ModelError(f"it has format {version}, this version reads {FORMAT}; install a newer mobilenet")


def _read_style(document: dict[str, Any]) -> ConvStyle:
    style = ConvStyle(**{**document, "epsilon": float(document["epsilon"])})
    known = style.padding in get_args(Padding) and style.activation in get_args(Activation)
    if not (known and isinstance(style.batch_norm, bool) and 0 < style.epsilon < 1):
        raise ModelError(f"unknown style {document}")
    return style
