"""The nodes of an 8-bit graph in ONNX: float operators between DequantizeLinear and QuantizeLinear (QDQ).

Activations are uint8 (zero point + 128), filters int8: pixels are uint8 already, and x86 multiplies unsigned by signed
bytes in one instruction.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mobilenet.export.onnx.outputs import write_output
from mobilenet.export.onnx.parts import IMAGES, Parts, Value, conv_attributes, flattened
from mobilenet.model.graph import (
    Quantization,
    QuantizedConcat,
    QuantizedConv,
    QuantizedGraph,
    QuantizedLinear,
    QuantizedNode,
    QuantizedPool,
)
from mobilenet.spec.rows import INPUT

__all__ = ["write_int8"]


def write_int8(graph: QuantizedGraph, parts: Parts) -> None:
    """Pixels, unchanged -> `graph.nodes` -> outputs in float32."""
    side, steps = graph.card.resolution, graph.steps
    values = {INPUT: Value(parts.node("Transpose", [IMAGES], "pixels", perm=[0, 3, 1, 2]), (3, side, side))}
    real = _Real(parts)
    for node in graph.nodes:
        inputs = [values[name] for name in node.inputs]
        if isinstance(node, QuantizedLinear):
            # While each value is still one byte.
            inputs = [flattened(inputs[0], node.name, parts)]
        given = steps[node.inputs[0]]
        values[node.name] = _node(node, [real.value(value, given) for value in inputs], given, parts)
    for output in graph.card.outputs:
        write_output(output, [real.value(values[row], steps[row]) for row in output.rows], parts)


class _Real:
    """The real values of 8-bit tensors, dequantised once for all readers."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._made: dict[str, str] = {}

    def value(self, value: Value, quantization: Quantization) -> Value:
        """The same values as float32."""
        tensor = value.tensor
        if tensor not in self._made:
            inputs = [tensor, *_step(tensor, quantization, self.parts)]
            self._made[tensor] = self.parts.node("DequantizeLinear", inputs, f"{tensor}/dequantized")
        return replace(value, tensor=self._made[tensor])


def _node(node: QuantizedNode, inputs: list[Value], given: Quantization, parts: Parts) -> Value:
    """The 8-bit output of a node, from real inputs."""
    real = inputs[0]
    match node:
        case QuantizedConv(name):
            attributes, shape = conv_attributes(node, real.shape)
            weights = _weights(name, node.filters, node.scales, node.bias, given, parts)
            made = parts.node("Conv", [real.tensor, *weights], f"{name}/real", **attributes)
            return Value(_activated(node, _quantized(made, node.output, name, parts), parts), shape)
        case QuantizedPool(name):
            made = parts.node("GlobalAveragePool", [real.tensor], f"{name}/real")
            planes = _quantized(made, node.output, f"{name}/planes", parts)
            return Value(parts.node("Flatten", [planes], name, axis=1), real.shape[:1])
        case QuantizedLinear(name):
            weights = _weights(name, node.matrix, node.scales, node.bias, given, parts)
            made = parts.node("Gemm", [real.tensor, *weights], f"{name}/real", transB=1)
            return Value(_activated(node, _quantized(made, node.output, name, parts), parts), (len(node.matrix),))
        case QuantizedConcat(name):
            made = parts.node("Concat", [value.tensor for value in inputs], f"{name}/real", axis=1)
            channels = sum(value.shape[0] for value in inputs)
            return Value(_quantized(made, node.output, name, parts), (channels, *real.shape[1:]))


def _step(name: str, quantization: Quantization, parts: Parts) -> list[str]:
    """Scale and zero point of the tensor called `name`."""
    return [
        parts.shared(f"{name}/scale", quantization.scale, np.float32),
        parts.shared(f"{name}/zero_point", quantization.zero_point + 128, np.uint8),
    ]


def _quantized(real: str, quantization: Quantization, name: str, parts: Parts) -> str:
    name = parts.own(name)
    return parts.end("QuantizeLinear", [real, *_step(name, quantization, parts)], name)


def _activated(node: QuantizedConv | QuantizedLinear, current: str, parts: Parts) -> str:
    """The 8-bit values after the activation.

    Nearly always they are unchanged, since the range of `output` ends where the activation does. Otherwise they are
    clipped in 8 bits: a Clip of real values would keep engines from computing this layer in 8 bits.
    """
    zero, scale = node.output.zero_point + 128, node.output.scale
    low = 0 if node.activation == "none" else zero
    high = min(255, round(6 / scale) + zero) if node.activation == "relu6" else 255
    if (low, high) == (0, 255):
        return current
    limits = [parts.constant(f"{node.name}/{end}", value, np.uint8) for end, value in (("low", low), ("high", high))]
    return parts.node("Clip", [current, *limits], f"{node.name}/activated")


def _weights(
    name: str,
    filters: NDArray[np.int8],
    scales: NDArray[np.float32],
    bias: NDArray[np.int32],
    given: Quantization,
    parts: Parts,
) -> list[str]:
    """Filters in steps of `scales` (out,) and bias (out,) in steps of input scale × `scales`."""
    steps = parts.constant(f"{name}/filters/scale", scales, np.float32)
    zeros = parts.constant(f"{name}/filters/zero_point", np.zeros(len(scales)), np.int8)
    whole = parts.constant(f"{name}/filters/int8", filters, np.int8)
    bias_steps = parts.constant(f"{name}/bias/scale", np.float32(given.scale) * scales, np.float32)
    bias_whole = parts.constant(f"{name}/bias/int32", bias, np.int32)
    return [
        parts.node("DequantizeLinear", [whole, steps, zeros], f"{name}/filters", axis=0),
        parts.node("DequantizeLinear", [bias_whole, bias_steps], f"{name}/bias", axis=0),
    ]
