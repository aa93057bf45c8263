"""Files are written here with Keras' names, shapes and descriptions, and computed here by torch's functions alone."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from mobilenet.errors import ModelError
from mobilenet.images import Preprocessing
from mobilenet.nn.model_file import build_network
from mobilenet.weights.keras.read import read_keras
from mobilenet.weights.match import recognise
from mobilenet.weights.read import import_backbone, import_weights

_WEIGHTS = Path(__file__).parents[3] / "shared" / "weights"
_real = pytest.mark.skipif(
    not _WEIGHTS.is_dir(), reason="the folder of official weights, ../shared/weights, is not here"
)

_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
_CHANNELS = (8, 16, 32, 32, 64, 64, 128, 128, 128, 128, 128, 128, 256, 256)
"""Of the stem and the 13 blocks at width 0.25."""


@dataclass(frozen=True)
class Flavour:
    """How somebody built the network: `pads` before strided convolutions, none for `same`."""

    pads: tuple[int, int] | None = None
    relu6: bool = False
    bias: bool = False
    dense: bool = True
    epsilon: float = 1e-3
    modern: bool = False
    nested: bool = False
    before: tuple[tuple[str, dict[str, Any]], ...] = ()
    names: str = "layer"


_APPLICATION = Flavour(pads=(0, 1), relu6=True, dense=False, names="application")
_FLAVOURS = {
    "plain": Flavour(bias=True),
    "application": _APPLICATION,
    "symmetric": Flavour(pads=(1, 1), relu6=True, epsilon=1e-5),
    "keras 3": Flavour(pads=(0, 1), modern=True, relu6=True),
    "nested": Flavour(pads=(0, 1), relu6=True, nested=True, before=(("RandomFlip", {"mode": "horizontal"}),)),
    "nested keras 3": Flavour(modern=True, nested=True),
}


class Writer:
    """Collects layers with random arrays, then writes them as Keras does."""

    def __init__(self, flavour: Flavour, side: int | None = 64) -> None:
        self.flavour, self.random = flavour, np.random.default_rng(0)
        self.backbone: list[dict[str, Any]] = []
        self.top: list[dict[str, Any]] = []
        self.arrays: dict[str, dict[str, np.ndarray]] = {}
        shape = {"batch_shape" if flavour.modern else "batch_input_shape": [None, side, side, 3]}
        self.layers = self.top
        self.add("InputLayer", "input", shape)
        for number, (kind, config) in enumerate(flavour.before):
            self.add(kind, f"before{number}", config)
        if flavour.nested:
            self.layers = self.backbone
            self.add("InputLayer", "inner_input", shape)

    def add(self, kind: str, name: str, config: dict[str, Any], **arrays: np.ndarray) -> None:
        self.layers.append({"class_name": kind, "config": {"name": name, **config}, "name": name})
        self.arrays[name] = arrays

    def conv(self, name: str, out: int, inputs: int, kernel: int, stride: int) -> None:
        flavour, depthwise = self.flavour, name.startswith("conv_dw")
        padding = "same"
        if stride == 2 and flavour.pads:
            self.add("ZeroPadding2D", f"{name}_pad", {"padding": [list(flavour.pads)] * 2})
            padding = "valid"
        shape = (kernel, kernel, inputs, 1) if depthwise else (kernel, kernel, inputs, out)
        scale = (2 / (kernel * kernel * (1 if depthwise else inputs))) ** 0.5
        filters = self.random.normal(size=shape) * scale
        variable = "depthwise_kernel" if depthwise and not flavour.modern else "kernel"
        arrays = {variable: filters} | ({"bias": self.random.normal(size=out)} if flavour.bias else {})
        config = {"kernel_size": [kernel] * 2, "strides": [stride] * 2, "padding": padding, "activation": "linear"}
        config |= {"data_format": "channels_last", "dilation_rate": [1, 1], "groups": 1, "use_bias": flavour.bias}
        self.add("DepthwiseConv2D" if depthwise else "Conv2D", name, config, **arrays)
        norm = dict(zip(("gamma", "moving_variance"), self.random.uniform(0.5, 1.5, (2, out)), strict=True))
        norm |= dict(zip(("beta", "moving_mean"), self.random.normal(size=(2, out)) * 0.2, strict=True))
        self.add("BatchNormalization", f"{name}_bn", {"axis": [3], "epsilon": flavour.epsilon}, **norm)
        if flavour.relu6:
            self.add("ReLU", f"{name}_relu", {"max_value": 6.0, "negative_slope": 0.0, "threshold": 0.0})
        else:
            self.add("Activation", f"{name}_relu", {"activation": "relu"})

    def network(self, classes: int = 5) -> "Writer":
        self.conv("conv1", _CHANNELS[0], 3, 3, 2)
        for block, stride in enumerate(_STRIDES, 1):
            inputs, out = _CHANNELS[block - 1 : block + 1]
            self.conv(f"conv_dw_{block}", inputs, inputs, 3, stride)
            self.conv(f"conv_pw_{block}", out, inputs, 1, 1)
        self.layers = self.top
        bias = self.random.normal(size=classes)
        if self.flavour.dense:
            self.add("GlobalAveragePooling2D", "pool", {"keepdims": False})
            self.add("Dropout", "dropout", {"rate": 0.2})
            kernel = self.random.normal(size=(_CHANNELS[-1], classes))
            self.add("Dense", "dense", {"activation": "softmax"}, kernel=kernel, bias=bias)
            return self
        kernel = self.random.normal(size=(1, 1, _CHANNELS[-1], classes))
        config = {"kernel_size": [1, 1], "strides": [1, 1], "padding": "same", "activation": "linear"}
        self.add("GlobalAveragePooling2D", "pool", {"keepdims": True})
        self.add("Conv2D", "conv_preds", config, kernel=kernel, bias=bias)
        self.add("Reshape", "reshape_2", {"target_shape": [classes]})
        self.add("Activation", "predictions", {"activation": "softmax"})
        return self

    def config(self) -> dict[str, Any]:
        top = self.top
        if self.flavour.nested:
            inner = {
                "class_name": "Functional",
                "config": self._functional(self.backbone, "mobilenet"),
                "name": "mobilenet",
            }
            inner["config"]["name"] = "mobilenet"
            place = 1 + len(self.flavour.before)
            top = [*top[:place], inner, *top[place:]]
        return {"class_name": "Functional", "config": self._functional(top, "model")}

    def _functional(self, layers: list[dict[str, Any]], name: str) -> dict[str, Any]:
        chain = []
        for previous, layer in zip([None, *layers], layers, strict=False):
            chain.append({**layer, "inbound_nodes": self._inbound(previous)})
        last = [layers[-1]["name"], 0, 0]
        return {"name": name, "layers": chain, "output_layers": last if self.flavour.modern else [last]}

    def _inbound(self, previous: dict[str, Any] | None) -> list[Any]:
        if previous is None:
            return []
        source = [previous["name"], 0, 0]
        if self.flavour.modern:
            tensor = {"class_name": "__keras_tensor__", "config": {"shape": [None], "keras_history": source}}
            return [{"args": [tensor], "kwargs": {}}]
        return [[[*source, {}]]]

    def write(self, path: Path, *, config: bool = True, dtype: str = "float32") -> Path:
        inside = {layer["name"] for layer in self.backbone}
        ending = "" if self.flavour.modern else ":0"
        with h5py.File(path, "w") as file:
            root = file.create_group("model_weights") if config else file
            if config:
                file.attrs["model_config"] = json.dumps(self.config())
            for name, arrays in self.arrays.items():
                place = f"mobilenet/{name}" if name in inside else f"{name}/{name}"
                root.require_group(place.partition("/")[0])
                for variable, values in arrays.items():
                    root[f"{place}/{variable}{ending}"] = values.astype(dtype)
        return path


def _compute(path: Path, x: torch.Tensor, flavour: Flavour) -> torch.Tensor:
    """Logits of the network in a file for (N, 3, H, W), by torch's functions alone."""
    arrays: dict[str, torch.Tensor] = {}

    def visit(name: str, node: object) -> None:
        if isinstance(node, h5py.Dataset):
            arrays["/".join(name.split("/")[-2:]).removesuffix(":0")] = torch.from_numpy(node[()]).double()

    with h5py.File(path) as file:
        file.visititems(visit)
    x = x.double()
    for name, stride in _layers():
        depthwise = name.startswith("conv_dw")
        kernel = arrays.get(f"{name}/depthwise_kernel", arrays.get(f"{name}/kernel"))
        assert kernel is not None
        filters = kernel.permute(2, 3, 0, 1) if depthwise else kernel.permute(3, 2, 0, 1)
        before, after = (flavour.pads or (0, 1)) if stride == 2 else (1, 1)
        padded = F.pad(x, (before, after, before, after)) if kernel.shape[0] == 3 else x
        groups = x.shape[1] if depthwise else 1
        x = F.conv2d(padded, filters, arrays.get(f"{name}/bias"), stride, groups=groups)
        parts = (arrays[f"{name}_bn/{part}"] for part in ("moving_mean", "moving_variance", "gamma", "beta"))
        x = F.batch_norm(x, *parts, training=False, eps=flavour.epsilon)
        x = x.clamp(0, 6 if flavour.relu6 else None)
    top = "dense" if flavour.dense else "conv_preds"
    return x.mean((2, 3)) @ arrays[f"{top}/kernel"].reshape(x.shape[1], -1) + arrays[f"{top}/bias"]


