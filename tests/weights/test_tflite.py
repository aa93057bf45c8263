"""TFLite files: what LiteRT computes is what the imported network computes, and nothing else is let in."""

import contextlib
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
import tflite
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from torch import nn

from mobilenet.errors import ModelError
from mobilenet.nn.layers import ConvUnit, GlobalAverage
from mobilenet.nn.model_file import build_network
from mobilenet.nn.network import Classifier
from mobilenet.runtimes.torch import TorchPredictor
from mobilenet.spec import Network, mobilenet_v1, mobilenet_v1_shallow
from mobilenet.weights.read import import_weights
from mobilenet.weights.recognise import Imported
from mobilenet.weights.tflite import read_tflite

_SHARED = Path(__file__).parents[3] / "shared"
_WEIGHTS = _SHARED / "weights"
_needs_weights = pytest.mark.skipif(not _WEIGHTS.is_dir(), reason="the official files, ../shared/weights, are not here")
_SMALL = mobilenet_v1(0.25, 32, 10)

File = Callable[..., Any]
Images = NDArray[np.uint8]


def _litert(path: Path, images: Images, mean: float = 127.5, std: float = 127.5) -> NDArray[np.float32]:
    """(N, R, R, 3) -> (N, outputs) of the engine that the file was made for."""
    engine = Interpreter(str(path), num_threads=1)
    engine.allocate_tensors()
    (given,), (made,) = engine.get_input_details(), engine.get_output_details()
    outputs = []
    for image in images:
        batch = image[None]
        if given["dtype"] == np.float32:
            batch = ((batch.astype(np.float32) - mean) / std).astype(np.float32)
        elif given["dtype"] == np.int8:
            batch = (batch.astype(np.int16) - 128).astype(np.int8)
        engine.set_tensor(given["index"], batch)
        engine.invoke()
        output = engine.get_tensor(made["index"]).reshape(-1)
        if made["dtype"] != np.float32:
            scale, zero_point = made["quantization"]
            output = np.float32(scale) * (output.astype(np.float32) - zero_point)
        outputs.append(output)
    return np.array(outputs)


def _network(imported: Imported) -> Classifier:
    tensors = {name: torch.from_numpy(values) for name, values in imported.tensors.items()}
    return build_network(imported.card, tensors, Path("imported"))


def _outputs(imported: Imported, network: nn.Module, images: Images) -> NDArray[np.float32]:
    """Probabilities, or the vectors of a backbone."""
    if imported.card.labels:
        found: NDArray[np.float32] = TorchPredictor(network, imported.card).predict(images)["probabilities"]
        return found
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    mean, std = imported.card.preprocessing.mean[0], imported.card.preprocessing.std[0]
    with torch.inference_mode():
        return np.asarray(network((pixels - mean) / std))


def _round_to_8_bits(network: nn.Module) -> None:
    """Make every layer end in 256 steps from 0 to 6, as LiteRT's 8-bit layers do."""
    step = 6 / 255
    for module in network.modules():
        if isinstance(module, ConvUnit | GlobalAverage):
            module.register_forward_hook(lambda _module, _args, out: torch.round(out / step).clamp(0, 255) * step)


def _photos(resolution: int, count: int = 8) -> Images:
    """Patches of colour of all sizes: more like photos than noise."""
    random = np.random.default_rng(1)
    images = np.zeros((count, resolution, resolution, 3), np.float64)
    for cells in (2, 4, 8, resolution):
        coarse = random.uniform(-1, 1, (count, cells, cells, 3))
        images += coarse.repeat(resolution // cells, 1).repeat(resolution // cells, 2)
    return np.clip(127 + 80 * images, 0, 255).astype(np.uint8)


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[bytes], Path]:
    def save(data: bytes) -> Path:
        path = tmp_path / "model.tflite"
        path.write_bytes(data)
        return path

    return save


@pytest.mark.parametrize(
    ("options", "padding", "activation"),
    [
        ({}, "tensorflow", "relu6"),
        ({"fused": "RELU", "pool": "MEAN", "head": "FULLY_CONNECTED"}, "tensorflow", "relu"),
        ({"pads": (0, 1)}, "tensorflow", "relu6"),
        ({"pads": (1, 1)}, "symmetric", "relu6"),
    ],
)
def test_float_files_give_the_same_probabilities(
    tflite_file: File, saved: Callable[[bytes], Path], options: dict[str, Any], padding: str, activation: str
) -> None:
    path = saved(tflite_file(**options).network(mobilenet_v1(0.25, 64, 10)).pack())
    imported = import_weights(path)
    style = imported.card.style
    assert (style.padding, style.activation, style.batch_norm) == (padding, activation, False)
    images = _photos(64)
    found, expected = _outputs(imported, _network(imported), images), _litert(path, images)
    assert np.ptp(expected, axis=0).max() > 0.1
    assert np.abs(found - expected).max() < 1e-5


