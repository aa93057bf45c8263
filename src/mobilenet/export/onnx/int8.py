"""The nodes of an 8-bit graph, as ONNX has them: float operators between DequantizeLinear and QuantizeLinear (QDQ).

Activations are uint8 (zero point + 128), filters int8: pixels are uint8 already, and x86 multiplies unsigned by signed
bytes in one instruction.
"""

import numpy as np
from numpy.typing import NDArray

from mobilenet.export.onnx.parts import IMAGES, PROBABILITIES, Parts, conv_attributes
from mobilenet.model.graph import Quantization, QuantizedConv, QuantizedGraph, QuantizedLinear, QuantizedPool

__all__ = ["write_int8"]


def write_int8(graph: QuantizedGraph, parts: Parts) -> None:
    """Pixels, taken as they are -> `graph.nodes` -> softmax in float32."""
    side, given = graph.card.resolution, graph.input
    current = parts.node("Transpose", [IMAGES], "pixels", perm=[0, 3, 1, 2])
    for node in graph.nodes:
        real = _dequantized(current, given, parts)
        match node:
            case QuantizedConv():
                attributes, side = conv_attributes(node, side)
                inputs = [real, *_weights(node.name, node.filters, node.scales, node.bias, given, parts)]
                made = parts.node("Conv", inputs, f"{node.name}/real", **attributes)
                current = _activated(node, _quantized(made, node.output, node.name, parts), parts)
            case QuantizedPool(name):
                made = parts.node("GlobalAveragePool", [real], f"{name}/real")
                planes = _quantized(made, node.output, f"{name}/planes", parts)
                current = parts.node("Flatten", [planes], name, axis=1)
            case QuantizedLinear(name):
                inputs = [real, *_weights(name, node.matrix, node.scales, node.bias, given, parts)]
                made = parts.node("Gemm", inputs, f"{name}/real", transB=1)
                current = _quantized(made, node.output, name, parts)
        given = node.output
    parts.node("Softmax", [_dequantized(current, given, parts)], PROBABILITIES, axis=1)


def _step(name: str, quantization: Quantization, parts: Parts) -> list[str]:
    """Scale and zero point of one tensor."""
    scale, zero_point = f"{name}/scale", f"{name}/zero_point"
    if not any(constant.name == scale for constant in parts.constants):
        parts.constant(scale, quantization.scale, np.float32)
        parts.constant(zero_point, quantization.zero_point + 128, np.uint8)
    return [scale, zero_point]


def _quantized(real: str, quantization: Quantization, name: str, parts: Parts) -> str:
    return parts.node("QuantizeLinear", [real, *_step(name, quantization, parts)], name)


def _dequantized(current: str, quantization: Quantization, parts: Parts) -> str:
    return parts.node("DequantizeLinear", [current, *_step(current, quantization, parts)], f"{current}/dequantized")


def _activated(node: QuantizedConv, current: str, parts: Parts) -> str:
    """The 8-bit numbers that the activation lets through.

    Nearly always that is all of them, since `output` ends where the activation does. Where it does not, numbers are cut
    as 8-bit ones: a Clip of real numbers would keep engines from computing this convolution in 8 bits.
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
    """Filters in steps of `scales` and bias in steps of input scale × `scales`, one for each output channel."""
    steps = parts.constant(f"{name}/filters/scale", scales, np.float32)
    zeros = parts.constant(f"{name}/filters/zero_point", np.zeros(len(scales)), np.int8)
    whole = parts.constant(f"{name}/filters/int8", filters, np.int8)
    bias_steps = parts.constant(f"{name}/bias/scale", np.float32(given.scale) * scales, np.float32)
    bias_whole = parts.constant(f"{name}/bias/int32", bias, np.int32)
    return [
        parts.node("DequantizeLinear", [whole, steps, zeros], f"{name}/filters", axis=0),
        parts.node("DequantizeLinear", [bias_whole, bias_steps], f"{name}/bias", axis=0),
    ]
