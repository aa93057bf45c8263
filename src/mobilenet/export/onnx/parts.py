"""The nodes and constants of an ONNX graph in the making."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from onnx import NodeProto, TensorProto, helper, numpy_helper

from mobilenet.model.graph import ConvNode, QuantizedConv
from mobilenet.spec.shapes import padded

__all__ = ["IMAGES", "PROBABILITIES", "Parts", "conv_attributes"]

IMAGES, PROBABILITIES = "images", "probabilities"


@dataclass
class Parts:
    """What a writer has added so far; tensors are known by their names, which each method gives back."""

    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)

    def constant(self, name: str, values: ArrayLike, kind: DTypeLike) -> str:
        """An array inside the file, of numbers of this kind."""
        self.constants.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """A node named after its only output."""
        self.nodes.append(helper.make_node(operator, inputs, [output], output, **attributes))
        return output


def conv_attributes(node: ConvNode | QuantizedConv, side: int) -> tuple[dict[str, Any], int]:
    """Attributes of ONNX's Conv on planes of `side` × `side` pixels, and the side of its output.

    Pads are written out in pixels: `auto_pad` is deprecated and engines differ on it.
    """
    height, width = node.filters.shape[2:]
    (top, bottom), (left, right) = (padded(side, kernel, node.stride, node.padding) for kernel in (height, width))
    attributes = {
        "kernel_shape": [height, width],
        "strides": [node.stride, node.stride],
        "pads": [top, left, bottom, right],
        "group": node.groups,
    }
    return attributes, (side + top + bottom - height) // node.stride + 1