def test_half_precision_files_are_read_as_they_are_stored(tflite_file: File, saved: Callable[[bytes], Path]) -> None:
    path = saved(tflite_file(half=True).network(_SMALL).pack())
    imported = import_weights(path)
    images = _photos(32)
    assert np.abs(_outputs(imported, _network(imported), images) - _litert(path, images)).max() < 1e-5


@pytest.mark.parametrize("network", [mobilenet_v1_shallow(0.35, 64, 7), mobilenet_v1(0.5, 64, 0)])
def test_other_tables_and_backbones(tflite_file: File, saved: Callable[[bytes], Path], network: Network) -> None:
    path = saved(tflite_file().network(network).pack())
    imported = import_weights(path)
    card = imported.card
    assert (card.architecture, card.width_multiplier) == (network.name, network.width_multiplier)
    assert len(card.labels) == network.classes
    images = _photos(64)
    assert np.abs(_outputs(imported, _network(imported), images) - _litert(path, images)).max() < 1e-4


@pytest.mark.parametrize("top", [6.0, 2.5])
@pytest.mark.parametrize("fused", ["RELU6", "NONE"])
@pytest.mark.parametrize("quantized", ["UINT8", "INT8"])
def test_8_bit_files_differ_by_rounding_alone(
    tflite_file: File, saved: Callable[[bytes], Path], quantized: str, fused: str, top: float
) -> None:
    path = saved(tflite_file(quantized=quantized, fused=fused, top=top).network(mobilenet_v1(0.25, 64, 10)).pack())
    imported = import_weights(path)
    assert imported.card.style.activation == "relu6"
    assert imported.card.preprocessing.mean == imported.card.preprocessing.std == (128.0, 128.0, 128.0)
    network = _network(imported)
    _round_to_8_bits(network)
    images = _photos(64)
    found, expected = _outputs(imported, network, images), _litert(path, images)
    assert np.ptp(expected, axis=0).max() > 0.1
    # The engine's whole-number multipliers and its logits in steps of 0.1 leave up to 0.008 on average; without the
    # factors that undo a range that ends at 2.5 it would be 0.15.
    assert np.abs(found - expected).mean() < 0.012


def test_ranges_above_6_without_an_activation_are_relu(tflite_file: File, saved: Callable[[bytes], Path]) -> None:
    for fused in ("NONE", "RELU"):
        imported = import_weights(saved(tflite_file(quantized="INT8", fused=fused, top=9.0).network(_SMALL).pack()))
        assert imported.card.style.activation == "relu"


def test_a_backbones_last_range_below_6_is_noted(tflite_file: File, saved: Callable[[bytes], Path]) -> None:
    file = tflite_file(quantized="UINT8", top=3.0).network(mobilenet_v1(0.25, 32, 0))
    assert "range ends at 3" in import_weights(saved(file.pack())).notes[0]


@pytest.mark.parametrize("quantized", ["UINT8", "INT8"])
def test_numbers_are_dequantised_exactly(tflite_file: File, saved: Callable[[bytes], Path], quantized: str) -> None:
    file = tflite_file(quantized=quantized).network(_SMALL)
    tensors = {tensor.name: tensor for tensor in file.graph.tensors}
    stem, *_ = read_tflite(saved(file.pack())).convs
    for name, found in (("stem/filters;fused", stem.filters.transpose(0, 2, 3, 1)), ("stem/bias", stem.bias)):
        tensor = tensors[name]
        kind = np.int32 if "bias" in name else np.dtype(quantized.lower())
        stored = file.model.buffers[tensor.buffer].data.view(kind).reshape(tensor.shape).astype(np.float32)
        scale = tensor.quantization.scale.reshape(-1, *[1] * (stored.ndim - 1))
        np.testing.assert_array_equal(found, scale * (stored - np.float32(tensor.quantization.zeroPoint[0])))


