"""One convolution of a TFLite file, with its constants, in our terms."""

import math

from mobilenet.errors import ModelError
from mobilenet.spec.rows import Activation, Padding
from mobilenet.weights.layers import Floats, ForeignConv
from mobilenet.weights.tflite.file import Graph, Operator, Tensor
from mobilenet.weights.tflite.ranges import Layer, Plane, floats, misfit, top

__all__ = ["Constants", "filters_of", "read_convolution"]

_FUSED: dict[str, Activation] = {"NONE": "none", "RELU": "relu", "RELU6": "relu6"}


class Constants:
    """The constants of a graph, also those behind a DEQUANTIZE, by the operators that read them.

    `size` is that of the file in bytes. Bytes shared by several tensors would be expanded once per tensor, so the total
    is bounded by it.
    """

    def __init__(self, graph: Graph, size: int) -> None:
        self.graph = graph
        self._budget = size
        self._packed = {
            operator.outputs[0]: graph.tensors[operator.inputs[0]]
            for operator in graph.operators
            if self.is_packed(operator)
        }

    def is_packed(self, operator: Operator) -> bool:
        """Whether it only turns a constant into floats."""
        whole = operator.kind == "DEQUANTIZE" and len(operator.inputs) == len(operator.outputs) == 1
        return whole and operator.inputs[0] >= 0 and self.graph.tensors[operator.inputs[0]].values is not None

    def holds(self, number: int) -> bool:
        """Whether the tensor with that number is a constant."""
        return number in self._packed or (number >= 0 and self.graph.tensors[number].values is not None)

    def get(self, operator: Operator, place: int) -> Tensor:
        """The constant that an operator reads at that place among its inputs; ModelError if it is none."""
        number = operator.inputs[place] if len(operator.inputs) > place else -1
        tensor = self._packed.get(number, self.graph.tensors[number])
        if number < 0 or tensor.values is None:
            name, kind = (tensor.name, tensor.kind) if number >= 0 else ("nothing", "no type")
            raise ModelError(f"a {operator.kind} reads {name} of {kind}, whose values are missing or not supported")
        return tensor

    def bias(self, operator: Operator, out: int) -> Floats | None:
        """(out,), an operator's third input; None if there is none; ModelError for another shape."""
        if len(operator.inputs) < 3 or operator.inputs[2] < 0:
            return None
        bias = self.get(operator, 2)
        if bias.shape != (out,):
            raise ModelError(misfit(bias, f"a bias of {out}"))
        return self.floats(bias, (0,))

    def floats(self, tensor: Tensor, order: tuple[int, ...]) -> Floats:
        """float32 values (…,) with the axes in this order; ModelError if the layers share their values."""
        self._budget -= tensor.values.nbytes if tensor.values is not None else 0
        if self._budget < 0:
            raise ModelError("its layers share their values; together they exceed the size of the file")
        return floats(tensor, order)


def read_convolution(operator: Operator, constants: Constants, plane: Plane) -> Layer:
    """A CONV_2D or DEPTHWISE_CONV_2D of that plane; ModelError names what is not supported, or is damaged."""
    filters, groups = filters_of(operator, constants, plane.channels)
    stride, padding, side = _geometry(operator, filters, plane)
    depthwise = operator.kind == "DEPTHWISE_CONV_2D"
    values = constants.floats(filters, (3, 0, 1, 2) if depthwise else (0, 3, 1, 2))
    activation = _FUSED.get(operator.options.activation)
    if activation is None:
        raise ModelError(
            f"{filters.name} is followed by {operator.options.activation}; only RELU and RELU6 are supported"
        )
    bias = constants.bias(operator, len(values))
    end = top(constants.graph.tensors[operator.outputs[0]], activation)
    conv = ForeignConv(filters.name, values, stride, groups, padding, activation, bias)
    return Layer(conv, end, Plane(side, len(values)))


def filters_of(operator: Operator, constants: Constants, channels: int) -> tuple[Tensor, int]:
    """(out, height, width, in / groups), or (1, height, width, out) if each channel is its own group; the groups.

    ModelError for filters that do not fit so many channels.
    """
    filters = constants.get(operator, 1)
    one, *_, last = filters.shape if len(filters.shape) == 4 else (0, 0)
    if operator.kind == "DEPTHWISE_CONV_2D":
        fits, groups = one == 1 and last % channels == 0, channels
    else:
        groups = channels // max(last, 1)
        fits = last * groups == channels and one % max(groups, 1) == 0
    if not fits:
        raise ModelError(misfit(filters, f"filters of a {operator.kind} of {channels} channels"))
    return filters, groups


def _geometry(operator: Operator, filters: Tensor, plane: Plane) -> tuple[int, Padding, int]:
    """Stride and padding, and the side of the output in pixels."""
    options, name, (side, pads) = operator.options, filters.name, (plane.side, plane.pads)
    height, width, stride = *filters.shape[1:3], options.stride[0]
    if height != width or options.stride != (stride, stride) or options.dilation != (1, 1) or stride < 1:
        raise ModelError(
            f"tensor {name} has shape {filters.shape}, stride {options.stride}, dilation {options.dilation}; only "
            "square filters without dilation are supported"
        )
    total = max((math.ceil(side / stride) - 1) * stride + height - side, 0)
    same, symmetric = (total // 2, total - total // 2), ((height - 1) // 2, (height - 1) // 2)
    if options.same and pads != (0, 0):
        raise ModelError(f"{name} is padded twice, by a PAD and by SAME")
    out = math.ceil(side / stride) if options.same else (side + sum(pads) - height) // stride + 1
    if out < 1:
        raise ModelError(f"{name} has an empty output; it is damaged")
    if options.same or pads == same != (0, 0):
        return stride, "tensorflow", out
    if pads == (0, 0):
        return stride, "valid", out
    if pads == symmetric:
        return stride, "symmetric", out
    raise ModelError(f"{name} is padded by {pads}, neither TensorFlow's {same} nor {symmetric}")