def _layers() -> Iterator[tuple[str, int]]:
    yield "conv1", 2
    for block, stride in enumerate(_STRIDES, 1):
        yield f"conv_dw_{block}", stride
        yield f"conv_pw_{block}", 1


def _logits(path: Path, x: torch.Tensor) -> torch.Tensor:
    """What our own network computes with the weights of a file."""
    imported = recognise(read_keras(path))
    tensors = {name: torch.from_numpy(values) for name, values in imported.tensors.items()}
    with torch.no_grad():
        return build_network(imported.card, tensors, path)(x)["probabilities"]


@pytest.mark.parametrize("flavour", _FLAVOURS.values(), ids=_FLAVOURS.keys())
def test_a_model_computes_what_its_file_says(tmp_path: Path, flavour: Flavour) -> None:
    path = Writer(flavour).network().write(tmp_path / "model.h5")
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    expected = _compute(path, x, flavour)
    # float32 against float64, sums of 27 layers.
    torch.testing.assert_close(_logits(path, x).double(), expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())


def test_weights_alone_are_known_by_the_names_of_keras_applications(tmp_path: Path) -> None:
    path = Writer(_APPLICATION).network(classes=7).write(tmp_path / "mobilenet_2_5_160_tf.h5", config=False)
    network = read_keras(path)
    assert network.resolution == 160
    assert network.preprocessing == Preprocessing(160)
    assert any("160 pixels, is taken from the file's name" in note for note in network.notes)
    assert network.classifier is not None
    assert network.classifier.matrix.shape == (7, 256)
    x = torch.randn(1, 3, 160, 160, generator=torch.Generator().manual_seed(1))
    expected = _compute(path, x, _APPLICATION)
    torch.testing.assert_close(_logits(path, x).double(), expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())