def test_names_inside_the_file_are_taken(
    tflite_file: File, saved: Callable[[bytes], Path], attach: Callable[..., bytes]
) -> None:
    data = tflite_file().network(_SMALL).pack()
    names = [f"name {number}" for number in range(10)]
    assert import_weights(saved(attach(data, "labels.txt", "\n".join(names)))).card.labels == tuple(names)
    other = import_weights(saved(attach(data, "labels.txt", "one\ntwo")))
    assert other.card.labels[9] == "class 9"
    assert "10 outputs and 2 class names" in other.notes[0]
    damaged = bytearray(attach(data, "labels.txt", "\n".join(names)))
    damaged[damaged.rindex(b"PK\1\2") + 42] ^= 255
    assert any("damaged" in note for note in import_weights(saved(bytes(damaged))).notes)


def _metadata(mean: list[float], std: list[float]) -> bytes:
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


def _with_metadata(file: Any, data: bytes) -> bytes:
    entry, buffer = schema.MetadataT(), schema.BufferT()
    buffer.data = np.frombuffer(data, np.uint8)
    file.model.buffers.append(buffer)
    entry.name, entry.buffer = "TFLITE_METADATA", len(file.model.buffers) - 1
    file.model.metadata = [entry]
    return bytes(file.pack())


def test_float_files_say_in_their_metadata_how_pixels_are_scaled(
    tflite_file: File, saved: Callable[[bytes], Path]
) -> None:
    data = _with_metadata(tflite_file().network(_SMALL), _metadata([124.0, 116.0, 104.0], [58.0]))
    imported = import_weights(saved(data))
    assert imported.card.preprocessing.mean == (124.0, 116.0, 104.0)
    assert imported.card.preprocessing.std == (58.0, 58.0, 58.0)
    assert not any("assumed" in note for note in imported.notes)
    broken = import_weights(saved(_with_metadata(tflite_file().network(_SMALL), b"x" * 40)))
    assert [note for note in broken.notes if "assumed" in note or "metadata" in note] == [
        "the metadata inside the file is damaged and was not read",
        "the file does not say how pixels are scaled; (pixel - 127.5) / 127.5 is assumed",
    ]


def _tensor(file: Any, name: str) -> Any:
    return next(tensor for tensor in file.graph.tensors if tensor.name.startswith(name))


def _operator(file: Any, kind: str) -> Any:
    number = getattr(schema.BuiltinOperator, kind)
    codes = file.model.operatorCodes
    return next(operator for operator in file.graph.operators if codes[operator.opcodeIndex].builtinCode == number)


def _other_operator(file: Any) -> None:
    code = file.model.operatorCodes[_operator(file, "SOFTMAX").opcodeIndex]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.LOGISTIC


def _custom_operator(file: Any) -> None:
    code = file.model.operatorCodes[0]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = "Gadget"


def _other_activation(file: Any) -> None:
    _operator(file, "CONV_2D").builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.TANH


def _dilated(file: Any) -> None:
    _operator(file, "DEPTHWISE_CONV_2D").builtinOptions.dilationHFactor = 2


def _two_strides(file: Any) -> None:
    _operator(file, "CONV_2D").builtinOptions.strideW = 1


def _partial_pool(file: Any) -> None:
    _operator(file, "AVERAGE_POOL_2D").builtinOptions.filterWidth = 0


def _loop(file: Any) -> None:
    file.graph.operators[5].inputs[0] = file.graph.operators[5].outputs[0]


def _beside(file: Any) -> None:
    file.graph.operators[3].inputs[0] = file.graph.operators[1].outputs[0]


def _no_softmax_but_other_output(file: Any) -> None:
    file.graph.outputs = [file.graph.operators[3].outputs[0]]


def _two_graphs(file: Any) -> None:
    file.model.subgraphs = [file.graph, file.graph]


def _shape(file: Any) -> None:
    _tensor(file, "block1.pointwise/filters").shape = [1, 1, 16, 8]


def _wrong_size(file: Any) -> None:
    _tensor(file, "block1.pointwise/filters").shape = [16, 1, 1, 9]


def _not_a_number(file: Any) -> None:
    file.model.buffers[_tensor(file, "block2.depthwise/filters").buffer].data = np.full(
        16 * 9, np.nan, np.float32
    ).view(np.uint8)


def _grey_photo(file: Any) -> None:
    _tensor(file, "image").shape = [1, 32, 32, 1]


