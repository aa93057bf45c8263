"""TFLite files: what LiteRT computes is what the imported network computes."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from torch import nn

from mobilenet.errors import ModelError
from mobilenet.images.preprocessing import Preprocessing
from mobilenet.nn.layers import ConvUnit, GlobalAverage
from mobilenet.nn.model_file import build_network
from mobilenet.nn.network import TableNetwork
from mobilenet.runtimes.torch import TorchPredictor
from mobilenet.spec import Network, mobilenet_v1, mobilenet_v1_shallow
from mobilenet.tasks import card_ending_in
from mobilenet.weights.match import Imported
from mobilenet.weights.read import import_backbone, import_weights
from mobilenet.weights.tflite.read import read_tflite

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


def _network(imported: Imported) -> TableNetwork:
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
        x = (pixels - mean) / std
        return np.asarray(network(x)["probabilities"] if network.outputs else network.features(x))


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


@pytest.mark.parametrize("quantized", [None, "INT8"])
def test_a_shape_computed_from_the_logits_changes_nothing(
    tflite_file: File, saved: Callable[[bytes], Path], quantized: str | None
) -> None:
    images = _photos(32)
    plain = _outputs_of(saved(tflite_file(quantized=quantized).network(_SMALL).pack()), images)
    path = saved(tflite_file(quantized=quantized, computed=True).network(_SMALL).pack())
    assert np.array_equal(_outputs_of(path, images), plain)
    assert np.abs(_litert(path, images) - plain).max() < (1e-5 if quantized is None else 0.1)


def _outputs_of(path: Path, images: Images) -> NDArray[np.float32]:
    imported = import_weights(path)
    return _outputs(imported, _network(imported), images)


@pytest.mark.parametrize(
    ("scaling", "mean", "std"),
    [
        ((("MUL", 1 / 127.5), ("SUB", 1.0)), 127.5, 127.5),
        ((("MUL", 1 / 127.5), ("ADD", -1.0)), 127.5, 127.5),
        ((("DIV", 255.0),), 0.0, 255.0),
        ((("SUB", [123.0, 117.0, 104.0]), ("DIV", [58.0, 57.0, 56.0])), (123.0, 117.0, 104.0), (58.0, 57.0, 56.0)),
    ],
)
def test_scaling_inside_the_file_becomes_the_preprocessing(
    tflite_file: File, saved: Callable[[bytes], Path], scaling: Any, mean: Any, std: Any
) -> None:
    path = saved(tflite_file(scaling=scaling).network(_SMALL).pack())
    imported = import_weights(path)
    assert imported.card.preprocessing.mean == pytest.approx(np.broadcast_to(mean, 3), rel=1e-6)
    assert imported.card.preprocessing.std == pytest.approx(np.broadcast_to(std, 3), rel=1e-6)
    assert imported.notes == ()
    images = _photos(32)
    found = TorchPredictor(_network(imported), imported.card).predict(images)["probabilities"]
    assert np.abs(found - _litert(path, images, 0, 1)).max() < 1e-5


def test_scaling_of_pixels_that_are_scaled_before_is_that_of_both(
    tflite_file: File, saved: Callable[[bytes], Path]
) -> None:
    imported = import_weights(saved(tflite_file(scaling=(("MUL", 2.0), ("SUB", 1.0))).network(_SMALL).pack()))
    assert imported.card.preprocessing.mean == pytest.approx((127.5,) * 3)
    assert imported.card.preprocessing.std == pytest.approx((127.5,) * 3)
    assert "the file scales its input itself" in imported.notes[0]
    with pytest.raises(ModelError, match=r"does not specify the pixel scaling.*--mean 127.5 --std 127.5"):
        import_weights(saved(tflite_file(scaling=(("ADD", 3.0),)).network(_SMALL).pack()))


@pytest.mark.parametrize(
    ("scaling", "fault"),
    [
        ((("MUL", -1.0),), "it multiplies pixels by [-1.0]; factors must be above 0"),
        ((("MUL", [1.0, 2.0]),), "which is not a number, or one per colour"),
        ((("DIV", 0.0),), "a DIV divides pixels by [0.0]"),
    ],
)
def test_scaling_of_no_colours_is_refused(
    tflite_file: File, saved: Callable[[bytes], Path], scaling: Any, fault: str
) -> None:
    with pytest.raises(ModelError, match=re.escape(fault)):
        import_weights(saved(tflite_file(scaling=scaling, gain=0.01).network(_SMALL).pack()))


@pytest.mark.parametrize("gain", [1 / 255, 1 / 127.5])
def test_small_first_filters_are_for_unscaled_pixels(
    tflite_file: File, saved: Callable[[bytes], Path], gain: float
) -> None:
    path = saved(tflite_file(gain=gain).network(_SMALL).pack())
    imported = import_weights(path)
    assert imported.card.preprocessing == Preprocessing(32, None, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    assert "its first filters are as small as filters for unscaled pixels, 0 to 255" in imported.notes[0]
    images = _photos(32)
    found = TorchPredictor(_network(imported), imported.card).predict(images)["probabilities"]
    expected = _litert(path, images, 0, 1)
    assert np.ptp(expected, axis=0).max() > 0.1
    assert np.abs(found - expected).max() < 1e-5


def test_first_filters_of_no_usual_size_need_a_scaling(tflite_file: File, saved: Callable[[bytes], Path]) -> None:
    path = saved(tflite_file(gain=0.05).network(_SMALL).pack())
    with pytest.raises(ModelError, match=r"give it to mobilenet import, such as --mean 127.5 --std 127.5"):
        import_weights(path)
    with pytest.raises(ModelError, match=r"does not specify the pixel scaling"):
        import_weights(path, std=(1.0, 1.0, 1.0))
    given = import_weights(path, mean=(3.0, 3.0, 3.0), std=(9.0, 9.0, 9.0))
    assert given.card.preprocessing == Preprocessing(32, None, (3.0, 3.0, 3.0), (9.0, 9.0, 9.0))


@pytest.mark.parametrize(
    ("low", "high", "mean", "std"), [(-1.0, 1.0, 127.5, 127.5), (0.0, 0.98, 0.0, 255.0), (0.0, 255.0, 0.0, 1.0)]
)
def test_the_range_that_a_float_input_is_rounded_to_tells_its_scaling(
    tflite_file: File, saved: Callable[[bytes], Path], low: float, high: float, mean: float, std: float
) -> None:
    file = tflite_file(quantized="INT8").network(_SMALL)
    scale = (high - low) / 255
    image = next(tensor for tensor in file.graph.tensors if tensor.name == "image")
    image.quantization.scale = np.array([scale], np.float32)
    image.quantization.zeroPoint = np.array([round(-128 - low / scale)])
    floats = file.tensor("floats", (1, 32, 32, 3), "FLOAT32")
    file.operator("QUANTIZE", [floats], file.graph.inputs[0])
    file.graph.operators.insert(0, file.graph.operators.pop())
    file.graph.inputs = [floats]
    imported = import_weights(saved(file.pack()))
    assert imported.card.preprocessing == Preprocessing(32, None, (mean,) * 3, (std,) * 3)
    assert "the file does not specify the pixel scaling; its input's range fits" in imported.notes[0]


def test_a_sigmoid_at_the_end_answers_yes_or_no(tflite_file: File, saved: Callable[[bytes], Path]) -> None:
    whole = import_weights(saved(tflite_file().network(_SMALL).pack()))
    found = import_weights(saved(tflite_file(end="LOGISTIC").network(_SMALL).pack()))
    card = card_ending_in(found.card, found.ending)
    assert card.task == "attributes"
    (output,) = card.outputs
    assert (output.ending, output.shape) == ("sigmoid", (len(whole.card.labels),))
    assert card.network().rows == whole.card.network().rows
    assert card_ending_in(whole.card, whole.ending) == whole.card
    assert all(np.array_equal(values, whole.tensors[name]) for name, values in found.tensors.items())


@pytest.mark.parametrize("end", ["TANH", "L2_NORMALIZATION"])
def test_a_head_that_is_no_classifier_leaves_the_backbone(
    tflite_file: File, saved: Callable[[bytes], Path], end: str
) -> None:
    whole = import_weights(saved(tflite_file().network(_SMALL).pack()))
    path = saved(tflite_file(end=end).network(_SMALL).pack())
    with pytest.raises(ModelError, match=rf"{end} is not part.*can be trained with mobilenet train DATA --weights"):
        import_weights(path)
    body = import_backbone(path)
    assert body.card.labels == ()
    assert body.tensors.keys() == whole.tensors.keys() - {"classifier.weight", "classifier.bias"}
    assert all(np.array_equal(values, whole.tensors[name]) for name, values in body.tensors.items())
    assert "only the backbone of model.tflite is used" in body.notes[0]


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
    numbered = import_weights(
        saved(attach(data, "labels.txt", "\n".join(f"{n} {name}" for n, name in enumerate(names))))
    )
    assert numbered.card.labels == tuple(names)
    assert "the class names are numbered from 0 to 9" in numbered.notes[0]
    other = import_weights(saved(attach(data, "labels.txt", "one\ntwo")))
    assert other.card.labels[9] == "class 9"
    assert "10 outputs and 2 class names" in other.label_notes[0]
    damaged = bytearray(attach(data, "labels.txt", "\n".join(names)))
    damaged[damaged.rindex(b"PK\1\2") + 42] ^= 255
    assert any("damaged" in note for note in import_weights(saved(bytes(damaged))).notes)


def test_float_files_say_in_their_metadata_how_pixels_are_scaled(
    tflite_file: File,
    saved: Callable[[bytes], Path],
    scaled: Callable[..., bytes],
    described: Callable[[Any, bytes], bytes],
) -> None:
    imported = import_weights(saved(scaled(tflite_file().network(_SMALL), [124.0, 116.0, 104.0], [58.0])))
    assert imported.card.preprocessing.mean == (124.0, 116.0, 104.0)
    assert imported.card.preprocessing.std == (58.0, 58.0, 58.0)
    assert not any("assumed" in note for note in imported.notes)
    broken = import_weights(saved(described(tflite_file().network(_SMALL), b"x" * 40)))
    assert [note for note in broken.notes if "assumed" in note or "metadata" in note] == [
        "the metadata in the file is damaged and was ignored",
        "the file does not specify the pixel scaling; (pixel - 127.5) / 127.5 is assumed",
    ]


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


def _clothing(imported: Imported, count: int) -> Images:
    photos = sorted((_SHARED / "data" / "clothing" / "validation").rglob("*.jpg"))
    return np.stack([imported.card.preprocessing.prepare(photo) for photo in photos[:: len(photos) // count][:count]])


def _agreement(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Share of photos whose first answer is one of LiteRT's first: 8-bit probabilities are often equal."""
    firsts = expected[np.arange(len(found)), found.argmax(1)]
    return float((firsts == expected.max(1)).mean())
