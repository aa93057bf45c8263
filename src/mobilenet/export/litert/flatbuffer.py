"""Builder for a TFLite file: tensors, operators, constants, and the flatbuffer that holds them.

The tables of the schema are those of the package `tflite`. As in files of TensorFlow's converter, constants are aligned
to 16 bytes; in addition, equal constants and equal vectors are written once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
import tflite
from numpy.typing import NDArray

__all__ = ["POST_PROCESS", "Affine", "Options", "TfliteFile"]

_SCHEMA = 3
_IDENTIFIER = b"TFL3"
_ALIGNMENT = 16
"""Bytes; required by the schema for the data of a buffer."""

_KINDS = {"float32": "FLOAT32", "int8": "INT8", "int32": "INT32"}

_LARGEST_OLD_CODE = 127
"""Operator codes used to be one byte, which old readers still use."""

POST_PROCESS = "TFLite_Detection_PostProcess"
"""Decodes and suppresses boxes; part of every build of LiteRT, though not of the schema."""

_CUSTOM = (POST_PROCESS,)
"""Operators that are not in the schema."""

_CUSTOM_VERSION = 1

_MIN_RUNTIME = "min_runtime_version"
_LENGTH_OF_VERSION = 16
"""Bytes, zero-padded, as written by TensorFlow's converter."""

_RUNTIMES = {
    ("CONCATENATION", 1): (1, 5, 0),
    ("CONCATENATION", 2): (1, 14, 0),
    ("CONV_2D", 1): (1, 5, 0),
    ("CONV_2D", 3): (1, 14, 0),
    ("DEPTHWISE_CONV_2D", 1): (1, 5, 0),
    ("DEPTHWISE_CONV_2D", 3): (1, 14, 0),
    ("DEQUANTIZE", 1): (1, 13, 1),
    ("DEQUANTIZE", 2): (1, 14, 0),
    ("FULLY_CONNECTED", 1): (1, 5, 0),
    ("FULLY_CONNECTED", 12): (2, 17, 0),
    ("L2_NORMALIZATION", 1): (1, 5, 0),
    ("LOGISTIC", 1): (1, 14, 0),
    ("MEAN", 1): (1, 6, 0),
    ("MEAN", 2): (1, 14, 0),
    ("PAD", 1): (1, 5, 0),
    ("PAD", 2): (1, 14, 0),
    ("QUANTIZE", 1): (1, 14, 0),
    ("RESHAPE", 1): (1, 5, 0),
    ("SOFTMAX", 1): (1, 5, 0),
    ("SUB", 1): (1, 6, 0),
    (POST_PROCESS, _CUSTOM_VERSION): (1, 11, 0),
}
"""The first TensorFlow Lite that supports an operator in this version (LiteRT, tools/versioning/runtime_version.cc)."""


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """real = scales × (q - zero_point), with `scales` (1,) for the tensor or (S,) along `axis`."""

    scales: NDArray[np.float32]
    zero_point: int = 0
    axis: int = 0


@dataclass(frozen=True, slots=True)
class Options:
    """The options of an operator: the name of their table in the schema, and its fields."""

    table: str
    fields: Mapping[str, int | float | bool]


@dataclass(frozen=True, slots=True, eq=False)
class _Tensor:
    name: str
    shape: tuple[int, ...]
    kind: str
    buffer: int
    quantization: Affine | None


@dataclass(frozen=True, slots=True)
class _Operator:
    """`custom` are the options of an operator that is not in the schema, whose code is its own name."""

    code: tuple[str, int]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Options | None = None
    custom: bytes | None = None


class TfliteFile:
    """Each method adds to the file; tensors are identified by their numbers."""

    def __init__(self) -> None:
        self._tensors: list[_Tensor] = []
        self._operators: list[_Operator] = []
        self._buffers: dict[bytes, int] = {b"": 0}

    def tensor(self, name: str, shape: Sequence[int], kind: str, quantization: Affine | None = None) -> int:
        """A tensor that is computed; `kind` is a name of the schema's TensorType."""
        return self._add(_Tensor(name, tuple(shape), kind, 0, quantization))

    def constant(self, name: str, values: NDArray[Any], quantization: Affine | None = None) -> int:
        """A constant tensor: `values` (...,), of any shape, float32, int8 or int32."""
        little = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
        return self._add(
            _Tensor(name, values.shape, _KINDS[values.dtype.name], self._buffer(little.tobytes()), quantization)
        )

    def operator(
        self, kind: str, version: int, inputs: Sequence[int], output: int, options: Options | None = None
    ) -> int:
        """Compute `output` by the operator called `kind` in the schema; returns `output`."""
        self._operators.append(_Operator((kind, version), tuple(inputs), (output,), options))
        return output

    def custom(self, kind: str, inputs: Sequence[int], outputs: Sequence[int], options: bytes) -> None:
        """Compute `outputs` by an operator that is not in the schema; `options` are a flexbuffer."""
        self._operators.append(_Operator((kind, _CUSTOM_VERSION), tuple(inputs), tuple(outputs), custom=options))

    def pack(self, given: int, made: Sequence[int], *, description: str, metadata: Mapping[str, bytes]) -> bytes:
        """The file: a graph from tensor `given` to the tensors `made`, with metadata by name."""
        entries = {**metadata, _MIN_RUNTIME: self._min_runtime().encode().ljust(_LENGTH_OF_VERSION, b"\0")}
        numbers = {name: self._buffer(data) for name, data in entries.items()}
        packing = _Packing(sum(map(len, self._buffers)))
        buffers = packing.tables([packing.buffer(data) for data in self._buffers])
        graph = self._graph(packing, given, made)
        codes = packing.tables([_code(packing, *code) for code in self._codes()])
        signature = self._signature(packing, given, made)
        places = [packing.table("Metadata", Name=packing.text(name), Buffer=n) for name, n in numbers.items()]
        model = packing.table(
            "Model",
            Version=_SCHEMA,
            OperatorCodes=codes,
            Subgraphs=packing.tables([graph]),
            Description=packing.text(description),
            Buffers=buffers,
            Metadata=packing.tables(places),
            SignatureDefs=packing.tables([signature]),
        )
        return packing.finish(model)

    def _add(self, tensor: _Tensor) -> int:
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def _buffer(self, data: bytes) -> int:
        return self._buffers.setdefault(data, len(self._buffers))

    def _codes(self) -> list[tuple[str, int]]:
        return list(dict.fromkeys(operator.code for operator in self._operators))

    def _min_runtime(self) -> str:
        return ".".join(map(str, max(_RUNTIMES[code] for code in self._codes())))

    def _graph(self, packing: "_Packing", given: int, made: Sequence[int]) -> int:
        codes = self._codes()
        tensors = packing.tables([_tensor(packing, tensor) for tensor in self._tensors])
        operators = packing.tables([_operator(packing, item, codes.index(item.code)) for item in self._operators])
        return packing.table(
            "SubGraph",
            Tensors=tensors,
            Inputs=packing.vector([given], np.int32),
            Outputs=packing.vector(made, np.int32),
            Operators=operators,
            Name=packing.text("main"),
        )

    def _signature(self, packing: "_Packing", given: int, made: Sequence[int]) -> int:
        """Names of input and outputs for callers that use names: those of the tensors."""
        ends = [
            packing.tables(
                [packing.table("TensorMap", Name=packing.text(self._tensors[n].name), TensorIndex=n) for n in tensors]
            )
            for tensors in ([given], made)
        ]
        key = packing.text("serving_default")
        return packing.table("SignatureDef", Inputs=ends[0], Outputs=ends[1], SignatureKey=key, SubgraphIndex=0)


