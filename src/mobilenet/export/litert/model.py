"""The LiteRT writer: an inference graph -> the bytes of a `.tflite` file, operator by operator.

NHWC, with TensorFlow's own SAME where the network pads so; a PAD stands only before layers that pad both sides alike
at a stride, and XNNPACK fuses it into them. Activations are fused. The file takes uint8 pixels (1, R, R, 3) named
`pixels` and answers `probabilities` (1, classes) float32; an interpreter may resize the first axis.

In 8 bits every layer follows the TFLite 8-bit quantisation specification: filters per output channel, biases int32.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray

from mobilenet.errors import ModelError
from mobilenet.export.litert.flatbuffer import Affine, Options, TfliteFile
from mobilenet.export.litert.metadata import METADATA_ENTRY, Normalization, attach_labels, describe
from mobilenet.model.card import ModelCard
from mobilenet.model.graph import (
    ConvNode,
    Graph,
    LinearNode,
    Node,
    PoolNode,
    Quantization,
    QuantizedConv,
    QuantizedGraph,
    QuantizedLinear,
    QuantizedNode,
    QuantizedPool,
)
from mobilenet.model.seal import UNSEALED, seal
from mobilenet.model.tflite_card import CARD_ENTRY, pack_card

__all__ = ["litert_model"]

_ACTIVATIONS = {"none": "NONE", "relu": "RELU", "relu6": "RELU6"}

_INT8_OFFSET = 128
"""A pixel p (uint8) is p - 128 in int8."""

_INPUT, _OUTPUT = "pixels", "probabilities"

_Weighted = ConvNode | LinearNode | QuantizedConv | QuantizedLinear


def litert_model(graph: Graph | QuantizedGraph) -> bytes:
    """The `.tflite` file of a graph, sealed: float32 of a `Graph`, int8 of a `QuantizedGraph`."""
    writer = _Writer(graph.card)
    match graph:
        case Graph():
            writer.pixels_to_floats()
            nodes: tuple[Node | QuantizedNode, ...] = _unscaled(graph)
        case QuantizedGraph():
            writer.pixels_to_int8(graph.input)
            nodes = graph.nodes
    for node in nodes:
        writer.layer(node)
    return writer.finish()


def _unscaled(graph: Graph) -> tuple[Node, ...]:
    """The nodes with 1 / std in the first one's filters, in float64 and rounded once."""
    first, *others = graph.nodes
    if not isinstance(first, ConvNode) or first.depthwise:
        raise ModelError(f"the first node, {first.name}, is no convolution of the photo; use a mobilenet_v1")
    std = np.asarray(graph.card.preprocessing.std, np.float64)
    filters = (first.filters / std[:, None, None]).astype(np.float32)
    return (replace(first, filters=filters), *others)