def test_weights_without_a_top_are_a_backbone(tmp_path: Path) -> None:
    writer = Writer(_APPLICATION).network()
    del writer.arrays["conv_preds"]
    network = read_keras(writer.write(tmp_path / "mobilenet_2_5_128_tf_no_top.h5", config=False))
    assert network.classifier is None
    assert network.resolution == 128
    assert [conv.stride for conv in network.convs if conv.groups > 1] == list(_STRIDES)
    assert read_keras(writer.write(tmp_path / "mine.h5", config=False)).resolution is None


@pytest.mark.parametrize("dtype", ["float16", "float64", ">f4"])
def test_other_kinds_of_floats_become_float32(tmp_path: Path, dtype: str) -> None:
    writer = Writer(Flavour()).network()
    network = read_keras(writer.write(tmp_path / "model.h5", dtype=dtype))
    filters = writer.arrays["conv_pw_13"]["kernel"].astype(dtype).astype(np.float32)
    assert network.convs[-1].filters.dtype == np.float32
    np.testing.assert_array_equal(network.convs[-1].filters[:, :, 0, 0], filters[0, 0].T)


_SCALING = {
    "rescaling": ((("Rescaling", {"scale": 1 / 127.5, "offset": -1.0}),), (127.5,) * 3, (127.5,) * 3),
    "normalization": (
        (("Normalization", {"axis": [-1], "mean": [[120.0, 110.0, 100.0]], "variance": [[3600.0, 2500.0, 4900.0]]}),),
        (120.0, 110.0, 100.0),
        (60.0, 50.0, 70.0),
    ),
    "both": (
        (("Rescaling", {"scale": 1 / 255}), ("Normalization", {"mean": [0.5, 0.4, 0.3], "variance": [0.25] * 3})),
        (127.5, 102.0, 76.5),
        (127.5,) * 3,
    ),
}