def _tensor(packing: "_Packing", tensor: _Tensor) -> int:
    fields: dict[str, Any] = {
        "Shape": packing.vector(tensor.shape, np.int32),
        "Type": getattr(tflite.TensorType, tensor.kind),
        "Buffer": tensor.buffer,
        "Name": packing.text(tensor.name),
    }
    if (affine := tensor.quantization) is not None:
        fields["Quantization"] = packing.table(
            "QuantizationParameters",
            Scale=packing.vector(affine.scales, np.float32),
            ZeroPoint=packing.vector([affine.zero_point] * affine.scales.size, np.int64),
            QuantizedDimension=affine.axis,
        )
    return packing.table("Tensor", **fields)


def _operator(packing: "_Packing", operator: _Operator, code: int) -> int:
    fields: dict[str, Any] = {
        "OpcodeIndex": code,
        "Inputs": packing.vector(operator.inputs, np.int32),
        "Outputs": packing.vector(operator.outputs, np.int32),
    }
    if operator.custom is not None:
        fields["CustomOptions"] = packing.vector(np.frombuffer(operator.custom, np.uint8), np.uint8)
    if operator.options is not None:
        fields["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, operator.options.table)
        fields["BuiltinOptions"] = packing.table(operator.options.table, **operator.options.fields)
    return packing.table("Operator", **fields)


def _code(packing: "_Packing", kind: str, version: int) -> int:
    if kind in _CUSTOM:
        number = tflite.BuiltinOperator.CUSTOM
        name = packing.text(kind)
        return packing.table(
            "OperatorCode", DeprecatedBuiltinCode=number, Version=version, BuiltinCode=number, CustomCode=name
        )
    number = getattr(tflite.BuiltinOperator, kind)
    old = min(number, _LARGEST_OLD_CODE)
    return packing.table("OperatorCode", DeprecatedBuiltinCode=old, Version=version, BuiltinCode=number)


class _Packing:
    """A flatbuffers.Builder that takes tables by the names of their fields, and writes equal parts once."""

    def __init__(self, size: int) -> None:
        self._builder = flatbuffers.Builder(size + 2**16)
        self._written: dict[tuple[str, bytes], int] = {}

    def text(self, text: str) -> int:
        return self._once("text", text.encode(), self._builder.CreateString)

    def vector(self, values: Any, dtype: type[np.generic]) -> int:
        numbers = np.asarray(values, dtype)
        return self._once(
            numbers.dtype.name, numbers.tobytes(), lambda _: self._builder.CreateNumpyVector(numbers.ravel())
        )

    def tables(self, offsets: Sequence[int]) -> int:
        self._builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        return int(self._builder.EndVector())

    def table(self, kind: str, **fields: Any) -> int:
        getattr(tflite, f"{kind}Start")(self._builder)
        for name, value in fields.items():
            getattr(tflite, f"{kind}Add{name}")(self._builder, value)
        return int(getattr(tflite, f"{kind}End")(self._builder))

    def buffer(self, data: bytes) -> int:
        return self.table("Buffer", Data=self._aligned(data)) if data else self.table("Buffer")

    def finish(self, model: int) -> bytes:
        self._builder.Finish(model, _IDENTIFIER)
        return bytes(self._builder.Output())

    def _once(self, kind: str, data: bytes, write: Callable[[bytes], Any]) -> int:
        key = kind, data
        if key not in self._written:
            self._written[key] = int(write(data))
        return self._written[key]

    def _aligned(self, data: bytes) -> int:
        """A vector of bytes aligned to 16 bytes, which the builder's own method cannot do."""
        builder = self._builder
        builder.StartVector(1, len(data), _ALIGNMENT)
        builder.head = builder.Head() - len(data)
        builder.Bytes[builder.Head() : builder.Head() + len(data)] = data
        return int(builder.EndVector())
