"""Reads a MobileNet V1 classifier, or its backbone, out of a TFLite file, float32 or 8-bit.

8-bit files are converted to float32; `weights.tflite.ranges` says how, and how exactly. TensorFlow 2 writes operators
that compute the shape of a RESHAPE from that of its input; as a vector stays the same in any shape, they are not read.
"""

import math
from pathlib import Path

import numpy as np

from mobilenet.errors import ConfigError, ModelError
from mobilenet.model.outputs import Ending
from mobilenet.spec.rows import Activation, Padding
from mobilenet.weights.layers import BACKBONES, Floats, ForeignConv, ForeignLinear, ForeignNetwork
from mobilenet.weights.tflite.entry import COMMUTATIVE, Entry
from mobilenet.weights.tflite.file import Graph, Operator, Tensor, read_graph
from mobilenet.weights.tflite.metadata import read_metadata
from mobilenet.weights.tflite.ranges import LOWEST, clamped, floats, misfit, top
from mobilenet.weights.tflite.shapes import is_shape

__all__ = ["read_tflite"]

_LARGEST_FILE = 2**31
"""Bytes; the limit of flatbuffers."""

_LARGEST_SIDE = 4096
"""Pixels; the limit for resizing photos."""

_FUSED: dict[str, Activation] = {"NONE": "none", "RELU": "relu", "RELU6": "relu6"}
_CHANNELS_LAST = 3


def read_tflite(path: Path) -> ForeignNetwork:
    """The layers of a TFLite file; ModelError names what is not supported, or is damaged."""
    size = path.stat().st_size
    if size > _LARGEST_FILE:
        raise ModelError(f"{path} has {size:,} bytes, more than a TFLite file can have; give a MobileNet V1")
    data = path.read_bytes()
    graph = read_graph(data, str(path))
    try:
        walk = _Walk(graph, len(data))
        for operator in graph.operators:
            walk.step(operator)
        walk.finish()
        metadata = read_metadata(data, graph.metadata)
        preprocessing, notes = walk.entry.preprocessing(metadata.normalization)
    except (ModelError, ConfigError) as error:
        raise ModelError(f"{path}: {error}") from error
    return ForeignNetwork(
        source=str(path),
        convs=tuple(walk.convs),
        classifier=walk.classifier,
        resolution=walk.image.shape[1],
        labels=metadata.labels,
        preprocessing=preprocessing,
        notes=(*notes, *walk.notes, *metadata.notes),
        input_scaling=walk.entry.scaling,
        head_fault=None if walk.head_fault is None else f"{path}: {walk.head_fault}",
        ending=walk.ending,
    )