class _Writer:
    """Appends operators; `current` is the tensor that the next one reads, `shape` (1, height, width, channels) or
    (1, channels), `steps` what its numbers mean in 8 bits, None in float32."""

    def __init__(self, card: ModelCard) -> None:
        self.card = card
        self.file = TfliteFile()
        side = card.preprocessing.resolution
        self.shape: tuple[int, ...] = (1, side, side, 3)
        self.steps: Quantization | None = None
        self.pixels = self.current = -1
        self.normalization = Normalization(0.0, 1.0)

    def pixels_to_floats(self) -> None:
        """uint8 -> float32 pixel - mean: DEQUANTIZE takes off a whole number, else SUB what is to be taken off."""
        mean = self.card.preprocessing.mean
        whole = int(mean[0]) if len(set(mean)) == 1 and float(mean[0]).is_integer() else 0
        self._input(Quantization(1.0, whole))
        self._append("DEQUANTIZE", 1, [], self._tensor("floats"))
        if any(value != whole for value in mean):
            constant = self.file.constant("mean", _mean(mean, self.shape[2]))
            self._append("SUB", 1, [constant], self._tensor("centred"), Options("SubOptions", {}))

    def pixels_to_int8(self, steps: Quantization) -> None:
        """uint8 -> int8, the same pixels, 128 lower."""
        self._input(Quantization(steps.scale, steps.zero_point + _INT8_OFFSET))
        self.steps = steps
        self._append("QUANTIZE", 1, [], self._tensor("int8"), Options("QuantizeOptions", {}))

    def layer(self, node: Node | QuantizedNode) -> None:
        """One node, with its activation."""
        match node:
            case ConvNode() | QuantizedConv():
                self._convolution(node)
            case PoolNode() | QuantizedPool():
                self._pool(node)
            case LinearNode() | QuantizedLinear():
                self._linear(node)

    def finish(self) -> bytes:
        """Softmax in float32, then all that is not the graph, and the seal."""
        if self.steps is not None:
            self.steps = None
            self._append("DEQUANTIZE", 2, [], self._tensor("logits"), Options("DequantizeOptions", {}))
        self._append("SOFTMAX", 1, [], self._tensor(_OUTPUT), Options("SoftmaxOptions", {"Beta": 1.0}))
        entries = {
            METADATA_ENTRY: describe(self.card, self.normalization, given=_INPUT, made=_OUTPUT),
            CARD_ENTRY: pack_card(self.card),
        }
        data = self.file.pack(self.pixels, self.current, description=UNSEALED, metadata=entries)
        return seal(attach_labels(data, self.card.labels))

    def _input(self, steps: Quantization) -> None:
        self.normalization = Normalization(float(steps.zero_point), 1 / steps.scale)
        self.pixels = self.current = self.file.tensor(_INPUT, self.shape, "UINT8", _affine(steps))

    def _tensor(self, name: str) -> int:
        """A tensor to be computed, of the present shape and steps."""
        if self.steps is None:
            return self.file.tensor(name, self.shape, "FLOAT32")
        return self.file.tensor(name, self.shape, "INT8", _affine(self.steps))

    def _append(
        self, kind: str, version: int, more: Sequence[int], output: int, options: Options | None = None
    ) -> None:
        self.current = self.file.operator(kind, version, [self.current, *more], output, options)

    def _convolution(self, node: ConvNode | QuantizedConv) -> None:
        """Filters (out, in / groups, h, w) become (out, h, w, in / groups), or (1, h, w, out) where depthwise."""
        order, axis = ((1, 2, 3, 0), 3) if node.depthwise else ((0, 2, 3, 1), 0)
        same, side = self._padding(node)
        constants = self._constants(node, node.filters.transpose(order), axis)
        channels = len(node.filters)
        multiplier = {"DepthMultiplier": channels // self.shape[3]} if node.depthwise else {}
        fields = {
            "Padding": tflite.Padding.SAME if same else tflite.Padding.VALID,
            "StrideW": node.stride,
            "StrideH": node.stride,
            **multiplier,
            "FusedActivationFunction": getattr(tflite.ActivationFunctionType, _ACTIVATIONS[node.activation]),
        }
        self.shape = (1, side, side, channels)
        self._turn(node)
        kind, table = (
            ("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions") if node.depthwise else ("CONV_2D", "Conv2DOptions")
        )
        self._append(kind, 1 if self.steps is None else 3, constants, self._tensor(node.name), Options(table, fields))

    def _padding(self, node: ConvNode | QuantizedConv) -> tuple[bool, int]:
        """Whether the layer is TensorFlow's SAME, and its output's side; where it is not, a PAD stands before it."""
        side, kernel = self.shape[1], node.filters.shape[2]
        out = -(-side // node.stride)
        total = max((out - 1) * node.stride + kernel - side, 0)
        pads = (kernel - 1) // 2 if node.padding == "symmetric" else 0
        padded = (side + 2 * pads - kernel) // node.stride + 1
        if node.padding == "tensorflow" or (total == 2 * pads and out == padded):
            return True, out
        if pads:
            self._pad(node.name, pads)
        return False, padded

    def _pad(self, name: str, pads: int) -> None:
        widths = self.file.constant("pads", np.array([(0, 0), (pads, pads), (pads, pads), (0, 0)], np.int32))
        _, height, width, channels = self.shape
        self.shape = (1, height + 2 * pads, width + 2 * pads, channels)
        version = 1 if self.steps is None else 2
        self._append("PAD", version, [widths], self._tensor(f"{name}.padded"), Options("PadOptions", {}))

    def _pool(self, node: PoolNode | QuantizedPool) -> None:
        axes = self.file.constant("axes", np.array([1, 2], np.int32))
        self.shape = (1, self.shape[3])
        self._turn(node)
        version = 1 if self.steps is None else 2
        self._append("MEAN", version, [axes], self._tensor(node.name), Options("ReducerOptions", {"KeepDims": False}))

    def _linear(self, node: LinearNode | QuantizedLinear) -> None:
        constants = self._constants(node, node.matrix, 0)
        self.shape = (1, len(node.matrix))
        self._turn(node)
        version = 1 if self.steps is None else 12
        self._append(
            "FULLY_CONNECTED", version, constants, self._tensor(node.name), Options("FullyConnectedOptions", {})
        )

    def _turn(self, node: Node | QuantizedNode) -> None:
        """What follows is in the steps of this node's output."""
        if not isinstance(node, ConvNode | PoolNode | LinearNode):
            self.steps = node.output

    def _constants(self, node: _Weighted, values: NDArray[Any], axis: int) -> list[int]:
        """Weights and bias; in 8 bits the bias is in steps of input scale × weight scale."""
        weights, bias = f"{node.name}.weights", f"{node.name}.bias"
        if isinstance(node, ConvNode | LinearNode) or self.steps is None:
            return [self.file.constant(weights, values), self.file.constant(bias, node.bias)]
        steps = np.float32(self.steps.scale) * node.scales
        return [
            self.file.constant(weights, values, Affine(node.scales, axis=axis)),
            self.file.constant(bias, node.bias, Affine(steps)),
        ]


def _mean(mean: tuple[float, float, float], width: int) -> NDArray[np.float32]:
    """What is subtracted: one number, or where channels differ one row of pixels, because XNNPACK goes through planes
    as fast as their rows are long."""
    if len(set(mean)) == 1:
        return np.array(mean[:1], np.float32)
    return np.tile(np.array(mean, np.float32), (1, 1, width, 1))


def _affine(steps: Quantization) -> Affine:
    return Affine(np.array([steps.scale], np.float32), steps.zero_point)