def _wide_photo(file: Any) -> None:
    _tensor(file, "image").shape = [1, 32, 64, 3]


def _sparse(file: Any) -> None:
    _tensor(file, "block1").sparsity = schema.SparsityParametersT()


def _many_tensors(file: Any) -> None:
    file.graph.tensors += 4096 * [schema.TensorT()]


def _long_name(file: Any) -> None:
    _tensor(file, "block1").name = "x" * 10_001


def _beta(file: Any) -> None:
    _operator(file, "SOFTMAX").builtinOptions.beta = 2.0


def _short_bias(file: Any) -> None:
    operator = _operator(file, "CONV_2D")
    operator.inputs[2] = next(
        number for number, tensor in enumerate(file.graph.tensors) if tensor.name == "block1.pointwise/bias"
    )


_FAULTS: list[tuple[Callable[[Any], None], str]] = [
    (_other_operator, "operator LOGISTIC is not part of"),
    (_custom_operator, "operator Gadget is not part of"),
    (_other_activation, "stem/filters is followed by TANH"),
    (_dilated, "tensor block1.depthwise/filters has shape (1, 3, 3, 8), stride (1, 1), dilation (2, 1)"),
    (_two_strides, "tensor stem/filters has shape (8, 3, 3, 3), stride (2, 1)"),
    (_partial_pool, "an AVERAGE_POOL_2D is not the average over the plane of 1 x 1"),
    (_loop, "reads block3.depthwise, not the layer before it"),
    (_beside, "reads block1.depthwise, not the layer before it"),
    (_no_softmax_but_other_output, "the output is not the end of the chain"),
    (_two_graphs, "it holds 2 graphs"),
    (_shape, "tensor block1.pointwise/filters has shape (1, 1, 16, 8)"),
    (_wrong_size, "tensor block1.pointwise/filters has shape (16, 1, 1, 9) of FLOAT32, but 512 bytes"),
    (_not_a_number, "block2.depthwise.conv.weight of shape (16, 1, 3, 3) holds NaN"),
    (_grey_photo, "tensor image has shape (1, 32, 32, 1)"),
    (_wide_photo, "tensor image has shape (1, 32, 64, 3)"),
    (_sparse, "is sparse"),
    (_many_tensors, "tensors, more than 4,096; it is damaged, or no MobileNet V1"),
    (_long_name, "it has a name of 10,001 bytes; it is damaged"),
    (_beta, "beta 2"),
    (_short_bias, "tensor block1.pointwise/bias has shape (16,)"),
]


@pytest.mark.parametrize(("damage", "fault"), _FAULTS, ids=lambda value: getattr(value, "__name__", ""))
def test_what_is_not_understood_is_refused_by_name(
    tflite_file: File, saved: Callable[[bytes], Path], damage: Callable[[Any], None], fault: str
) -> None:
    file = tflite_file().network(_SMALL)
    damage(file)
    path = saved(file.pack())
    with pytest.raises(ModelError) as caught:
        import_weights(path)
    assert fault in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
def test_scales_that_are_none_are_refused(tflite_file: File, saved: Callable[[bytes], Path], scale: float) -> None:
    file = tflite_file(quantized="INT8").network(_SMALL)
    _tensor(file, "block1.pointwise/filters").quantization.scale[3] = scale
    with pytest.raises(ModelError, match=r"block1.pointwise/filters of shape .* scale that is no number above 0"):
        import_weights(saved(file.pack()))


def test_layers_that_share_their_bytes_take_no_more_memory_than_the_file(
    tflite_file: File, saved: Callable[[bytes], Path]
) -> None:
    file = tflite_file(quantized="UINT8").network(mobilenet_v1(1.0, 32, 10))
    shared = _tensor(file, "block7.pointwise/filters")
    for number in (8, 9, 10, 11):
        other = _tensor(file, f"block{number}.pointwise/filters")
        file.model.buffers[other.buffer].data = None
        other.buffer = shared.buffer
    with pytest.raises(ModelError, match="its layers share their values"):
        import_weights(saved(file.pack()))


def _tables(data: bytes) -> NDArray[np.int64]:
    """Where the bytes of a TFLite file lie that are no constant's values: most of it is filters, whose values do not
    matter to a reader."""
    model = tflite.Model.GetRootAs(data, 0)
    start = np.frombuffer(data, np.uint8).__array_interface__["data"][0]
    inside = np.zeros(len(data), bool)
    for number in range(model.BuffersLength()):
        values = model.Buffers(number).DataAsNumpy()
        if isinstance(values, np.ndarray):
            place = values.__array_interface__["data"][0] - start
            inside[place : place + len(values)] = True
    return np.flatnonzero(~inside)


