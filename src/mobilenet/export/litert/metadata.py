"""The standard metadata of a TFLite file, read by the tools of Android and MediaPipe: input, outputs, classes.

A separate flatbuffer (`metadata_schema.fbs` of TFLite Support, with fields by number), and a zip archive after the file
with the names of the classes. The archive is not compressed, because MediaPipe requires that.
"""

import io
import unicodedata
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import flatbuffers
import numpy as np

from mobilenet.model.card import ModelCard
from mobilenet.model.outputs import Ending, Output
from mobilenet.model.seal import UNSEALED
from mobilenet.model.suppression import BOXES, CLASSES, COUNT, SCORES

__all__ = ["METADATA_ENTRY", "Normalization", "attach_labels", "describe", "labelled"]

METADATA_ENTRY = "TFLITE_METADATA"
_IDENTIFIER = b"M001"
_PARSER = "1.0.0"
"""The first version of the readers, which supports everything written here."""

_LABELS = "labels.txt"
_FEATURE, _IMAGE, _BOX = 1, 2, 3
"""Of ContentProperties."""

_BOUNDARIES, _RATIO, _EDGES = 1, 0, (1, 0, 3, 2)
"""Of BoundingBoxProperties: boxes by their edges, as shares of the photo; where left, top, right and bottom are."""

_NORMALIZATION, _RGB, _AXIS_LABELS, _VALUE_LABELS = 1, 1, 2, 3
"""Of ProcessUnitOptions, ColorSpaceType and AssociatedFileType."""

_SAYS: dict[Ending, str] = {
    "softmax": "Probabilities that sum up to 1",
    "sigmoid": "Probabilities, each by itself",
    "l2": "Vector of length 1",
    "none": "Real numbers",
}
_BOUNDS: dict[Ending, tuple[float, float]] = {"softmax": (1.0, 0.0), "sigmoid": (1.0, 0.0), "l2": (1.0, -1.0)}
"""The largest and the smallest possible value."""

_DETECTED = {
    BOXES: ("location", "Boxes: top, left, bottom and right as shares of the photo"),
    CLASSES: ("category", "Place of the class of each box among the labels"),
    SCORES: ("score", "Score of each box"),
    COUNT: ("number of detections", "How many boxes there are; the rest are 0"),
}
"""By what name, exactly, readers know the outputs of a detector, and what they are."""

_ENDS = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode categories of line ends, and of bytes in folder names that are not characters."""


@dataclass(frozen=True, slots=True)
class Normalization:
    """(pixel - mean) / std is the real value of the input tensor's 8-bit value."""

    mean: float
    std: float


def labelled(output: Output, card: ModelCard) -> bool:
    """Whether the card's labels name the values of this output."""
    if output.name in _DETECTED:
        return bool(card.labels) and output.name == CLASSES
    return bool(card.labels) and output.shape == (len(card.labels),)


def describe(card: ModelCard, normalization: Normalization, *, given: str) -> bytes:
    """The entry `METADATA_ENTRY` of a network with the input tensor `given` and the card's outputs.

    Tools normalise a pixel and then quantise it as the tensor says; with this normalisation the result is the pixel
    itself, which is what the file expects.
    """
    packing = _Packing()
    image = packing.table(
        {
            0: packing.text(given),
            1: packing.text("RGB photo, one byte a channel"),
            3: packing.union(_IMAGE, packing.table({}, {0: _RGB})),
            4: packing.tables([packing.union(_NORMALIZATION, packing.ranges(normalization.mean, normalization.std))]),
            5: packing.ranges(255.0, 0.0),
        }
    )
    if card.suppressed is None:
        made = [_described(packing, output, card) for output in card.outputs]
        groups = {}
    else:
        made = [_detected(packing, output, card) for output in card.outputs]
        groups = {8: packing.tables([_group(packing, card)])}
    graph = packing.table({2: packing.tables([image]), 3: packing.tables(made), **groups})
    names = {0: packing.text(card.architecture), 3: packing.tables([graph]), 7: packing.text(_PARSER)}
    return packing.finish(packing.table(names))


