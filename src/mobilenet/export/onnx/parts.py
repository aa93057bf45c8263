"""Builder for the nodes and constants of an ONNX graph."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from onnx import NodeProto, TensorProto, helper, numpy_helper

from mobilenet.model.graph import ConvNode, QuantizedConv
from mobilenet.spec.shapes import padded

__all__ = ["IMAGES", "Parts", "Value", "conv_attributes", "flattened"]

IMAGES = "images"


@dataclass(frozen=True, slots=True)
class Value:
    """The name of a tensor in the file, and its `shape` for one photo: (C, H, W) for a plane, (F,) for a vector."""

    tensor: str
    shape: tuple[int, ...]


class Parts:
    """The parts added so far; tensors are identified by their names, which each method returns.

    A quote is appended to a name that is already taken; `ends` are the names of the file's own inputs and outputs.
    """

    def __init__(self, ends: Iterable[str]) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self._taken = set(ends)
        self._shared: dict[str, str] = {}

    def constant(self, name: str, values: ArrayLike, kind: DTypeLike) -> str:
        """A constant in the file: `values` (...,), of any shape, as dtype `kind`."""
        name = self.own(name)
        self.constants.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def shared(self, name: str, values: ArrayLike, kind: DTypeLike) -> str:
        """As `constant`, for `values` (...,) that are stored once for all uses of this name."""
        if name not in self._shared:
            self._shared[name] = self.constant(name, values, kind)
        return self._shared[name]

    def node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """A node named after its only output."""
        return self.end(operator, inputs, self.own(output), **attributes)

    def several(self, operator: str, inputs: list[str], outputs: list[str], **attributes: Any) -> list[str]:
        """A node with several outputs, named after the first."""
        made = [self.own(output) for output in outputs]
        self.nodes.append(helper.make_node(operator, inputs, made, made[0], **attributes))
        return made

    def end(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """A node whose output is one of the `ends`, or a name reserved for it."""
        self.nodes.append(helper.make_node(operator, inputs, [output], output, **attributes))
        return output

    def own(self, name: str) -> str:
        """Reserve `name`, with quotes appended until it is unique."""
        while name in self._taken:
            name += "'"
        self._taken.add(name)
        return name


def flattened(value: Value, name: str, parts: Parts) -> Value:
    """A plane as a vector, row by row and pixel by pixel; a vector is unchanged."""
    if len(value.shape) == 1:
        return value
    turned = parts.node("Transpose", [value.tensor], f"{name}/pixels", perm=[0, 2, 3, 1])
    flat = parts.node("Flatten", [turned], f"{name}/flat", axis=1)
    return Value(flat, (int(np.prod(value.shape)),))


def conv_attributes(node: ConvNode | QuantizedConv, plane: tuple[int, ...]) -> tuple[dict[str, Any], tuple[int, ...]]:
    """Attributes of ONNX's Conv on a plane (C, H, W), and the shape of its output.

    Pads are explicit, in pixels: `auto_pad` is deprecated, and engines disagree on it.
    """
    sides, kernel = plane[1:], node.filters.shape[2:]
    pads = [padded(side, size, node.stride, node.padding) for side, size in zip(sides, kernel, strict=True)]
    attributes = {
        "kernel_shape": list(kernel),
        "strides": [node.stride, node.stride],
        "pads": [*(before for before, _ in pads), *(after for _, after in pads)],
        "group": node.groups,
    }
    out = [(side + sum(pad) - size) // node.stride + 1 for side, size, pad in zip(sides, kernel, pads, strict=True)]
    return attributes, (len(node.filters), *out)
