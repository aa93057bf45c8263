"""Reads a MobileNet V1 classifier, its backbone, or a detector on it out of a TFLite file, float32 or 8-bit.

8-bit files are converted to float32; `weights.tflite.ranges` says how, and how exactly. TensorFlow 2 writes operators
that compute the shape of a RESHAPE from that of its input; as a vector stays the same in any shape, they are not read.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from mobilenet.errors import ConfigError, ModelError
from mobilenet.model.outputs import Ending
from mobilenet.model.seal import has_seal
from mobilenet.weights.layers import (
    BACKBONES,
    Floats,
    ForeignConv,
    ForeignDetector,
    ForeignLinear,
    ForeignNetwork,
    ForeignPlane,
)
from mobilenet.weights.tflite.convolution import Constants, filters_of, read_convolution
from mobilenet.weights.tflite.detector import ANCHORS, Branch, Outline, outline, priors_of_planes
from mobilenet.weights.tflite.entry import COMMUTATIVE, Entry
from mobilenet.weights.tflite.file import Graph, Operator, Tensor, read_graph
from mobilenet.weights.tflite.metadata import read_metadata
from mobilenet.weights.tflite.ranges import LOWEST, Layer, Plane, clamped, misfit
from mobilenet.weights.tflite.shapes import is_shape

__all__ = ["read_tflite"]

_LARGEST_FILE = 2**31
"""Bytes; the limit of flatbuffers."""

_LARGEST_SIDE = 4096
"""Pixels; the limit for resizing photos."""

_CHANNELS_LAST = 3
_CODES = 4
"""Numbers for a box: centre y and x, height and width."""


def read_tflite(path: Path) -> ForeignNetwork:
    """The layers of a TFLite file; ModelError names what is not supported, or is damaged."""
    size = path.stat().st_size
    if size > _LARGEST_FILE:
        raise ModelError(f"{path} has {size:,} bytes, more than a TFLite file can have; give a MobileNet V1")
    data = path.read_bytes()
    graph = read_graph(data, str(path))
    try:
        walk = _Walk(graph, len(data))
        convs, detector = _followed(walk, graph)
        metadata = read_metadata(data, graph.metadata)
        preprocessing, notes = walk.entry.preprocessing(metadata.normalization)
    except (ModelError, ConfigError) as error:
        if has_seal(data):
            raise ModelError(
                f"{path} was written by mobilenet export and cannot be read back as weights; give the run or the "
                "model.safetensors that it was exported from"
            ) from error
        raise ModelError(f"{path}: {error}") from error
    return ForeignNetwork(
        source=str(path),
        convs=convs,
        classifier=walk.classifier,
        resolution=walk.image.shape[1],
        labels=metadata.labels,
        preprocessing=preprocessing,
        notes=(*notes, *walk.notes, *metadata.notes),
        input_scaling=walk.entry.scaling,
        head_fault=None if walk.head_fault is None else f"{path}: {walk.head_fault}",
        ending=walk.ending,
        detector=detector,
    )


def _followed(walk: "_Walk", graph: Graph) -> tuple[tuple[ForeignConv, ...], ForeignDetector | None]:
    """The convolutions of the body, and what is predicted on it if the file is a detector."""
    found = outline(graph)
    for operator in graph.operators if found is None else found.chain:
        walk.step(operator)
    if found is None:
        return walk.finish(), None
    if walk.head_fault is not None:
        raise ModelError(walk.head_fault)
    return _detector(walk, found)


def _detector(walk: "_Walk", found: Outline) -> tuple[tuple[ForeignConv, ...], ForeignDetector]:
    """Body and head of a detector, after a walk to its last plane; the second of its planes is that of the body's
    last convolution."""
    reads = [walk.reached.get(branch.plane, 0) - 1 for branch in found.boxes]
    if len(reads) < 2 or min(reads) < 0:
        raise ModelError(f"boxes are predicted on the results of layers {reads}; an SSD has two planes or more")
    boxes, scores = (
        [walk.branch(branch, read) for branch, read in zip(branches, reads, strict=True)]
        for branches in (found.boxes, found.scores)
    )
    readers: dict[int, list[Floats]] = {}
    for read, *branches in zip(reads, boxes, scores, strict=True):
        readers.setdefault(read, []).extend(convs[0].filters for convs in branches)
    trunk = clamped(walk.layers, readers, walk.notes)
    counts = [len(convs[-1].filters) // _CODES for convs in boxes]
    sides = [walk.layers[read].plane.side for read in reads]
    priors = priors_of_planes(walk.constants.get(found.end, ANCHORS), list(zip(sides, counts, strict=True)))
    planes = tuple(
        ForeignPlane(read, boxed, scored, *prior)
        for read, boxed, scored, prior in zip(reads, boxes, scores, priors, strict=True)
    )
    end = reads[1] + 1
    return trunk[:end], ForeignDetector(trunk[end:], planes, found.classes, found.box_scales)


class _Walk:
    """Follows the single path from the image to the output, layer by layer; anything outside that path is refused.

    What is refused after as many convolutions as a backbone has is `head_fault`, and only the convolutions are kept:
    whether they are a backbone is for `recognise` to say. `reached`: the number of convolutions up to each tensor.
    """

    def __init__(self, graph: Graph, size: int) -> None:
        self.graph = graph
        self.image = _image(graph)
        self.entry = Entry(self.image)
        self.constants = Constants(graph, size)
        self.current = graph.inputs[0]
        self.plane = Plane(self.image.shape[1], self.image.shape[_CHANNELS_LAST])
        self.stage = "body"
        self.layers: list[Layer] = []
        self.reached: dict[int, int] = {}
        self.classifier: ForeignLinear | None = None
        self.notes: list[str] = []
        self.head_fault: str | None = None
        self.ending: Ending = "softmax"

    def step(self, operator: Operator) -> None:
        """Convert one operator; ModelError if it does not follow the one before, or is not part of any MobileNet."""
        if self.head_fault is not None:
            return
        try:
            self._step(operator)
        except ModelError as error:
            self._give_up(error)

    def _give_up(self, error: ModelError) -> None:
        if len(self.layers) not in BACKBONES:
            raise error
        self.head_fault, self.classifier = str(error), None

    def _step(self, operator: Operator) -> None:
        shape = is_shape(operator, self.graph)
        if operator.kind not in _STEPS and not shape:
            raise ModelError(
                f"operator {operator.kind} is not part of a MobileNet V1 classifier; use a model without it"
            )
        if not operator.inputs or len(operator.outputs) != 1 or min(operator.inputs[0], *operator.outputs) < 0:
            raise ModelError(f"a {operator.kind} has no input, or not exactly one output; it is damaged")
        given, made = operator.inputs[0], operator.outputs[0]
        if shape:
            return
        if self.constants.is_packed(operator):
            return
        if operator.kind in COMMUTATIVE and given != self.current:
            given = operator.inputs[-1]
        if given != self.current:
            name = self.graph.tensors[given].name
            raise ModelError(f"a {operator.kind} reads {name}, not the layer before it; only chains are supported")
        if self.plane.pads != (0, 0) and operator.kind not in {"CONV_2D", "DEPTHWISE_CONV_2D"}:
            raise ModelError(f"a {operator.kind} follows a PAD; only a convolution can")
        _STEPS[operator.kind](self, operator)
        self.current = made
        self.reached[made] = len(self.layers)

    def finish(self) -> tuple[ForeignConv, ...]:
        """Check that the path has reached the output; the convolutions, with the activations of quantised layers."""
        if self.head_fault is None and (self.graph.outputs != (self.current,) or self.stage == "body"):
            self._give_up(
                ModelError("the output is not the end of the chain of layers; use a classifier or a backbone")
            )
        if self.classifier is not None and self.stage != "probabilities":
            self.notes.append("the file ends before a softmax; its outputs are read as logits")
        readers = {} if self.classifier is None else {len(self.layers) - 1: [self.classifier.matrix]}
        return clamped(self.layers, readers, self.notes)

    def branch(self, branch: Branch, read: int) -> tuple[ForeignConv, ...]:
        """The convolutions that predict on the plane of layer number `read`, with their activations."""
        layers: list[Layer] = []
        plane = self.layers[read].plane
        for operator in branch.convolutions:
            layers.append(read_convolution(operator, self.constants, plane))
            plane = layers[-1].plane
        # What is predicted is used as it is: the range of its 8-bit values is wide enough for nearly all of them.
        layers[-1] = replace(layers[-1], top=None)
        return clamped(layers, {}, self.notes)

    def convolution(self, operator: Operator) -> None:
        """CONV_2D, which after the pool is the classifier, and DEPTHWISE_CONV_2D."""
        if self.stage != "body":
            self._classify(operator, *filters_of(operator, self.constants, self.plane.channels))
            return
        self.layers.append(read_convolution(operator, self.constants, self.plane))
        self.plane = self.layers[-1].plane

    def pad(self, operator: Operator) -> None:
        """PAD of height and width, before a convolution without its own padding."""
        table = self.constants.get(operator, 1)
        if table.shape != (4, 2) or table.kind not in {"INT32", "INT64"} or self.stage != "body":
            raise ModelError(misfit(table, "widths of a PAD, four pairs before a convolution"))
        batch, rows, columns, channels = [(int(pair[0]), int(pair[1])) for pair in np.asarray(table.values)]
        if (
            batch != (0, 0)
            or channels != (0, 0)
            or rows != columns
            or not all(0 <= pad < self.plane.side for pad in rows)
        ):
            raise ModelError(f"a PAD by {(batch, rows, columns, channels)} does not pad height and width equally")
        self.plane = replace(self.plane, pads=rows)

    def pool(self, operator: Operator) -> None:
        """AVERAGE_POOL_2D or MEAN, over the whole plane."""
        if operator.kind == "MEAN":
            axes = self.constants.get(operator, 1)
            whole = (
                axes.kind == "INT32" and axes.shape == (2,) and set((np.asarray(axes.values) % 4).tolist()) == {1, 2}
            )
        else:
            options, side = operator.options, self.plane.side
            whole = options.window == (side, side) and options.activation == "NONE"
            whole &= not options.same or min(options.stride) >= side
        if not whole or self.stage != "body":
            side = self.plane.side
            raise ModelError(f"an {operator.kind} is not the average over the plane of {side} x {side}")
        self.stage = "pooled"

    def flatten(self, operator: Operator) -> None:
        """RESHAPE, SQUEEZE and EXPAND_DIMS of a single vector."""
        if self.stage == "body":
            raise ModelError(f"a {operator.kind} comes before the pool; it is supported only after it")

    def same(self, operator: Operator) -> None:
        """QUANTIZE and DEQUANTIZE: the same values in another type."""
        if not self.layers:
            self.entry.quantize(self.graph.tensors[operator.outputs[0]])

    def cast(self, _operator: Operator) -> None:
        """CAST of pixels to float."""
        if self.layers:
            raise ModelError("a CAST is not at the input, where it turns bytes into floats")
        self.entry.cast()

    def scale(self, operator: Operator) -> None:
        """MUL, DIV, ADD and SUB of the photo by a number, or one per colour."""
        place = 0 if operator.inputs[0] != self.current else 1
        number = self.constants.get(operator, place)
        shape = self.graph.tensors[operator.outputs[0]].shape
        if self.layers or operator.options.activation != "NONE" or shape != self.image.shape:
            raise ModelError(
                f"a {operator.kind} by {number.name} is not the scaling of the photo before the first layer"
            )
        self.entry.scale(operator.kind, number, self.constants.floats(number, tuple(range(len(number.shape)))))

    def linear(self, operator: Operator) -> None:
        """FULLY_CONNECTED: the classifier."""
        matrix = self.constants.get(operator, 1)
        if len(matrix.shape) != 2 or matrix.shape[1] != self.plane.channels:
            raise ModelError(misfit(matrix, f"matrix of a FULLY_CONNECTED of {self.plane.channels} features"))
        self._classify(operator, matrix, 1)

    def softmax(self, operator: Operator) -> None:
        """SOFTMAX, the last layer of a classifier."""
        if self.stage != "classified" or operator.options.beta != 1.0:
            raise ModelError(f"a SOFTMAX with beta {operator.options.beta:g} does not end a classifier; beta must be 1")
        self.stage = "probabilities"

    def sigmoid(self, _operator: Operator) -> None:
        """LOGISTIC, the last layer of a network that answers yes or no to each of its names."""
        if self.stage != "classified":
            raise ModelError("a LOGISTIC does not follow a classifier; only the last layer can be one")
        self.stage, self.ending = "probabilities", "sigmoid"

    def _classify(self, operator: Operator, matrix: Tensor, groups: int) -> None:
        plain = operator.options.activation == "NONE" and groups == 1 and set(matrix.shape[1:-1]) <= {1}
        if self.stage != "pooled" or not plain:
            raise ModelError(misfit(matrix, "a classifier, which follows the pool, once, with 1 x 1 filters"))
        classes = matrix.shape[0]
        values = self.constants.floats(matrix, tuple(range(len(matrix.shape)))).reshape(classes, self.plane.channels)
        self.classifier = ForeignLinear(matrix.name, values, self.constants.bias(operator, classes))
        self.stage, self.plane = "classified", Plane(1, classes)


_STEPS = {
    "ADD": _Walk.scale,
    "AVERAGE_POOL_2D": _Walk.pool,
    "CAST": _Walk.cast,
    "CONV_2D": _Walk.convolution,
    "DEPTHWISE_CONV_2D": _Walk.convolution,
    "DEQUANTIZE": _Walk.same,
    "DIV": _Walk.scale,
    "EXPAND_DIMS": _Walk.flatten,
    "FULLY_CONNECTED": _Walk.linear,
    "LOGISTIC": _Walk.sigmoid,
    "MEAN": _Walk.pool,
    "MUL": _Walk.scale,
    "PAD": _Walk.pad,
    "QUANTIZE": _Walk.same,
    "RESHAPE": _Walk.flatten,
    "SOFTMAX": _Walk.softmax,
    "SQUEEZE": _Walk.flatten,
    "SUB": _Walk.scale,
}


def _image(graph: Graph) -> Tensor:
    """The tensor of the photo: (1, R, R, 3)."""
    if len(graph.inputs) != 1 or graph.inputs[0] < 0:
        raise ModelError(f"it has {len(graph.inputs)} inputs; a classifier of photos has one")
    image = graph.tensors[graph.inputs[0]]
    if len(image.shape) != 4 or image.shape[0] != 1 or image.shape[1] != image.shape[2] or image.shape[3] != 3:
        raise ModelError(misfit(image, "a square photo in RGB, (1, side, side, 3)"))
    if not 1 <= image.shape[1] <= _LARGEST_SIDE or image.kind not in {"FLOAT32", *LOWEST}:
        raise ModelError(misfit(image, f"a photo of 1 to {_LARGEST_SIDE} pixels in FLOAT32, UINT8 or INT8"))
    return image
