"""Files that hold no MobileNet V1: each is called what it is, in one line with a remedy."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from safetensors.numpy import save_file

from mobilenet.errors import ModelError
from mobilenet.spec import mobilenet_v1
from mobilenet.weights.families import family_of_names
from mobilenet.weights.open import open_weights
from mobilenet.weights.read import import_backbone, import_weights


def _zip(**members: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_DOT_", "."), content)
    return made.getvalue()


def _checkpoint(name: str, *, legacy: bool) -> bytes:
    made = io.BytesIO()
    torch.save({name: torch.zeros(2)}, made, _use_new_zipfile_serialization=not legacy)
    return made.getvalue()


_ONNX = b"\x08\x08\x12\x07pytorch"
_PICKLE = "is a PyTorch checkpoint, a pickle, which can run code and is never opened; in PyTorch, save its weights with"
_FILES = {
    "empty": (b"", "is empty; download or save it again"),
    "Keras 3": (_zip(config_DOT_json="{}", model_DOT_weights_DOT_h5=""), "is a .keras file of Keras 3, which is not"),
    "V2 in Keras 3": (
        _zip(config_DOT_json='{"name": "mobilenetv2_1.00_96"}', model_DOT_weights_DOT_h5=""),
        "is a .keras file of Keras 3 of a MobileNet V2; only MobileNet V1 can be imported",
    ),
    "PyTorch": (_checkpoint("conv_stem.weight", legacy=False), _PICKLE),
    "PyTorch before 1.6": (_checkpoint("conv_stem.weight", legacy=True), _PICKLE),
    "V3 in PyTorch": (
        _checkpoint("features.4.block.2.fc1.weight", legacy=False),
        "is a PyTorch checkpoint of a MobileNet V3; only MobileNet V1 can be imported",
    ),
    "ONNX": (_ONNX + b"\x3a\x10 conv1 and others", "is an ONNX file, which cannot be imported; give the weights"),
    "EfficientNet in ONNX": (
        _ONNX + b"\x3a\x10 efficientnet-b0/block1a_dwconv",
        "is an ONNX file of an EfficientNet; only MobileNet V1 can be imported",
    ),
    "git-lfs": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
        "is a git-lfs pointer, not the file itself",
    ),
    "web page": (b"\n<!DOCTYPE html><html>", "is a web page, not weights; download the file itself"),
    "gzip": (b"\x1f\x8b\x08 tar", "is a compressed archive; unpack it and give the file of weights in it"),
    "tar": (b"\0" * 257 + b"ustar\0", "is a compressed archive; unpack it"),
    "zip": (_zip(photo="1"), "is a compressed archive; unpack it"),
    "NumPy": (_zip(a_DOT_npy="1"), "is a NumPy archive, without the layers of a network; save the whole model"),
    "JSON": (b'{"format": "layers-model"}', "is a JSON file, which describes a model without its weights"),
    "photo": (b"\xff\xd8\xff\xe0 JFIF", "is a photo, not weights"),
    "text": (b"a,b,c", "is not a supported weight file; give a TFLite file"),
}


@pytest.mark.parametrize("name", _FILES)
def test_a_file_is_called_what_it_is(tmp_path: Path, name: str) -> None:
    content, message = _FILES[name]
    path = tmp_path / "weights"
    path.write_bytes(content)
    for read in (import_weights, import_backbone):
        with pytest.raises(ModelError) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path} {message}")
        assert str(caught.value).count("\n") == 0


def test_formats_without_a_mark_are_told_by_their_ending(tmp_path: Path) -> None:
    for name, message in (
        ("a.pb", "a TensorFlow graph; convert"),
        ("a.mlmodel", "a Core ML model; give the model that"),
    ):
        (tmp_path / name).write_bytes(b"\xfe\xdc")
        with pytest.raises(ModelError, match=f"{name} is {message}"):
            import_weights(tmp_path / name)


def test_folders_of_other_tools_are_named(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01")
    with pytest.raises(ModelError, match=r"is a TensorFlow SavedModel; convert it with tf.lite.TFLiteConverter"):
        import_weights(tmp_path)
    with pytest.raises(ModelError, match=r"is a TensorFlow SavedModel; convert it with tf.lite.TFLiteConverter"):
        open_weights(str(tmp_path))
    (tmp_path / "saved_model.pb").unlink()
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(ModelError, match=r"is a folder; give .*model.safetensors"):
        import_weights(tmp_path)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ("conv1 conv_dw_1 conv_pw_1 conv_preds", None),
        ("MobilenetV1/Conv2d_0/weights", None),
        ("conv_stem.weight blocks.0.0.conv_dw.weight blocks.0.0.conv_pw.weight", None),
        ("features.0.0.weight features.1.conv.0.0.weight", "a MobileNet V2"),
        ("/features/features.1/conv/conv.0/Conv", "a MobileNet V2"),
        ("Conv1 expanded_conv_depthwise block_1_expand", "a MobileNet V2"),
        ("blocks.1.0.conv_pwl.weight conv_head.weight bn2.weight", "a MobileNet V2"),
        ("features.1.block.0.0.weight", "a MobileNet V3"),
        ("MobilenetV3/expanded_conv/depthwise", "a MobileNet V3"),
        ("blocks.1.0.conv_pwl.weight blocks.1.0.se.conv_reduce.weight conv_head.bias", "a MobileNet V3"),
        ("stem_conv block1a_dwconv block2a_expand_conv", "an EfficientNet"),
        ("features.1.0.block.0.0.weight features.1.0.block.1.fc1.weight", "an EfficientNet"),
        ("_blocks.0._depthwise_conv.weight", "an EfficientNet"),
        ("blocks.1.0.conv_pwl.weight blocks.1.0.se.conv_reduce.weight bn2.weight", "an EfficientNet"),
        ("layer1.0.conv1.weight layer1.0.bn1.weight fc.weight", None),
    ],
)
def test_families_are_told_by_the_names_of_their_layers(names: str, found: str | None) -> None:
    assert family_of_names(names) == found


def test_v2_and_lite_of_timm_differ_by_the_size_of_their_filters(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    for side, name in ((3, "a MobileNet V2"), (5, "an EfficientNet")):
        shapes = {"blocks.1.0.conv_pwl": (4, 8, 1, 1), "blocks.1.0.conv_dw": (8, 1, side, side), "bn2": (4,)}
        save_file({f"{key}.weight": np.zeros(shape, np.float32) for key, shape in shapes.items()}, path)
        with pytest.raises(ModelError, match=f"model.safetensors is {name}; only MobileNet V1 can be imported"):
            import_weights(path)


def _block(file: Any, side: int, gate: str | None) -> bytes:
    """A depthwise layer, gated or not, with a sum around it."""
    shape = (1, 8, 8, 4)
    image, planes = file.tensor("image", (1, 8, 8, 3), "FLOAT32"), file.tensor("planes", shape, "FLOAT32")
    first = file.tensor("first", (4, 1, 1, 3), "FLOAT32", np.ones((4, 1, 1, 3), np.float32))
    filters = file.tensor("filters", (1, side, side, 4), "FLOAT32", np.ones((1, side, side, 4), np.float32))
    steps = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    file.operator("CONV_2D", [image, first], planes, **steps)
    deep = file.operator("DEPTHWISE_CONV_2D", [planes, filters], file.tensor("deep", shape, "FLOAT32"), **steps)
    if gate is not None:
        mask = file.operator(gate, [deep], file.tensor("mask", shape, "FLOAT32"))
        deep = file.operator("MUL", [deep, mask], file.tensor("gated", shape, "FLOAT32"))
    file.graph.inputs, file.graph.outputs = [image], [file.tensor("sum", shape, "FLOAT32")]
    file.operator("ADD", [planes, deep], file.graph.outputs[0])
    return bytes(file.pack())


@pytest.mark.parametrize(
    ("side", "gate", "name"),
    [
        (3, None, "a MobileNet V2"),
        (5, None, "an EfficientNet"),
        (3, "LOGISTIC", "an EfficientNet"),
        (3, "HARD_SWISH", "a MobileNet V3"),
        (5, "RELU6", "a MobileNet V3"),
    ],
)
def test_families_are_told_by_their_operators(
    tflite_file: Callable[[], Any], saved: Callable[[bytes], Path], side: int, gate: str | None, name: str
) -> None:
    path = saved(_block(tflite_file(), side, gate))
    for read in (import_weights, import_backbone):
        with pytest.raises(ModelError, match=f"model.tflite is {name}; only MobileNet V1 can be imported"):
            read(path)


def test_a_v1_with_sums_in_its_head_is_no_v2(tflite_file: Callable[..., Any], saved: Callable[[bytes], Path]) -> None:
    file = tflite_file(end="TANH").network(mobilenet_v1(0.25, 32, 4))
    planes = [number for number, tensor in enumerate(file.graph.tensors) if tensor.name == "block13.pointwise"]
    file.operator("ADD", 2 * planes, file.tensor("sum", (1, 1, 1, 256), "FLOAT32"))
    with pytest.raises(ModelError, match=r"TANH is not part of .*; its backbone can be trained with"):
        import_weights(saved(file.pack()))
    assert import_backbone(saved(file.pack())).card.architecture == "mobilenet_v1"


def test_a_network_of_another_kind_keeps_the_readers_message(
    tflite_file: Callable[[], Any], saved: Callable[[bytes], Path]
) -> None:
    file = tflite_file()
    data = _block(file, 3, None)
    code = next(code for code in file.model.operatorCodes if code.builtinCode == schema.BuiltinOperator.ADD)
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.MAXIMUM
    assert data != file.pack()
    with pytest.raises(ModelError, match=r"is not part of a MobileNet V1 classifier"):
        import_weights(saved(file.pack()))


@pytest.mark.parametrize(
    ("layers", "name"),
    [
        ([("DepthwiseConv2D", {"kernel_size": [3, 3]})], "a MobileNet V2"),
        ([("DepthwiseConv2D", {"kernel_size": [5, 5]})], "an EfficientNet"),
        ([("DepthwiseConv2D", {}), ("Activation", {"activation": "swish"})], "an EfficientNet"),
        ([("DepthwiseConv2D", {}), ("Activation", {"activation": "hard_silu"})], "a MobileNet V3"),
        ([("DepthwiseConv2D", {}), ("Multiply", {})], "a MobileNet V3"),
    ],
)
def test_families_are_told_by_their_keras_layers(
    tmp_path: Path, layers: list[tuple[str, dict[str, Any]]], name: str
) -> None:
    nodes = [[["a", 0, 0, {}], ["b", 0, 0, {}]]]
    documents = [
        {"class_name": kind, "name": str(place), "config": {"name": str(place), **config}, "inbound_nodes": nodes}
        for place, (kind, config) in enumerate([*layers, ("Add", {})])
    ]
    path = tmp_path / "model.h5"
    with h5py.File(path, "w") as file:
        file.create_group("model_weights")
        file.attrs["model_config"] = json.dumps({"class_name": "Functional", "config": {"layers": documents}})
    with pytest.raises(ModelError, match=f"model.h5 is {name}; only MobileNet V1 can be imported"):
        import_weights(path)
