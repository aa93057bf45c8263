"""The operators of a TFLite graph: pixels, one node after another, and the outputs with their endings.

NHWC, with TensorFlow's own SAME if the network pads that way; only strided layers with symmetric padding need
a PAD, which XNNPACK fuses into them. Activations are fused.

In 8 bits every layer follows the TFLite 8-bit quantisation specification: filters per output channel, biases int32.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray

from mobilenet.export.litert.flatbuffer import Affine, Options, TfliteFile
from mobilenet.model.graph import (
    ConcatNode,
    ConvNode,
    LinearNode,
    Node,
    PoolNode,
    Quantization,
    QuantizedConcat,
    QuantizedConv,
    QuantizedLinear,
    QuantizedNode,
    QuantizedPool,
)
from mobilenet.model.outputs import Output
from mobilenet.spec.shapes import padded

__all__ = ["Layers", "Tensor", "affine"]

_ACTIVATIONS = {"none": "NONE", "relu": "RELU", "relu6": "RELU6"}

_Weighted = ConvNode | LinearNode | QuantizedConv | QuantizedLinear


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of the file by its `number`: `shape` is (1, height, width, channels) or (1, features), `steps` its 8-bit
    quantisation, None in float32."""

    number: int
    shape: tuple[int, ...]
    steps: Quantization | None = None