class _Walk:
    """Follows the single path from the image to the output, layer by layer; anything outside that path is refused.

    What is refused after as many convolutions as a backbone has is `head_fault`, and only the convolutions are kept:
    whether they are a backbone is for `recognise` to say.
    """

    def __init__(self, graph: Graph, size: int) -> None:
        self.graph = graph
        self.budget = size
        self.image = _image(graph)
        self.entry = Entry(self.image)
        self.current = graph.inputs[0]
        self.side, self.channels = self.image.shape[1], self.image.shape[_CHANNELS_LAST]
        self.pads = (0, 0)
        self.stage = "body"
        self.constants: dict[int, Tensor] = {}
        self.convs: list[ForeignConv] = []
        self.tops: list[float | None] = []
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
        if len(self.convs) not in BACKBONES:
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
        if operator.kind == "DEQUANTIZE" and self.graph.tensors[given].values is not None:
            self.constants[made] = self.graph.tensors[given]
            return
        if operator.kind in COMMUTATIVE and given != self.current:
            given = operator.inputs[-1]
        if given != self.current:
            name = self.graph.tensors[given].name
            raise ModelError(f"a {operator.kind} reads {name}, not the layer before it; only chains are supported")
        if self.pads != (0, 0) and operator.kind not in {"CONV_2D", "DEPTHWISE_CONV_2D"}:
            raise ModelError(f"a {operator.kind} follows a PAD; only a convolution can")
        _STEPS[operator.kind](self, operator)
        self.current = made

    def finish(self) -> None:
        """Check that the path has reached the output, and set the activations of quantised layers."""
        if self.head_fault is None and (self.graph.outputs != (self.current,) or self.stage == "body"):
            self._give_up(
                ModelError("the output is not the end of the chain of layers; use a classifier or a backbone")
            )
        if self.classifier is not None and self.stage != "probabilities":
            self.notes.append("the file ends before a softmax; its outputs are read as logits")
        self.convs, self.classifier = clamped(self.convs, self.tops, self.classifier, self.notes)

    def convolution(self, operator: Operator) -> None:
        """CONV_2D, which after the pool is the classifier, and DEPTHWISE_CONV_2D."""
        filters, groups = self._filters(operator)
        if self.stage != "body":
            self._classify(operator, filters, groups)
            return
        depthwise = operator.kind == "DEPTHWISE_CONV_2D"
        stride, padding = self._geometry(operator, filters)
        values = self._floats(filters, (3, 0, 1, 2) if depthwise else (0, 3, 1, 2))
        activation = _FUSED.get(operator.options.activation)
        if activation is None:
            raise ModelError(
                f"{filters.name} is followed by {operator.options.activation}; only RELU and RELU6 are supported"
            )
        self.channels = len(values)
        bias = self._bias(operator, self.channels)
        end = top(self.graph.tensors[operator.outputs[0]], activation)
        self.convs.append(ForeignConv(filters.name, values, stride, groups, padding, activation, bias))
        self.tops.append(end)

    def pad(self, operator: Operator) -> None:
        """PAD of height and width, before a convolution without its own padding."""
        table = self._constant(operator, 1)
        if table.shape != (4, 2) or table.kind not in {"INT32", "INT64"} or self.stage != "body":
            raise ModelError(misfit(table, "widths of a PAD, four pairs before a convolution"))
        batch, rows, columns, channels = [(int(pair[0]), int(pair[1])) for pair in np.asarray(table.values)]
        if batch != (0, 0) or channels != (0, 0) or rows != columns or not all(0 <= pad < self.side for pad in rows):
            raise ModelError(f"a PAD by {(batch, rows, columns, channels)} does not pad height and width equally")
        self.pads = rows

    def pool(self, operator: Operator) -> None:
        """AVERAGE_POOL_2D or MEAN, over the whole plane."""
        if operator.kind == "MEAN":
            axes = self._constant(operator, 1)
            whole = (
                axes.kind == "INT32" and axes.shape == (2,) and set((np.asarray(axes.values) % 4).tolist()) == {1, 2}
            )
        else:
            options = operator.options
            whole = options.window == (self.side, self.side) and options.activation == "NONE"
            whole &= not options.same or min(options.stride) >= self.side
        if not whole or self.stage != "body":
            raise ModelError(f"an {operator.kind} is not the average over the plane of {self.side} x {self.side}")
        self.stage = "pooled"

    def flatten(self, operator: Operator) -> None:
        """RESHAPE, SQUEEZE and EXPAND_DIMS of a single vector."""
        if self.stage == "body":
            raise ModelError(f"a {operator.kind} comes before the pool; it is supported only after it")

    def same(self, operator: Operator) -> None:
        """QUANTIZE and DEQUANTIZE: the same values in another type."""
        if not self.convs:
            self.entry.quantize(self.graph.tensors[operator.outputs[0]])

    def cast(self, _operator: Operator) -> None:
        """CAST of pixels to float."""
        if self.convs:
            raise ModelError("a CAST is not at the input, where it turns bytes into floats")
        self.entry.cast()

    def scale(self, operator: Operator) -> None:
        """MUL, DIV, ADD and SUB of the photo by a number, or one per colour."""
        place = 0 if operator.inputs[0] != self.current else 1
        number = self._constant(operator, place)
        shape = self.graph.tensors[operator.outputs[0]].shape
        if self.convs or operator.options.activation != "NONE" or shape != self.image.shape:
            raise ModelError(
                f"a {operator.kind} by {number.name} is not the scaling of the photo before the first layer"
            )
        self.entry.scale(operator.kind, number, self._floats(number, tuple(range(len(number.shape)))))

    def linear(self, operator: Operator) -> None:
        """FULLY_CONNECTED: the classifier."""
        matrix = self._constant(operator, 1)
        if len(matrix.shape) != 2 or matrix.shape[1] != self.channels:
            raise ModelError(misfit(matrix, f"matrix of a FULLY_CONNECTED of {self.channels} features"))
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
        values = self._floats(matrix, tuple(range(len(matrix.shape)))).reshape(classes, self.channels)
        self.classifier = ForeignLinear(matrix.name, values, self._bias(operator, classes))
        self.stage, self.channels = "classified", classes

    def _geometry(self, operator: Operator, filters: Tensor) -> tuple[int, Padding]:
        """Stride and padding; the side of the plane becomes that of the output."""
        options, name = operator.options, filters.name
        height, width, stride = *filters.shape[1:3], options.stride[0]
        if height != width or options.stride != (stride, stride) or options.dilation != (1, 1) or stride < 1:
            raise ModelError(
                f"tensor {name} has shape {filters.shape}, stride {options.stride}, dilation {options.dilation}; only "
                "square filters without dilation are supported"
            )
        total = max((math.ceil(self.side / stride) - 1) * stride + height - self.side, 0)
        same, symmetric = (total // 2, total - total // 2), ((height - 1) // 2, (height - 1) // 2)
        if options.same and self.pads != (0, 0):
            raise ModelError(f"{name} is padded twice, by a PAD and by SAME")
        pads, self.pads = self.pads, (0, 0)
        self.side = math.ceil(self.side / stride) if options.same else (self.side + sum(pads) - height) // stride + 1
        if self.side < 1:
            raise ModelError(f"{name} has an empty output; it is damaged")
        if options.same or pads == same != (0, 0):
            return stride, "tensorflow"
        if pads == (0, 0):
            return stride, "valid"
        if pads == symmetric:
            return stride, "symmetric"
        raise ModelError(f"{name} is padded by {pads}, neither TensorFlow's {same} nor {symmetric}")

    def _filters(self, operator: Operator) -> tuple[Tensor, int]:
        """(out, height, width, in / groups), or (1, height, width, out) if each channel is its own group."""
        filters = self._constant(operator, 1)
        one, *_, last = filters.shape if len(filters.shape) == 4 else (0, 0)
        if operator.kind == "DEPTHWISE_CONV_2D":
            fits, groups = one == 1 and last % self.channels == 0, self.channels
        else:
            groups = self.channels // max(last, 1)
            fits = last * groups == self.channels and one % max(groups, 1) == 0
        if not fits:
            raise ModelError(misfit(filters, f"filters of a {operator.kind} of {self.channels} channels"))
        return filters, groups

    def _constant(self, operator: Operator, place: int) -> Tensor:
        number = operator.inputs[place] if len(operator.inputs) > place else -1
        tensor = self.constants.get(number, self.graph.tensors[number])
        if number < 0 or tensor.values is None:
            name, kind = (tensor.name, tensor.kind) if number >= 0 else ("nothing", "no type")
            raise ModelError(f"a {operator.kind} reads {name} of {kind}, whose values are missing or not supported")
        return tensor

    def _bias(self, operator: Operator, out: int) -> Floats | None:
        if len(operator.inputs) < 3 or operator.inputs[2] < 0:
            return None
        bias = self._constant(operator, 2)
        if bias.shape != (out,):
            raise ModelError(misfit(bias, f"a bias of {out}"))
        return self._floats(bias, (0,))

    def _floats(self, tensor: Tensor, order: tuple[int, ...]) -> Floats:
        """float32 values with the axes in this order.

        Bytes shared by several tensors would be expanded once per tensor, so the total is bounded by the file's size.
        """
        self.budget -= tensor.values.nbytes if tensor.values is not None else 0
        if self.budget < 0:
            raise ModelError("its layers share their values; together they exceed the size of the file")
        return floats(tensor, order)


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
