"""A TFLite file as plain rows: tensors and operators, with nothing trusted before it is checked.

The flatbuffers package checks that offsets are inside the file; here every length is bounded as well, so that damage
ends in a one-line error and never in a long loop or in more memory than the size of the file justifies.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import tflite
from numpy.typing import NDArray

from mobilenet.errors import ModelError

__all__ = ["DAMAGE", "Graph", "Operator", "Options", "Tensor", "read_graph"]

DAMAGE = (struct.error, IndexError, OverflowError, TypeError, ValueError)
"""What the flatbuffers package and NumPy raise for an offset or a length that points outside the file."""

_MOST_ROWS = 4096
"""Limit on tensors and operators: a MobileNet V1 has about 90 and 31."""

_MOST_NAMES = 64
"""Limit on inputs of one operator, entries of metadata, dimensions."""

_LONGEST_NAME = 10_000
"""Bytes; names of fused layers are hundreds of bytes long."""

_LONGEST_OPTIONS = 10_000
"""Bytes of the options of a custom operator, a few hundred in practice."""

_SHOWN_NAME = 80

_TYPES = {"FLOAT32": "<f4", "FLOAT16": "<f2", "UINT8": "u1", "INT8": "i1", "INT32": "<i4", "INT64": "<i8"}
"""Types of tensors whose values are supported."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """One tensor; `values` are the file's own bytes in its shape, None for activations.

    Quantised values are scales * (values - zero_points), along `axis` where there are several scales.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    values: NDArray[Any] | None
    scales: NDArray[np.float32]
    zero_points: NDArray[np.int64]
    axis: int


@dataclass(frozen=True, slots=True)
class Options:
    """The options of an operator; only the fields of its kind are set. `custom` are the bytes of a custom operator."""

    same: bool = False
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    window: tuple[int, int] = (0, 0)
    activation: str = "NONE"
    beta: float = 1.0
    axis: int = 0
    custom: bytes = b""


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator, such as CONV_2D; inputs and outputs are indices of tensors, -1 for an omitted one."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Options