@pytest.mark.parametrize(("before", "mean", "std"), _SCALING.values(), ids=_SCALING.keys())
def test_scaling_inside_the_model_is_read(
    tmp_path: Path, before: tuple[tuple[str, dict[str, Any]], ...], mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    network = read_keras(Writer(Flavour(before=before)).network().write(tmp_path / "model.h5"))
    assert network.preprocessing is not None
    assert network.preprocessing.mean == pytest.approx(mean)
    assert network.preprocessing.std == pytest.approx(std)
    assert not network.notes


def test_operators_that_scale_are_read(tmp_path: Path) -> None:
    operators = ("TFOpLambda", {"function": "math.truediv"}), ("TFOpLambda", {"function": "math.subtract"})
    path = Writer(Flavour(before=operators)).network().write(tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        for place, (source, number) in enumerate((("input", 127.5), ("before0", 1.0)), 1):
            config["config"]["layers"][place]["inbound_nodes"] = [[source, 0, 0, {"y": number, "name": None}]]
        file.attrs["model_config"] = json.dumps(config)
    assert read_keras(path).preprocessing == Preprocessing(64)


def _photos(random: np.random.Generator) -> torch.Tensor:
    """(N, 3, 64, 64) with the colours of photos, 0 to 255, and neighbours that are alike."""
    coarse = torch.from_numpy(random.normal(size=(64, 1, 9, 9)) + 0.3 * random.normal(size=(64, 3, 9, 9))).float()
    smooth = F.interpolate(coarse, (64, 64), mode="bilinear")
    smooth = smooth / smooth.std()
    return (smooth * 60 + torch.tensor([124.0, 114.0, 102.0]).view(3, 1, 1)).clamp(0, 255)


@_real
def test_the_network_for_people_in_photos_agrees_with_its_own_export() -> None:
    from ai_edge_litert.interpreter import Interpreter

    path = _WEIGHTS / "vww_96.h5"
    network = read_keras(path)
    assert network.preprocessing == Preprocessing(96, mean=(0.0,) * 3, std=(255.0,) * 3)
    pixels = _photos(np.random.default_rng(3))[:8]
    x = F.interpolate(pixels, (96, 96)).round() / 255
    probabilities = _logits(path, x).softmax(1).numpy()
    interpreter = Interpreter(str(_WEIGHTS / "vww_96_float.tflite"))
    interpreter.allocate_tensors()
    for image, row in zip(x.permute(0, 2, 3, 1).numpy(), probabilities, strict=True):
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
        interpreter.invoke()
        expected = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]
        np.testing.assert_allclose(row, expected, atol=1e-4)


_KERNEL = "model_weights/dense/dense/kernel:0"
_DAMAGE = {
    "another shape": (
        _KERNEL,
        np.zeros((255, 5)),
        "dense (1, 1, 255, 5) does not fit as the classifier of 256 features",
    ),
    "a negative variance": (
        "model_weights/conv1_bn/conv1_bn/moving_variance:0",
        np.full(8, -1.0),
        "conv1_bn has a negative variance",
    ),
    "a missing array": (_KERNEL, None, "layer dense (Dense) has no array kernel; found: bias"),
    "one array too much": (
        "model_weights/other/other/kernel:0",
        np.zeros((3, 3)),
        "belong to no layer of a MobileNet: other/other/kernel:0 (3, 3)",
    ),
    "filters of other channels": (
        "model_weights/conv_pw_1/conv_pw_1/kernel:0",
        np.zeros((1, 1, 9, 16)),
        "conv_pw_1/conv_pw_1/kernel:0 (1, 1, 9, 16) does not fit the 8 channels before it",
    ),
}


@pytest.mark.parametrize(("place", "values", "message"), _DAMAGE.values(), ids=_DAMAGE.keys())
def test_arrays_that_do_not_fit_are_refused(
    tmp_path: Path, place: str, values: np.ndarray | None, message: str
) -> None:
    path = Writer(Flavour()).network().write(tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        if place in file:
            del file[place]
        if values is not None:
            file[place] = values.astype("f4")
    with pytest.raises(ModelError, match=re.escape(message)) as caught:
        import_weights(path)
    assert str(caught.value).startswith(f"{path}: ")


def _setting(name: str, key: str, value: object) -> Callable[[list[dict[str, Any]]], None]:
    def change(layers: list[dict[str, Any]]) -> None:
        next(layer for layer in layers if layer["name"] == name)["config"][key] = value

    return change


def _kind(name: str, kind: str) -> Callable[[list[dict[str, Any]]], None]:
    def change(layers: list[dict[str, Any]]) -> None:
        next(layer for layer in layers if layer["name"] == name)["class_name"] = kind

    return change


def _branch(layers: list[dict[str, Any]]) -> None:
    layers[20]["inbound_nodes"][0].append([layers[3]["name"], 0, 0, {}])


def _without(name: str) -> Callable[[list[dict[str, Any]]], None]:
    def change(layers: list[dict[str, Any]]) -> None:
        place = next(place for place, layer in enumerate(layers) if layer["name"] == name)
        inbound = layers.pop(place)["inbound_nodes"]
        layers[place]["inbound_nodes"] = inbound

    return change


_CHANGES = {
    "another layer": (
        _kind("pool", "GlobalMaxPooling2D"),
        "layer pool is a GlobalMaxPooling2D, which is not part of any MobileNet",
    ),
    "a branch": (_branch, "only single chains of layers are supported"),
    "a tanh": (_setting("dense", "activation", "tanh"), "the classifier ends in tanh (dense)"),
    "channels first": (_setting("conv1", "data_format", "channels_first"), "conv1 has data_format channels_first"),
    "a dilation": (_setting("conv1", "dilation_rate", [2, 2]), "conv1/conv1/kernel:0 (3, 3, 3, 8) is dilated"),
    "three strides": (_setting("conv1", "strides", [3, 3]), "conv1/conv1/kernel:0 (3, 3, 3, 8) has strides (3, 3)"),
    "a slope": (_setting("conv1_relu", "negative_slope", 0.1), "conv1_relu is a ReLU with a slope"),
    "ReLU up to 4": (_setting("conv1_relu", "max_value", 4.0), "a maximum of 4.0"),
    "odd padding": (_setting("conv1_pad", "padding", [[2, 1], [2, 1]]), "is padded by (2, 1, 2, 1) pixels, then valid"),
    "no pooling": (_without("pool"), "dense/dense/kernel:0 (256, 5) reads an unpooled plane"),
    "a norm of another axis": (_setting("conv1_bn", "axis", [1]), "conv1_bn is not between"),
    "photos that are no squares": (
        _setting("input", "batch_input_shape", [None, 64, 32, 3]),
        "photos of 32 × 64 pixels",
    ),
    "grey photos": (_setting("input", "batch_input_shape", [None, 64, 64, 1]), "colour photos"),
}


@pytest.mark.parametrize(("change", "message"), _CHANGES.values(), ids=_CHANGES.keys())
def test_another_network_is_refused(
    tmp_path: Path, change: Callable[[list[dict[str, Any]]], None], message: str
) -> None:
    path = Writer(Flavour(pads=(0, 1), relu6=True)).network().write(tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        change(config["config"]["layers"])
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(ModelError, match=re.escape(message)):
        import_weights(path)


def _two_outputs(layers: list[dict[str, Any]]) -> None:
    layers.append({**layers[-1], "name": "other"})


@pytest.mark.parametrize(
    "change",
    [
        *(_setting("dense", "activation", name) for name in ("tanh", "relu")),
        *(_kind("pool", name) for name in ("GlobalMaxPooling2D", "Flatten")),
        *(_kind("dropout", "LayerNormalization"), _two_outputs),
    ],
)
def test_any_other_head_leaves_the_backbone(tmp_path: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
    path = Writer(Flavour(pads=(0, 1), relu6=True)).network().write(tmp_path / "model.h5")
    whole = import_weights(path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        change(config["config"]["layers"])
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(ModelError, match=r"its backbone can be trained with mobilenet train DATA --weights"):
        import_weights(path)
    body = import_backbone(path)
    assert "only the backbone of model.h5 is used" in body.notes[0]
    assert body.tensors.keys() == whole.tensors.keys() - {"classifier.weight", "classifier.bias"}
    assert all(np.array_equal(values, whole.tensors[name]) for name, values in body.tensors.items())


def test_weights_below_the_name_of_a_nested_model_are_found(tmp_path: Path) -> None:
    path = Writer(_APPLICATION).network().write(tmp_path / "weights_64.h5", config=False)
    plain = import_weights(path)
    nested = tmp_path / "nested_64.h5"
    with h5py.File(path) as file, h5py.File(nested, "w") as copy:
        for name in {*file} - {"conv_preds"}:
            for variable in file[name].get(name, ()):
                copy[f"mobilenet_0.25_64/{name}/{variable}"] = file[name][name][variable][()]
        copy["dense/dense/kernel:0"] = np.zeros((256, 3), "f4")
    assert all(np.array_equal(values, plain.tensors[name]) for name, values in import_backbone(nested).tensors.items())


def test_names_of_applications_say_nothing_of_filters_for_unscaled_pixels(tmp_path: Path) -> None:
    writer = Writer(_APPLICATION).network()
    writer.arrays["conv1"]["kernel"] = writer.arrays["conv1"]["kernel"] / 255
    imported = import_weights(writer.write(tmp_path / "model.h5"))
    assert imported.card.preprocessing == Preprocessing(64, None, (0.0,) * 3, (1.0,) * 3)
    assert "its first filters are as small as filters for unscaled pixels" in imported.notes[0]


def test_padding_that_is_tensorflows_on_even_sides_alone_is_refused_on_odd_ones(tmp_path: Path) -> None:
    writer = Writer(Flavour(pads=(0, 1)), side=65)
    with pytest.raises(ModelError, match=re.escape("is padded by (0, 1, 0, 1) pixels, then valid")):
        read_keras(writer.network().write(tmp_path / "model.h5"))


def test_weights_of_unknown_names_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        file["conv2d/conv2d/kernel:0"] = np.zeros((3, 3, 3, 8), "f4")
    with pytest.raises(ModelError, match=r"weights without the model \(conv2d, …\).*model.save\('model.h5'\)"):
        read_keras(path)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return Writer(_APPLICATION).network().write(tmp_path_factory.mktemp("keras") / "sound.h5").read_bytes()


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_refused_or_read(tmp_path: Path, sound: bytes, data: st.DataObject) -> None:
    content = bytearray(sound)
    for _ in range(data.draw(st.integers(1, 8))):
        # Nine tenths of the file are numbers; what describes them is at its beginning.
        place = data.draw(st.integers(0, data.draw(st.sampled_from([200, 20_000, len(content) - 9]))))
        content[place : place + 8] = data.draw(st.binary(min_size=1, max_size=8)).ljust(1)
    path = tmp_path / "damaged.h5"
    path.write_bytes(content[: data.draw(st.sampled_from([len(content)] * 9 + [len(content) // 2]))])
    with suppress(ModelError):
        assert all(np.isfinite(conv.filters).all() for conv in read_keras(path).convs)
