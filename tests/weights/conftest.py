"""TFLite files made from our own tables, with random numbers, for LiteRT to run and for the reader to read."""

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from mobilenet.spec import Conv, GlobalPool, Linear, Network, Row

_OPTIONS = {
    "CONV_2D": (schema.Conv2DOptionsT, schema.BuiltinOptions.Conv2DOptions),
    "DEPTHWISE_CONV_2D": (schema.DepthwiseConv2DOptionsT, schema.BuiltinOptions.DepthwiseConv2DOptions),
    "AVERAGE_POOL_2D": (schema.Pool2DOptionsT, schema.BuiltinOptions.Pool2DOptions),
    "FULLY_CONNECTED": (schema.FullyConnectedOptionsT, schema.BuiltinOptions.FullyConnectedOptions),
    "ADD": (schema.AddOptionsT, schema.BuiltinOptions.AddOptions),
    "CAST": (schema.CastOptionsT, schema.BuiltinOptions.CastOptions),
    "DIV": (schema.DivOptionsT, schema.BuiltinOptions.DivOptions),
    "MUL": (schema.MulOptionsT, schema.BuiltinOptions.MulOptions),
    "PACK": (schema.PackOptionsT, schema.BuiltinOptions.PackOptions),
    "SHAPE": (schema.ShapeOptionsT, schema.BuiltinOptions.ShapeOptions),
    "STRIDED_SLICE": (schema.StridedSliceOptionsT, schema.BuiltinOptions.StridedSliceOptions),
    "SUB": (schema.SubOptionsT, schema.BuiltinOptions.SubOptions),
    "MEAN": (schema.ReducerOptionsT, schema.BuiltinOptions.ReducerOptions),
    "SOFTMAX": (schema.SoftmaxOptionsT, schema.BuiltinOptions.SoftmaxOptions),
}

_INT8_VERSIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "AVERAGE_POOL_2D": 2, "SOFTMAX": 2}