def _mutated(data: bytes, places: NDArray[np.int64], random: np.random.Generator) -> bytes:
    """Cut short, or with a few bytes, or one whole number, of another value; nine of ten changes at `places`."""
    if random.random() < 0.1:
        return data[: random.integers(len(data))]
    changed = bytearray(data)
    for _ in range(random.integers(1, 9)):
        place = int(random.choice(places)) if random.random() < 0.9 else int(random.integers(len(data)))
        if random.random() < 0.5:
            changed[place] = random.integers(256)
        else:
            number = int(random.choice([0, 1, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1]))
            changed[place : place + 4] = number.to_bytes(4, "little")
    return bytes(changed)


def test_damage_ends_in_one_line_or_in_a_right_import(
    tflite_file: File, saved: Callable[[bytes], Path], attach: Callable[..., bytes]
) -> None:
    file = tflite_file(quantized="INT8").network(_SMALL)
    data = attach(_with_metadata(file, _metadata([0.0], [1.0])), "labels.txt", "\n".join(map(str, range(10))))
    random, places, refused = np.random.default_rng(2), _tables(data), 0
    for number in range(300):
        path = saved(_mutated(data, places, random))
        # Counting memory takes most of the time: of every fifth file is enough.
        with _memory_at_most(4 * len(data) + 64 * 2**20) if number % 5 == 0 else contextlib.nullcontext():
            try:
                assert import_weights(path).card.network().classes in {0, 10}
            except ModelError as error:
                refused += 1
                assert len(str(error).splitlines()) == 1  # noqa: PT017 - most are refused, some are right
    assert 50 < refused < 300


@contextlib.contextmanager
def _memory_at_most(limit: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] <= limit
    finally:
        tracemalloc.stop()


@_needs_weights
def test_the_official_float_file_gives_litert_probabilities() -> None:
    path = _WEIGHTS / "mobilenet_v1_0.25_224_1_default_1.tflite"
    imported = import_weights(path, labels=_WEIGHTS / "imagenet_labels.txt")
    assert imported.card.labels[:2] == ("background", "tench, Tinca tinca")
    images = _clothing(imported, 20)
    found, expected = _outputs(imported, _network(imported), images), _litert(path, images)
    assert np.abs(found - expected).max() <= 1e-4
    assert (found.argmax(1) == expected.argmax(1)).all()


@_needs_weights
@pytest.mark.parametrize("name", ["0.25_128", "0.5_160"])
def test_official_8_bit_files_differ_by_rounding_alone(name: str) -> None:
    path = _WEIGHTS / f"mobilenet_v1_{name}_quant.tflite"
    imported = import_weights(path)
    images = _clothing(imported, 20)
    network = _network(imported)
    expected = _litert(path, images)
    plain = _outputs(imported, network, images)
    _round_to_8_bits(network)
    rounded = _outputs(imported, network, images)
    assert _agreement(plain, expected) >= 0.8
    assert _agreement(rounded, expected) >= 0.95


@_needs_weights
def test_the_official_backbone_gives_litert_vectors() -> None:
    path = _WEIGHTS / "mobilenet_v1_1.0_224_quant_embedding_extractor.tflite"
    imported = import_weights(path)
    assert imported.card.labels == ()
    images = _clothing(imported, 6)
    network = _network(imported)
    _round_to_8_bits(network)
    found, expected = _outputs(imported, network, images), _litert(path, images)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.99


@_needs_weights
def test_a_detector_is_refused_by_its_operator() -> None:
    with pytest.raises(ModelError, match="operator CONCATENATION is not part of a MobileNet V1 classifier"):
        import_weights(_WEIGHTS / "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite")


def _clothing(imported: Imported, count: int) -> Images:
    photos = sorted((_SHARED / "data" / "clothing" / "validation").rglob("*.jpg"))
    return np.stack([imported.card.preprocessing.prepare(photo) for photo in photos[:: len(photos) // count][:count]])


def _agreement(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Share of photos whose first answer is one of LiteRT's first: 8-bit probabilities are often equal."""
    firsts = expected[np.arange(len(found)), found.argmax(1)]
    return float((firsts == expected.max(1)).mean())
