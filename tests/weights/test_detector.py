"""Detectors in TFLite files: layers, prior boxes and classes are those of the file, or it is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from click.testing import CliRunner
from flatbuffers import flexbuffers
from numpy.typing import NDArray
from tests.weights.damage import mutated, tables
from tests.weights.detectors import OPTIONS, anchors, detector

from mobilenet.cli.main import cli
from mobilenet.errors import ModelError
from mobilenet.model.arrays import read_arrays
from mobilenet.nn.model_file import network_of_arrays
from mobilenet.spec.mobilenet import mobilenet_v1
from mobilenet.weights.layers import ForeignConv
from mobilenet.weights.match import Imported
from mobilenet.weights.read import import_backbone, import_weights
from mobilenet.weights.tflite.ranges import Layer, Plane, clamped

_WEIGHTS = Path(__file__).parents[3] / "shared" / "weights"
_COCO = _WEIGHTS / "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite"

File = Callable[..., Any]
Saved = Callable[[bytes], Path]
Floats = NDArray[np.float32]


def _photo(side: int) -> NDArray[np.uint8]:
    random = np.random.default_rng(3)
    coarse = random.integers(0, 256, (side // 16 + 1, side // 16 + 1, 3)).repeat(16, 0).repeat(16, 1)
    return coarse[:side, :side].astype(np.uint8)


def _litert(path: Path, photo: NDArray[np.uint8], *wanted: str) -> list[Floats]:
    """The tensors of these names, as floats, for pixels scaled to -1 … 1."""
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    engine = Interpreter(
        str(path), num_threads=1, experimental_preserve_all_tensors=True, experimental_op_resolver_type=plain
    )
    engine.allocate_tensors()
    (given,) = engine.get_input_details()
    match given["dtype"]:
        case np.float32:
            batch: NDArray[Any] = (photo[None].astype(np.float32) - 128) / np.float32(128)
        case np.int8:
            batch = (photo[None].astype(np.int16) - 128).astype(np.int8)
        case _:
            batch = photo[None]
    engine.set_tensor(given["index"], batch)
    engine.invoke()
    details = engine.get_tensor_details()
    found = [next(each for each in details if each["name"] == name) for name in wanted]
    return [_floats(engine.get_tensor(each["index"]), *each["quantization"]) for each in found]


def _floats(values: NDArray[Any], scale: float, zero_point: int) -> Floats:
    return np.float32(scale) * (values.astype(np.float32) - zero_point) if scale else values


def _outputs(imported: Imported, photo: NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """Codes (P, 4) and logits (P, C)."""
    network = network_of_arrays(imported.card, imported.tensors, Path("imported")).eval()
    pixels = torch.from_numpy(photo.astype(np.float32)).permute(2, 0, 1)[None]
    with torch.inference_mode():
        found = network((pixels - 128) / 128)
    return found["boxes"][0].numpy(), found["scores"][0].numpy()


def _decoded(imported: Imported, codes: Floats) -> Floats:
    """(P, 4) codes -> top, left, bottom, right, by the formulas of the paper, one number after another."""
    decoding, found = imported.card.decoding, []
    scales = decoding["box_scales"]
    for plane, priors in enumerate(decoding["priors"]):
        side = round(np.sqrt(_positions(imported, plane)))
        centres = decoding["centres"][plane] if "centres" in decoding else [(i + 0.5) / side for i in range(side)]
        for y in centres:
            for x in centres:
                for height, width in priors:
                    ty, tx, th, tw = codes[len(found)] / scales
                    middle, half = np.array([ty * height + y, tx * width + x]), np.exp([th, tw]) * [height, width] / 2
                    found.append([*(middle - half), *(middle + half)])
    return np.array(found, np.float32)


def _positions(imported: Imported, plane: int) -> float:
    side = 96
    for _ in range(4 + plane):
        side = -(-side // 2)
    return side**2


@pytest.mark.parametrize("options", [{}, {"separable": True}, {"background": 0}])
def test_a_float_detector_finds_the_same_boxes(tflite_file: File, saved: Saved, options: dict[str, Any]) -> None:
    path = saved(detector(tflite_file(), **options).pack())
    imported = import_weights(path, mean=(128.0,) * 3, std=(128.0,) * 3)
    assert imported.card.labels == ("class 0", "class 1", "class 2")
    assert [(output.shape, output.ending) for output in imported.card.outputs] == [
        ((192, 4), "none"),
        ((192, 3), "sigmoid"),
    ]
    photo = _photo(96)
    codes, logits = _outputs(imported, photo)
    boxes, classes, scores, raw = _litert(path, photo, "found0", "found1", "found2", "logits")
    assert np.abs(logits - raw[0].reshape(192, -1)[:, -3:]).max() < 1e-4
    assert np.ptp(logits, axis=0).min() > 0.5
    best = np.argsort(-logits.max(1), kind="stable")[:10]
    assert np.abs(scores[0] - 1 / (1 + np.exp(-logits.max(1)[best]))).max() < 1e-5
    assert classes[0].tolist() == logits[best].argmax(1).tolist()
    assert np.abs(boxes[0] - _decoded(imported, codes)[best]).max() < 1e-5


@pytest.mark.parametrize("quantized", ["UINT8", "INT8"])
def test_an_8_bit_detector_differs_by_its_rounding(tflite_file: File, saved: Saved, quantized: str) -> None:
    path = saved(detector(tflite_file(quantized=quantized)).pack())
    imported = import_weights(path)
    assert imported.card.preprocessing.mean == imported.card.preprocessing.std == (128.0,) * 3
    assert imported.card.preprocessing.crop_fraction is None
    photo = _photo(96)
    codes, logits = _outputs(imported, photo)
    theirs, raw = _litert(path, photo, "codes/squeezed", "logits")
    for ours, other in ((codes, theirs[0]), (logits, raw[0, :, 1:])):
        assert np.corrcoef(ours.ravel(), other.ravel())[0, 1] > 0.98
    assert ("centres" in imported.card.decoding) == (quantized == "UINT8")


def test_8_bit_anchors_are_read_as_they_are_rounded(tflite_file: File, saved: Saved) -> None:
    exact = anchors([(6, 3), (3, 6), (2, 6), (1, 6)])
    step = exact.max() / 255
    decoding = import_weights(saved(detector(tflite_file(quantized="UINT8")).pack())).card.decoding
    rounded = np.round(exact / step) * step
    assert np.allclose(np.ravel(decoding["priors"][1]), rounded[6 * 6 * 3 :][:6, 2:].ravel(), atol=1e-6)
    assert np.allclose(decoding["centres"][0], rounded[: 6 * 3 : 3, 1], atol=1e-6)
    assert decoding["box_scales"] == [10.0, 10.0 - 1, 5.0, 4.0]


def test_a_range_that_ends_early_is_kept_for_every_reader() -> None:
    """ReLU clamped at 3, read by the next layer and by another: for the same input, all compute the same as before."""

    def conv(weight: float, bias: float) -> ForeignConv:
        filters, offset = np.full((1, 1, 1, 1), weight, np.float32), np.full(1, bias, np.float32)
        return ForeignConv("conv", filters, 1, 1, "tensorflow", "none", offset)

    first, second, other = conv(2.0, 0.5), conv(0.7, 0.1), conv(-1.5, 0.0)
    layers = [Layer(first, 3.0, Plane(1, 1)), Layer(second, 6.0, Plane(1, 1))]
    notes: list[str] = []
    one, two = clamped(layers, {0: [other.filters]}, notes)
    for x in (-1.0, 0.3, 1.0, 2.0, 5.0):
        plane = min(max(2.0 * x + 0.5, 0.0), 3.0)
        scaled = min(max(one.filters.item() * x + one.bias.item(), 0.0), 6.0)  # type: ignore[union-attr]
        assert two.filters.item() * scaled == pytest.approx(0.7 * plane)
        assert other.filters.item() * scaled == pytest.approx(-1.5 * plane)
    assert not notes


def test_names_are_those_of_classes_without_the_background(
    tflite_file: File, saved: Saved, attach: Callable[..., bytes], tmp_path: Path
) -> None:
    data = detector(tflite_file()).pack()
    assert import_weights(saved(attach(data, "labelmap.txt", "cat\ndog\nowl"))).card.labels == ("cat", "dog", "owl")
    assert import_weights(saved(attach(data, "labelmap.txt", "???\ncat\ndog\nowl"))).card.labels == (
        "cat",
        "dog",
        "owl",
    )
    labels = tmp_path / "names.txt"
    labels.write_text("background\na\nb\nc\n")
    assert import_weights(saved(data), labels=labels).card.labels == ("a", "b", "c")
    labels.write_text("a\nb\nc\nd\n")
    with pytest.raises(ModelError, match="has 3 outputs, but the label file 4 names"):
        import_weights(saved(data), labels=labels)


def test_the_command_writes_a_model_with_its_head(tflite_file: File, saved: Saved, tmp_path: Path) -> None:
    path, out = saved(detector(tflite_file(quantized="UINT8")).pack()), tmp_path / "model.safetensors"
    done = CliRunner().invoke(cli, ["import", str(path), "--out", str(out)])
    assert done.exit_code == 0, done.output
    card, arrays = read_arrays(out)
    expected = import_weights(path)
    assert (card.task, card.head, card.decoding) == ("detection", expected.card.head, expected.card.decoding)
    assert arrays.keys() == expected.tensors.keys()


def test_vectors_come_from_the_body_alone(tflite_file: File, saved: Saved, tmp_path: Path) -> None:
    path, out = saved(detector(tflite_file(quantized="UINT8")).pack()), tmp_path / "model.safetensors"
    done = CliRunner().invoke(cli, ["import", str(path), "--vectors", "--out", str(out)])
    assert done.exit_code == 0, done.output
    card, arrays = read_arrays(out)
    assert card.task == "embedding"
    assert arrays.keys() == {name for name in import_weights(path).tensors if name.startswith(("stem.", "block"))}


def test_a_detector_is_a_start_for_training_with_its_head(tflite_file: File, saved: Saved) -> None:
    path = saved(detector(tflite_file()).pack())
    whole, start = import_weights(path), import_backbone(path)
    assert start.card == whole.card
    assert all(np.array_equal(values, whole.tensors[name]) for name, values in start.tensors.items())


def _kind(file: Any, number: int) -> Any:
    operator = file.graph.operators[number]
    return file.model.operatorCodes[operator.opcodeIndex]


def _find(file: Any, kind: str, skipped: int = 0) -> Any:
    number = getattr(schema.BuiltinOperator, kind)
    found = [place for place in range(len(file.graph.operators)) if _kind(file, place).builtinCode == number]
    return file.graph.operators[found[skipped]]


def _softmax(file: Any) -> None:
    code = file.model.operatorCodes[_find(file, "LOGISTIC").opcodeIndex]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.SOFTMAX
    operator = _find(file, "SOFTMAX")
    operator.builtinOptionsType, operator.builtinOptions = (
        schema.BuiltinOptions.SoftmaxOptions,
        schema.SoftmaxOptionsT(),
    )
    operator.builtinOptions.beta = 1.0


def _no_sigmoid(file: Any) -> None:
    end = file.graph.operators[-1]
    end.inputs[1] = _find(file, "LOGISTIC").inputs[0]


def _swapped_planes(file: Any) -> None:
    parts = _find(file, "CONCATENATION", 1).inputs
    parts[0], parts[1] = parts[1], parts[0]


def _other_axis(file: Any) -> None:
    _find(file, "CONCATENATION").builtinOptions.axis = 3


def _own_result(file: Any) -> None:
    joined = _find(file, "CONCATENATION")
    joined.inputs[0] = joined.outputs[0]


def _more_outputs(file: Any) -> None:
    file.graph.outputs = [*file.graph.outputs, _find(file, "LOGISTIC").outputs[0]]


def _two_ends(file: Any) -> None:
    file.graph.operators.append(file.graph.operators[-1])


def _no_options(file: Any) -> None:
    file.graph.operators[-1].customOptions = None


def _other_options(file: Any) -> None:
    file.graph.operators[-1].customOptions = np.frombuffer(flexbuffers.Dumps({"a": 1}), np.uint8)


def _long_options(file: Any) -> None:
    file.graph.operators[-1].customOptions = np.zeros(10_001, np.uint8)


def _options(**changed: Any) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        fields = flexbuffers.Dumps({"num_classes": 3, **OPTIONS, **changed})
        file.graph.operators[-1].customOptions = np.frombuffer(fields, np.uint8)

    return change


def _anchors(change: Callable[[Floats], Floats]) -> Callable[[Any], None]:
    def damage(file: Any) -> None:
        tensor = next(tensor for tensor in file.graph.tensors if tensor.name == "anchors")
        values = change(file.model.buffers[tensor.buffer].data.view(np.float32).reshape(-1, 4).copy())
        file.model.buffers[tensor.buffer].data, tensor.shape = values.reshape(-1).view(np.uint8), list(values.shape)

    return damage


def _moved(values: Floats) -> Floats:
    values[3 * 7 + 1, 1] += 0.01
    return values


def _grown(values: Floats) -> Floats:
    values[3 * 7 + 1, 3] += 0.01
    return values


def _not_a_number(values: Floats) -> Floats:
    values[5, 0] = np.nan
    return values


def _added_activation(file: Any) -> None:
    _of_row(file, "added1.expansion").builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.NONE


def _predicted_activation(file: Any) -> None:
    _of_row(file, "boxes2.prediction").builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.RELU6


def _other_plane(file: Any) -> None:
    """Boxes and scores of the first plane on block 9, which is as large and has as many channels."""
    read = _of_row(file, "block9.pointwise").outputs[0]
    for name in ("boxes", "scores"):
        _of_row(file, f"{name}1.prediction").inputs[0] = read


def _of_row(file: Any, name: str) -> Any:
    place = next(number for number, tensor in enumerate(file.graph.tensors) if tensor.name == name)
    return next(operator for operator in file.graph.operators if place in operator.outputs)


_FAULTS: list[tuple[str, Callable[[Any], None], str]] = [
    ("softmax", _softmax, "a SOFTMAX leads to TFLite_Detection_PostProcess"),
    ("no sigmoid", _no_sigmoid, "logits is computed with 0 sigmoids (LOGISTIC), 1 expected"),
    ("planes", _swapped_planes, "boxes and scores are not predicted on the same planes, in the same order"),
    ("axis", _other_axis, "along axis 3 does not join planes"),
    ("loop", _own_result, "codes is not the one output of an operator before its reader; it is damaged"),
    ("outputs", _more_outputs, "its outputs are not those of TFLite_Detection_PostProcess"),
    ("ends", _two_ends, "it has 2 TFLite_Detection_PostProcess"),
    ("no options", _no_options, "the options of TFLite_Detection_PostProcess are damaged"),
    ("other options", _other_options, "the options of TFLite_Detection_PostProcess are damaged ('num_classes')"),
    ("long options", _long_options, "has options of 10,001 bytes; it is damaged"),
    ("scale", _options(h_scale=0.0), "has 3 classes and scales [10.0, 9.0, 0.0, 4.0]; it is damaged"),
    ("classes", _options(num_classes=5), "3 prior boxes with 5 classes have 12 and 15, or 18 with a background"),
    (
        "fewer anchors",
        _anchors(lambda values: values[:-1]),
        "tensor anchors has shape (191, 4) of FLOAT32, which is not",
    ),
    ("off the grid", _anchors(_moved), "of 6 x 6 is at [0.25, 0.26], not at the centre of its pixel, [0.25, 0.25]"),
    ("sizes", _anchors(_grown), "of 6 x 6 differ in size by 0.01 between positions"),
    ("nan", _anchors(_not_a_number), "the anchors anchors hold NaN or infinity"),
    ("added", _added_activation, "has activation none and padding tensorflow; added1.expansion has relu6"),
    ("predicted", _predicted_activation, "has activation relu6 and padding tensorflow; boxes2.prediction has none"),
    ("other plane", _other_plane, "reads block9.pointwise, but boxes1.prediction reads block11.pointwise"),
]


@pytest.mark.parametrize(("damage", "fault"), [each[1:] for each in _FAULTS], ids=[each[0] for each in _FAULTS])
def test_what_is_not_an_ssd_is_refused_by_name(
    tflite_file: File, saved: Saved, damage: Callable[[Any], None], fault: str
) -> None:
    file = detector(tflite_file())
    damage(file)
    path = saved(file.pack())
    with pytest.raises(ModelError) as caught:
        import_weights(path)
    assert fault in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_another_number_of_planes_is_refused(tflite_file: File, saved: Saved) -> None:
    path = saved(detector(tflite_file()).pack())
    with pytest.raises(ModelError, match=r"4 planes have prior boxes, but the network for 320 pixels has 6"):
        import_weights(path, resolution=320)


def test_damage_ends_in_one_line_or_in_a_right_import(tflite_file: File, saved: Saved) -> None:
    data = detector(tflite_file(quantized="UINT8"), resolution=64).pack()
    random, refused = np.random.default_rng(4), 0
    places = tables(data)
    for _ in range(150):
        try:
            assert import_weights(saved(mutated(data, places, random))).card.network().rows
        except ModelError as error:
            refused += 1
            assert len(str(error).splitlines()) == 1  # noqa: PT017 - most are refused, some are right
    assert 30 < refused < 150


@pytest.mark.skipif(not _COCO.is_file(), reason="the official detector, ../shared/weights, is not here")
def test_the_official_detector_has_the_priors_of_its_paper() -> None:
    """Scales from 0.2 to 0.95; the file rounds all numbers to multiples of 0.00645."""
    imported = import_weights(_COCO)
    card = imported.card
    assert (card.width_multiplier, card.resolution, len(card.labels)) == (0.75, 300, 90)
    assert (card.labels[0], card.labels[-1]) == ("person", "toothbrush")
    assert [(output.name, output.shape) for output in card.outputs] == [("boxes", (1917, 4)), ("scores", (1917, 90))]
    scales = [0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0]
    half = 0.00645306 / 2 + 1e-5
    assert (
        np.abs(
            np.array(card.decoding["priors"][0])
            - [[0.1, 0.1], [0.2 / 2**0.5, 0.2 * 2**0.5], [0.2 * 2**0.5, 0.2 / 2**0.5]]
        ).max()
        < half
    )
    for plane in range(1, 6):
        aspects = [(scales[plane], ratio) for ratio in (1, 2, 1 / 2, 3, 1 / 3)]
        aspects.append(((scales[plane] * scales[plane + 1]) ** 0.5, 1))
        expected = [[scale / ratio**0.5, scale * ratio**0.5] for scale, ratio in aspects]
        assert np.abs(np.array(card.decoding["priors"][plane]) - expected).max() < half
    assert [len(centres) for centres in card.decoding["centres"]] == [19, 10, 5, 3, 2, 1]
    assert card.decoding["box_scales"] == [10.0, 10.0, 5.0, 5.0]
    assert card.body().rows[0] == mobilenet_v1(0.75, 300, 0, card.style).rows[0]