class Layers:
    """Appends operators to a file; each method returns the output of its last operator."""

    def __init__(self, file: TfliteFile) -> None:
        self.file = file

    def tensor(self, name: str, shape: tuple[int, ...], steps: Quantization | None = None) -> Tensor:
        """A tensor that an operator computes."""
        if steps is None:
            return Tensor(self.file.tensor(name, shape, "FLOAT32"), shape)
        return Tensor(self.file.tensor(name, shape, "INT8", affine(steps)), shape, steps)

    def append(
        self, kind: str, version: int, inputs: Sequence[int], output: Tensor, options: Options | None = None
    ) -> Tensor:
        """The operator called `kind` in the schema."""
        self.file.operator(kind, version, inputs, output.number, options)
        return output

    def layer(self, node: Node | QuantizedNode, inputs: Sequence[Tensor]) -> Tensor:
        """One node, with its activation."""
        match node:
            case ConvNode() | QuantizedConv():
                return self._convolution(node, inputs[0])
            case PoolNode() | QuantizedPool():
                return self._pool(node, inputs[0])
            case LinearNode() | QuantizedLinear():
                return self._linear(node, inputs[0])
            case ConcatNode() | QuantizedConcat():
                return self._concat(node, inputs)

    def output(self, output: Output, rows: Sequence[Tensor], real_name: str) -> Tensor:
        """The tensor (1, *shape) float32 of an output, from its `rows`; `real_name` is that of a dequantised row."""
        shape = (1, *output.shape)
        if len(rows) > 1:
            name = output.name if output.ending == "none" else f"{output.name}.joined"
            parts = [
                self._part(output, self._real(row, f"{real_name}{number}"), number)
                for number, row in enumerate(rows, 1)
            ]
            joined = Options("ConcatenationOptions", {"Axis": 1})
            given = self.append("CONCATENATION", 1, [part.number for part in parts], self.tensor(name, shape), joined)
            return self._ended(output, given)
        given = self._real(rows[0], real_name)
        if output.ending == "none":
            # The row may have other readers, and needs a name of its own.
            return self._reshaped(given, shape, output.name)
        if given.shape != shape:
            given = self._reshaped(given, shape, f"{output.name}.shaped")
        return self._ended(output, given)

    def _real(self, given: Tensor, name: str) -> Tensor:
        """The same values in float32."""
        if given.steps is None:
            return given
        real = self.tensor(name, given.shape)
        return self.append("DEQUANTIZE", 2, [given.number], real, Options("DequantizeOptions", {}))

    def _part(self, output: Output, given: Tensor, number: int) -> Tensor:
        """One of several rows in the shape of an output, but for its first axis."""
        within = output.shape[1:]
        length = prod(given.shape) // prod(within)
        return self._reshaped(given, (1, length, *within), f"{output.name}.{number}")

    def _ended(self, output: Output, given: Tensor) -> Tensor:
        if output.ending == "none":
            return given
        shape = (1, *output.shape)
        kind, options = {
            "softmax": ("SOFTMAX", Options("SoftmaxOptions", {"Beta": 1.0})),
            "sigmoid": ("LOGISTIC", None),
            "l2": ("L2_NORMALIZATION", Options("L2NormOptions", {})),
        }[output.ending]
        return self.append(kind, 1, [given.number], self.tensor(output.name, shape), options)

    def _convolution(self, node: ConvNode | QuantizedConv, given: Tensor) -> Tensor:
        """Filters (out, in / groups, h, w) become (out, h, w, in / groups), or (1, h, w, out) if depthwise."""
        order, axis = ((1, 2, 3, 0), 3) if node.depthwise else ((0, 2, 3, 1), 0)
        same, given, sides = self._padded(node, given)
        constants = self._constants(node, node.filters.transpose(order), axis, given)
        channels = len(node.filters)
        multiplier = {"DepthMultiplier": channels // given.shape[3]} if node.depthwise else {}
        fields = {
            "Padding": tflite.Padding.SAME if same else tflite.Padding.VALID,
            "StrideW": node.stride,
            "StrideH": node.stride,
            **multiplier,
            "FusedActivationFunction": _activation(node),
        }
        kind, table = (
            ("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions") if node.depthwise else ("CONV_2D", "Conv2DOptions")
        )
        made = self.tensor(node.name, (1, *sides, channels), _output(node))
        version = 1 if given.steps is None else 3
        return self.append(kind, version, [given.number, *constants], made, Options(table, fields))

    def _padded(self, node: ConvNode | QuantizedConv, given: Tensor) -> tuple[bool, Tensor, tuple[int, ...]]:
        """Whether the layer's padding is TensorFlow's SAME, its input, and the sides of its output; a PAD precedes any
        other padding."""
        sides, kernel = given.shape[1:3], node.filters.shape[2:]
        pads, same = (
            [padded(side, size, node.stride, kind) for side, size in zip(sides, kernel, strict=True)]
            for kind in (node.padding, "tensorflow")
        )
        out = tuple(
            (side + sum(pad) - size) // node.stride + 1 for side, size, pad in zip(sides, kernel, pads, strict=True)
        )
        if pads == same:
            return True, given, out
        if any(map(any, pads)):
            given = self._pad(node.name, given, pads)
        return False, given, out

    def _pad(self, name: str, given: Tensor, pads: Sequence[tuple[int, int]]) -> Tensor:
        widths = self.file.constant("pads", np.array([(0, 0), *pads, (0, 0)], np.int32))
        shape = tuple(side + sum(pad) for side, pad in zip(given.shape, [(0, 0), *pads, (0, 0)], strict=True))
        made = self.tensor(f"{name}.padded", shape, given.steps)
        return self.append(
            "PAD", 1 if given.steps is None else 2, [given.number, widths], made, Options("PadOptions", {})
        )

    def _pool(self, node: PoolNode | QuantizedPool, given: Tensor) -> Tensor:
        axes = self.file.constant("axes", np.array([1, 2], np.int32))
        made = self.tensor(node.name, (1, given.shape[3]), _output(node))
        options = Options("ReducerOptions", {"KeepDims": False})
        return self.append("MEAN", 1 if given.steps is None else 2, [given.number, axes], made, options)

    def _linear(self, node: LinearNode | QuantizedLinear, given: Tensor) -> Tensor:
        if len(given.shape) == 4:
            given = self._reshaped(given, (1, prod(given.shape)), f"{node.name}.flat")
        constants = self._constants(node, node.matrix, 0, given)
        made = self.tensor(node.name, (1, len(node.matrix)), _output(node))
        fused = {} if node.activation == "none" else {"FusedActivationFunction": _activation(node)}
        version = 1 if given.steps is None else 12
        options = Options("FullyConnectedOptions", fused)
        return self.append("FULLY_CONNECTED", version, [given.number, *constants], made, options)

    def _concat(self, node: ConcatNode | QuantizedConcat, inputs: Sequence[Tensor]) -> Tensor:
        *others, _ = inputs[0].shape
        shape = (*others, sum(tensor.shape[-1] for tensor in inputs))
        made = self.tensor(node.name, shape, _output(node))
        options = Options("ConcatenationOptions", {"Axis": len(others)})
        version = 1 if made.steps is None else 2
        return self.append("CONCATENATION", version, [tensor.number for tensor in inputs], made, options)

    def _reshaped(self, given: Tensor, shape: tuple[int, ...], name: str) -> Tensor:
        """The same values in the same order, for any batch size."""
        sides = self.file.constant(f"{name}.shape", np.array([-1, *shape[1:]], np.int32))
        return self.append("RESHAPE", 1, [given.number, sides], self.tensor(name, shape, given.steps))

    def _constants(self, node: _Weighted, values: NDArray[Any], axis: int, given: Tensor) -> list[int]:
        """Weights and bias; in 8 bits the bias is in steps of input scale × weight scale."""
        weights, bias = f"{node.name}.weights", f"{node.name}.bias"
        if isinstance(node, ConvNode | LinearNode) or given.steps is None:
            return [self.file.constant(weights, values), self.file.constant(bias, node.bias)]
        steps = np.float32(given.steps.scale) * node.scales
        return [
            self.file.constant(weights, values, Affine(node.scales, axis=axis)),
            self.file.constant(bias, node.bias, Affine(steps)),
        ]


def affine(steps: Quantization) -> Affine:
    """The quantisation in the file's terms."""
    return Affine(np.array([steps.scale], np.float32), steps.zero_point)


def _output(node: Node | QuantizedNode) -> Quantization | None:
    return None if isinstance(node, ConvNode | PoolNode | LinearNode | ConcatNode) else node.output


def _activation(node: _Weighted) -> int:
    return int(getattr(tflite.ActivationFunctionType, _ACTIVATIONS[node.activation]))