@dataclass
class TfliteFile:
    """A file in the making; each method adds to it and gives the number of the tensor that is new.

    `pads`: SAME, or a PAD of these widths before layers with a stride. `quantized` is none, UINT8 (one scale a tensor)
    or INT8 (one a channel); then every layer's range ends at `top`. `half`: float16 behind a DEQUANTIZE. `scaling`:
    operators by constants before the first layer, whose filters are multiplied by `gain`. `computed`: the shape of the
    logits is computed from themselves, as TensorFlow 2 does. `end`: the last operator.
    """

    pads: tuple[int, int] | None = None
    fused: str = "RELU6"
    quantized: str | None = None
    top: float = 6.0
    half: bool = False
    pool: str = "AVERAGE_POOL_2D"
    head: str = "CONV_2D"
    scaling: tuple[tuple[str, Any], ...] = ()
    gain: float = 1.0
    computed: bool = False
    end: str = "SOFTMAX"
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def __post_init__(self) -> None:
        self.model = schema.ModelT()
        self.graph = schema.SubGraphT()
        self.model.version, self.model.subgraphs, self.model.operatorCodes = 3, [self.graph], []
        self.model.buffers = [schema.BufferT()]
        self.graph.tensors, self.graph.operators, self.graph.inputs, self.graph.outputs = [], [], [], []

    def pack(self) -> bytes:
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def tensor(
        self,
        name: str,
        shape: tuple[int, ...],
        kind: str,
        values: NDArray[Any] | None = None,
        scale: Any = None,
        zero_point: int = 0,
        axis: int = 0,
    ) -> int:
        tensor, buffer = schema.TensorT(), schema.BufferT()
        if values is not None:
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        tensor.name, tensor.shape, tensor.type = name, list(shape), getattr(schema.TensorType, kind)
        tensor.buffer = len(self.model.buffers) - 1
        if scale is not None:
            scales = np.atleast_1d(np.asarray(scale, np.float32))
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = scales
            tensor.quantization.zeroPoint = np.full(len(scales), zero_point, np.int64)
            tensor.quantization.quantizedDimension = axis
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(self, kind: str, inputs: list[int], output: int, **options: Any) -> int:
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = getattr(schema.BuiltinOperator, kind)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = _INT8_VERSIONS.get(kind, 1) if self.quantized == "INT8" else 1
        self.model.operatorCodes.append(code)
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs, operator.outputs = inputs, [output]
        if kind in _OPTIONS:
            make, operator.builtinOptionsType = _OPTIONS[kind]
            operator.builtinOptions = make()
            for name, value in options.items():
                setattr(operator.builtinOptions, name, value)
        self.graph.operators.append(operator)
        return output

    def activations(self, name: str, shape: tuple[int, ...], scale: float | None = None, zero_point: int = 0) -> int:
        """`zero_point` as if numbers began at 0."""
        if self.quantized is None:
            return self.tensor(name, shape, "FLOAT32")
        return self.tensor(name, shape, self.quantized, scale=scale, zero_point=zero_point + self.lowest)

    @property
    def lowest(self) -> int:
        return -128 if self.quantized == "INT8" else 0

    def weights(self, name: str, values: NDArray[np.float32], axis: int) -> tuple[int, Any]:
        """(out, in, height, width) in the file's order `values`; the scale where quantised."""
        if self.quantized is None:
            if not self.half:
                return self.tensor(name, values.shape, "FLOAT32", values), None
            packed = self.tensor(f"{name}/half", values.shape, "FLOAT16", values.astype(np.float16))
            return self.operator("DEQUANTIZE", [packed], self.tensor(name, values.shape, "FLOAT32")), None
        others = tuple(a for a in range(values.ndim) if a != axis)
        if self.quantized == "INT8":
            scale = (np.abs(values).max(others) / 127).astype(np.float32)
            rounded = np.round(values / np.expand_dims(scale, others)).astype(np.int8)
            return self.tensor(name, values.shape, "INT8", rounded, scale, 0, axis), scale
        scale = np.float32((values.max() - values.min()) / 255)
        zero_point = int(np.round(-values.min() / scale))
        rounded = np.clip(np.round(values / scale) + zero_point, 0, 255).astype(np.uint8)
        return self.tensor(name, values.shape, "UINT8", rounded, scale, zero_point), scale

    def bias(self, name: str, values: NDArray[np.float32], scale: Any) -> int:
        if scale is None:
            return self.tensor(name, values.shape, "FLOAT32", values)
        return self.tensor(name, values.shape, "INT32", np.round(values / scale).astype(np.int32), scale)

    def network(self, network: Network) -> "TfliteFile":
        """All layers of `network`, in order."""
        side, self.scale = network.resolution, 1 / 128
        current = self.activations("image", (1, side, side, 3), self.scale, 128)
        self.graph.inputs = [current]
        for kind, number in self.scaling:
            current = self._scaled(kind, np.asarray(number, np.float32), current)
        for row in network.rows:
            current, side = self._row(row, current, side)
        if network.classes:
            output = self.activations("probabilities", (1, network.classes), 1 / 256)
            current = self.operator(self.end, [current], output, **({"beta": 1.0} if self.end == "SOFTMAX" else {}))
        self.graph.outputs = [current]
        return self

    def _scaled(self, kind: str, number: NDArray[np.float32], current: int) -> int:
        constant = self.tensor(f"scaling/{kind}", number.shape, "FLOAT32", number)
        return self.operator(kind, [current, constant], self.tensor(kind, self.graph.tensors[current].shape, "FLOAT32"))

    def _row(self, row: Row, current: int, side: int) -> tuple[int, int]:
        match row:
            case Conv():
                return self._conv(row, current, side)
            case GlobalPool():
                return self._pool(current, side), 1
            case Linear():
                return self._linear(row, current), 1
        raise AssertionError(row)

    def _conv(self, row: Conv, current: int, side: int) -> tuple[int, int]:
        size, depthwise = int(np.max(row.kernel_size)), row.groups > 1
        shape = (row.out_channels, size, size, row.in_channels // row.groups)
        fan_in = size * size * shape[3]
        # Sums over channels would be the same for all photos after so many layers: filters look at differences.
        values = self.random.standard_normal(shape).astype(np.float32) * np.float32(np.sqrt(3 / fan_in))
        values -= 0 if depthwise else values.mean((1, 2, 3), keepdims=True)
        values *= np.float32(self.gain if row.in_channels == 3 else 1)
        filters, scale = self.weights(
            f"{row.name}/filters;fused", values.transpose(3, 1, 2, 0) if depthwise else values, 3 if depthwise else 0
        )
        bias = (self.random.standard_normal(row.out_channels) * 0.2).astype(np.float32)
        inputs = [filters, self.bias(f"{row.name}/bias", bias, None if scale is None else scale * self.scale)]
        padded = self.pads is not None and row.stride > 1
        if padded:
            table = np.array([(0, 0), self.pads, self.pads, (0, 0)], np.int32)
            pads = self.tensor("pads", (4, 2), "INT32", table)
            wide = self.activations("padded", (1, side + 3, side + 3, row.in_channels), self.scale)
            self.graph.tensors[wide].shape = [1, side + sum(table[1]), side + sum(table[1]), row.in_channels]
            current = self.operator("PAD", [current, pads], wide)
        out = -(-side // row.stride)
        self.scale = self.top / 255
        output = self.activations(row.name, (1, out, out, row.out_channels), self.scale)
        self.operator(
            "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D",
            [current, *inputs],
            output,
            padding=schema.Padding.VALID if padded else schema.Padding.SAME,
            strideH=row.stride,
            strideW=row.stride,
            dilationHFactor=1,
            dilationWFactor=1,
            fusedActivationFunction=getattr(schema.ActivationFunctionType, self.fused),
        )
        return output, out

    def _pool(self, current: int, side: int) -> int:
        channels = self.graph.tensors[current].shape[3]
        output = self.activations("pool", (1, 1, 1, channels), self.scale)
        if self.pool == "MEAN":
            axes = self.tensor("axes", (2,), "INT32", np.array([1, 2], np.int32))
            return self.operator("MEAN", [current, axes], output, keepDims=True)
        sides = dict.fromkeys(("filterHeight", "filterWidth", "strideH", "strideW"), side)
        return self.operator("AVERAGE_POOL_2D", [current], output, padding=schema.Padding.VALID, **sides)

    def _linear(self, row: Linear, current: int) -> int:
        values = self.random.standard_normal((row.out_features, row.in_features)).astype(np.float32) * 0.4
        convolution = self.head == "CONV_2D"
        matrix, scale = self.weights("classifier/matrix", values[:, None, None] if convolution else values, 0)
        number = np.arange(row.out_features, dtype=np.float32) / 100
        bias = self.bias("classifier/bias", number, None if scale is None else scale * self.scale)
        shape = (1, 1, 1, row.out_features) if convolution else (1, row.out_features)
        output = self.activations("logits", shape, 0.1, 128)
        if not convolution:
            flat = self.activations("flat", (1, row.in_features), self.scale)
            sides = self.tensor("flat/shape", (2,), "INT32", np.array([1, row.in_features], np.int32))
            current = self.operator("RESHAPE", [current, sides], flat)
            return self.operator("FULLY_CONNECTED", [current, matrix, bias], output)
        steps = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
        self.operator("CONV_2D", [current, matrix, bias], output, **steps)
        if self.computed:
            return self._reshaped(output, row.out_features)
        return self.operator("SQUEEZE", [output], self.activations("flat", (1, row.out_features), 0.1, 128))

    def _reshaped(self, logits: int, classes: int) -> int:
        """(N, 1, 1, classes) -> (N, classes), with N taken from the shape of the logits."""

        def integers(name: str, *values: int) -> int:
            return self.tensor(name, (len(values),), "INT32", np.array(values, np.int32))

        shape = self.operator("SHAPE", [logits], self.tensor("shape", (4,), "INT32"), outType=schema.TensorType.INT32)
        ends = [integers("begin", 0), integers("end", 1), integers("step", 1)]
        count = self.operator("STRIDED_SLICE", [shape, *ends], self.tensor("N", (), "INT32"), shrinkAxisMask=1)
        width = self.tensor("classes", (), "INT32", np.array(classes, np.int32))
        sides = self.operator("PACK", [count, width], self.tensor("sides", (2,), "INT32"), valuesCount=2)
        return self.operator("RESHAPE", [logits, sides], self.activations("flat", (1, classes), 0.1, 128))


def with_archive(data: bytes, name: str, content: str) -> bytes:
    """The file with a zip archive behind it, as class names are attached."""
    file = io.BytesIO(data)
    file.seek(0, io.SEEK_END)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(name, content)
    return file.getvalue()


def metadata(mean: list[float], std: list[float]) -> bytes:
    """Metadata that say how pixels are scaled: root, graph, input, step, numbers."""
    builder = flatbuffers.Builder(256)

    def vector(width: int, prepend: Callable[[Any], None], values: list[Any]) -> int:
        builder.StartVector(width, len(values), 4)
        for value in reversed(values):
            prepend(value)
        return int(builder.EndVector())

    def table(fields: int, **slots: int) -> int:
        builder.StartObject(fields)
        for slot, offset in slots.items():
            builder.PrependUOffsetTRelativeSlot(int(slot[1:]), offset, 0)
        return int(builder.EndObject())

    numbers = [vector(4, builder.PrependFloat32, values) for values in (mean, std)]
    options = table(2, _0=numbers[0], _1=numbers[1])
    builder.StartObject(2)
    builder.PrependUint8Slot(0, 1, 0)
    builder.PrependUOffsetTRelativeSlot(1, options, 0)
    inner = int(builder.EndObject())
    for fields, slot in ((7, "_4"), (9, "_2"), (8, "_3")):
        inner = table(fields, **{slot: vector(4, builder.PrependUOffsetTRelative, [inner])})
    builder.Finish(inner, b"M001")
    return bytes(builder.Output())


def with_metadata(file: TfliteFile, data: bytes) -> bytes:
    entry, buffer = schema.MetadataT(), schema.BufferT()
    buffer.data = np.frombuffer(data, np.uint8)
    file.model.buffers.append(buffer)
    entry.name, entry.buffer = "TFLITE_METADATA", len(file.model.buffers) - 1
    file.model.metadata = [entry]
    return file.pack()


@pytest.fixture
def tflite_file() -> type[TfliteFile]:
    """`tflite_file(quantized="INT8").network(mobilenet_v1(0.25, 32, 10)).pack()`: the bytes of a file."""
    return TfliteFile


@pytest.fixture
def attach() -> Callable[[bytes, str, str], bytes]:
    """`attach(data, "labels.txt", "a\\nb")`: class names inside a file."""
    return with_archive


@pytest.fixture
def scaled() -> Callable[..., bytes]:
    """`scaled(file, [127.5], [127.5])`: the bytes of a file that says how pixels are scaled."""
    return lambda file, mean, std: with_metadata(file, metadata(mean, std))


@pytest.fixture
def described() -> Callable[[TfliteFile, bytes], bytes]:
    """`described(file, data)`: the bytes of a file with these metadata."""
    return with_metadata


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[bytes], Path]:
    """`saved(data)`: the path of a TFLite file of these bytes."""

    def save(data: bytes) -> Path:
        path = tmp_path / "model.tflite"
        path.write_bytes(data)
        return path

    return save