@dataclass(frozen=True, slots=True)
class Graph:
    """The graph of a file, its operators in the order of computation; `metadata` by name."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    metadata: dict[bytes, NDArray[np.uint8]]


def read_graph(data: bytes, place: str) -> Graph:
    """The graph in the bytes of a TFLite file; ModelError, naming `place` (the file), if they are damaged."""
    try:
        return _graph(tflite.Model.GetRootAs(data, 0))
    except DAMAGE as error:
        raise ModelError(f"{place} is not a TFLite file, or is damaged ({error}); download it again") from error
    except ModelError as error:
        raise ModelError(f"{place}: {error}") from error


def _graph(model: Any) -> Graph:
    if model.SubgraphsLength() != 1:
        raise ModelError(f"it contains {model.SubgraphsLength()} graphs; only files with one are supported")
    graph = model.Subgraphs(0)
    tensors = _all("tensors", graph.TensorsLength(), lambda i: _tensor(model, graph.Tensors(i)))
    operators = _all("operators", graph.OperatorsLength(), lambda i: _operator(model, graph.Operators(i), len(tensors)))
    inputs = _numbers("graph inputs", graph.InputsLength(), graph.Inputs, len(tensors))
    outputs = _numbers("graph outputs", graph.OutputsLength(), graph.Outputs, len(tensors))
    entries = _all("entries of metadata", model.MetadataLength(), model.Metadata, _MOST_NAMES)
    metadata = {bytes(entry.Name() or b"")[:_SHOWN_NAME]: _bytes(model, entry.Buffer()) for entry in entries}
    return Graph(tensors, operators, inputs, outputs, metadata)


def _all(what: str, length: int, item: Callable[[int], _T], most: int = _MOST_ROWS) -> tuple[_T, ...]:
    if length > most:
        raise ModelError(f"it declares {length:,} {what}, more than {most:,}; it is damaged, or not a MobileNet V1")
    return tuple(item(i) for i in range(length))


def _numbers(what: str, length: int, item: Callable[[int], int], tensors: int) -> tuple[int, ...]:
    numbers = _all(what, length, item, _MOST_NAMES)
    if wrong := [number for number in numbers if not -1 <= number < tensors]:
        raise ModelError(f"{what} refer to tensor {wrong[0]} of {tensors}; it is damaged")
    return numbers


def _bytes(model: Any, number: int) -> NDArray[np.uint8]:
    """The bytes of a buffer, as a view of the file."""
    if not 0 <= number < model.BuffersLength():
        raise ModelError(f"it refers to buffer {number} of {model.BuffersLength()}; it is damaged")
    data = model.Buffers(number).DataAsNumpy()
    return data if isinstance(data, np.ndarray) else np.empty(0, np.uint8)


def _tensor(model: Any, tensor: Any) -> Tensor:
    name = _name(tensor.Name())
    kind = _TENSOR_KINDS.get(tensor.Type(), f"type {tensor.Type()}")
    shape = _all(f"dimensions in tensor {name}", tensor.ShapeLength(), tensor.Shape, _MOST_NAMES)
    if tensor.Sparsity() is not None:
        raise ModelError(f"tensor {name} is sparse; only dense tensors are supported")
    data = _bytes(model, tensor.Buffer())
    values = _values(name, data, kind, shape) if data.size else None
    quantization = tensor.Quantization()
    return Tensor(
        name,
        shape,
        kind,
        values,
        scales=_vector(quantization and quantization.ScaleAsNumpy(), np.float32),
        zero_points=_vector(quantization and quantization.ZeroPointAsNumpy(), np.int64),
        axis=quantization.QuantizedDimension() if quantization else 0,
    )


def _name(raw: bytes | None) -> str:
    """The first of the names of a fused layer, made printable."""
    if raw is not None and len(raw) > _LONGEST_NAME:
        raise ModelError(f"it has a name of {len(raw):,} bytes; it is damaged")
    text = (raw or b"").decode("utf-8", "replace").split(";", 1)[0]
    shown = "".join(character if character.isprintable() else "?" for character in text)
    return shown[-_SHOWN_NAME:] or "(no name)"


def _values(name: str, data: NDArray[np.uint8], kind: str, shape: tuple[int, ...]) -> NDArray[Any] | None:
    if kind not in _TYPES:
        return None
    dtype, wanted = np.dtype(_TYPES[kind]), 1
    for side in shape:
        wanted *= side
    if min(shape, default=1) < 1 or wanted * dtype.itemsize != data.size:
        raise ModelError(f"tensor {name} has shape {shape} of {kind}, but {data.size:,} bytes; it is damaged")
    return data.view(dtype).reshape(shape)


def _vector(found: object, dtype: type[np.generic]) -> NDArray[Any]:
    return found if isinstance(found, np.ndarray) else np.empty(0, dtype)


def _operator(model: Any, operator: Any, tensors: int) -> Operator:
    number = operator.OpcodeIndex()
    if not 0 <= number < model.OperatorCodesLength():
        raise ModelError(f"it refers to operator code {number} of {model.OperatorCodesLength()}; it is damaged")
    code = model.OperatorCodes(number)
    value = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    kind = _KINDS.get(value, f"operator {value}")
    is_custom = kind == "CUSTOM"
    if is_custom:
        kind = _name(code.CustomCode())
    inputs = _numbers(f"inputs of {kind}", operator.InputsLength(), operator.Inputs, tensors)
    outputs = _numbers(f"outputs of {kind}", operator.OutputsLength(), operator.Outputs, tensors)
    options = _custom(kind, operator) if is_custom else _options(kind, operator)
    return Operator(kind, inputs, outputs, options)


def _custom(kind: str, operator: Any) -> Options:
    data = operator.CustomOptionsAsNumpy()
    if not isinstance(data, np.ndarray):
        return Options()
    if len(data) > _LONGEST_OPTIONS:
        raise ModelError(f"a {kind} has options of {len(data):,} bytes; it is damaged")
    return Options(custom=data.tobytes())


def _options(kind: str, operator: Any) -> Options:
    if kind not in _READERS:
        return Options()
    union, read = _READERS[kind]
    table = operator.BuiltinOptions()
    if table is None or operator.BuiltinOptionsType() != getattr(tflite.BuiltinOptions, union):
        raise ModelError(f"a {kind} has no {union}; it is damaged")
    options = getattr(tflite, union)()
    options.Init(table.Bytes, table.Pos)
    return read(options)


def _convolution(options: Any) -> Options:
    return Options(
        _is_same(options),
        stride=(options.StrideH(), options.StrideW()),
        dilation=(options.DilationHFactor(), options.DilationWFactor()),
        activation=_activation(options),
    )


def _pool(options: Any) -> Options:
    return Options(
        _is_same(options),
        stride=(options.StrideH(), options.StrideW()),
        window=(options.FilterHeight(), options.FilterWidth()),
        activation=_activation(options),
    )


def _linear(options: Any) -> Options:
    return Options(activation=_activation(options))


def _concatenation(options: Any) -> Options:
    return Options(activation=_activation(options), axis=options.Axis())


def _softmax(options: Any) -> Options:
    return Options(beta=float(options.Beta()))


def _is_same(options: Any) -> bool:
    if (value := options.Padding()) not in {tflite.Padding.SAME, tflite.Padding.VALID}:
        raise ModelError(f"a layer has padding {value}, neither SAME nor VALID; it is damaged")
    return bool(value == tflite.Padding.SAME)


def _activation(options: Any) -> str:
    value = options.FusedActivationFunction()
    return _ACTIVATIONS.get(value, f"activation {value}")


def _by_value(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


_KINDS, _TENSOR_KINDS = _by_value(tflite.BuiltinOperator), _by_value(tflite.TensorType)
_ACTIVATIONS = _by_value(tflite.ActivationFunctionType)

_READERS: dict[str, tuple[str, Callable[[Any], Options]]] = {
    "ADD": ("AddOptions", _linear),
    "AVERAGE_POOL_2D": ("Pool2DOptions", _pool),
    "CONCATENATION": ("ConcatenationOptions", _concatenation),
    "CONV_2D": ("Conv2DOptions", _convolution),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", _convolution),
    "DIV": ("DivOptions", _linear),
    "FULLY_CONNECTED": ("FullyConnectedOptions", _linear),
    "MUL": ("MulOptions", _linear),
    "SOFTMAX": ("SoftmaxOptions", _softmax),
    "SUB": ("SubOptions", _linear),
}
"""For each kind of operator whose options matter: the name of their table, and its reader."""