def _described(packing: "_Packing", output: Output, card: ModelCard) -> int:
    names = [_labels_file(packing, _AXIS_LABELS)] if labelled(output, card) else []
    says = "Probability of each class" if names and output.ending == "softmax" else _SAYS[output.ending]
    fields = {0: packing.text(output.name), 1: packing.text(says), 3: packing.union(_FEATURE, packing.table({}))}
    if output.ending in _BOUNDS:
        fields[5] = packing.ranges(*_BOUNDS[output.ending])
    if names:
        fields[6] = packing.tables(names)
    return packing.table(fields)


def _detected(packing: "_Packing", output: Output, card: ModelCard) -> int:
    """An output of a detector after suppression; readers require each of these fields."""
    name, says = _DETECTED[output.name]
    fields = {0: packing.text(name), 1: packing.text(says)}
    if output.name == BOXES:
        box = packing.table({0: packing.numbers(_EDGES)}, {1: _BOUNDARIES, 2: _RATIO})
        fields[3] = packing.union(_BOX, box)
    else:
        fields[3] = packing.union(_FEATURE, packing.table({}))
    if labelled(output, card):
        fields[6] = packing.tables([_labels_file(packing, _VALUE_LABELS)])
    return packing.table(fields)


def _group(packing: "_Packing", card: ModelCard) -> int:
    """The outputs that belong together, value by value."""
    names = [packing.text(_DETECTED[output.name][0]) for output in card.outputs]
    return packing.table({0: packing.text("detection_result"), 1: packing.tables(names)})


def _labels_file(packing: "_Packing", kind: int) -> int:
    says = "Names of the classes, one a line"
    return packing.table({0: packing.text(_LABELS), 1: packing.text(says)}, {2: kind})


def attach_labels(data: bytes, labels: Sequence[str]) -> bytes:
    """The file followed by the zip archive; the same labels give the same bytes."""
    file = io.BytesIO(data)
    file.seek(0, io.SEEK_END)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(_LABELS), "".join(f"{_line(label)}\n" for label in labels).encode())
    return file.getvalue()


def _line(label: str) -> str:
    r"""One line of UTF-8, never empty, for any name: a line break becomes \n, a byte that is not text \udcff.

    The card has the original names; these lines are for other tools.
    """
    line = "".join(
        character.encode("unicode_escape").decode() if unicodedata.category(character) in _ENDS else character
        for character in label
    )
    mark = UNSEALED.rstrip("0")
    return line.replace(mark, mark.replace(":", r"\x3a")).strip() or "(no name)"


class _Packing:
    """A flatbuffers.Builder that takes tables by the numbers of their fields."""

    def __init__(self) -> None:
        self._builder = flatbuffers.Builder(1024)

    def table(self, offsets: Mapping[int, int], small: Mapping[int, int] | None = None) -> int:
        """`offsets` are fields that refer to other parts, `small` those of one byte."""
        small = small or {}
        self._builder.StartObject(max([*offsets, *small], default=-1) + 1)
        for field, offset in offsets.items():
            self._builder.PrependUOffsetTRelativeSlot(field, offset, 0)
        for field, number in small.items():
            self._builder.PrependUint8Slot(field, number, 0)
        return int(self._builder.EndObject())

    def union(self, kind: int, offset: int) -> int:
        """A table with a union: the number of its kind, and its value."""
        return self.table({1: offset}, {0: kind})

    def ranges(self, first: float, second: float) -> int:
        """NormalizationOptions (mean, std) or Stats (max, min), each with one value for all channels."""
        vectors = [int(self._builder.CreateNumpyVector(np.array([value], np.float32))) for value in (first, second)]
        return self.table(dict(enumerate(vectors)))

    def numbers(self, values: Sequence[int]) -> int:
        return int(self._builder.CreateNumpyVector(np.array(values, np.uint32)))

    def text(self, text: str) -> int:
        return int(self._builder.CreateString(text))

    def tables(self, offsets: Sequence[int]) -> int:
        self._builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        return int(self._builder.EndVector())

    def finish(self, root: int) -> bytes:
        self._builder.Finish(root, _IDENTIFIER)
        return bytes(self._builder.Output())
