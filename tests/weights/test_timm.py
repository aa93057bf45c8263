"""Files are written here with timm's names and shapes, and computed here by torch's functions alone."""

import json
import re
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from mobilenet.errors import ModelError
from mobilenet.images import Preprocessing
from mobilenet.nn.model_file import build_network
from mobilenet.weights.match import recognise
from mobilenet.weights.read import import_backbone, import_weights
from mobilenet.weights.timm.read import read_timm

_BLOCKS = ((1, 64, 1), (2, 128, 2), (2, 256, 2), (6, 512, 2), (2, 1024, 2))
"""Blocks, output channels and stride of each stage of timm's mobilenetv1_100."""


def _layers(width: float, *, head: bool) -> Iterator[tuple[str, str, tuple[int, int, int], int]]:
    """Convolution, norm, (out, in, kernel) and stride; a negative kernel is depthwise."""
    channels = int(32 * width)
    yield "conv_stem", "bn1", (channels, 3, 3), 2
    for stage, (blocks, base, stride) in enumerate(_BLOCKS):
        for block in range(blocks):
            name, out = f"blocks.{stage}.{block}", int(base * width)
            yield f"{name}.conv_dw", f"{name}.bn1", (channels, 1, 3), stride if block == 0 else 1
            yield f"{name}.conv_pw", f"{name}.bn2", (out, channels, 1), 1
            channels = out
    if head:
        yield "conv_head", "bn2", (1024, channels, 1), 1


def _tensors(width: float = 0.25, *, head: bool = False, classes: int = 5) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(0)
    tensors, out = {}, 0
    for conv, norm, (out, inputs, kernel), _ in _layers(width, head=head):
        filters = torch.randn(out, inputs, kernel, kernel, generator=random)
        tensors[f"{conv}.weight"] = filters * (2 / (inputs * kernel**2)) ** 0.5
        tensors[f"{norm}.weight"] = 0.5 + torch.rand(out, generator=random)
        tensors[f"{norm}.bias"] = 0.2 * torch.randn(out, generator=random)
        tensors[f"{norm}.running_mean"] = 0.2 * torch.randn(out, generator=random)
        tensors[f"{norm}.running_var"] = 0.5 + torch.rand(out, generator=random)
        tensors[f"{norm}.num_batches_tracked"] = torch.tensor(7)
    if classes:
        tensors["classifier.weight"] = torch.randn(classes, out, generator=random)
        tensors["classifier.bias"] = torch.randn(classes, generator=random)
    return tensors


def _compute(tensors: dict[str, Tensor], x: Tensor, width: float, *, head: bool) -> Tensor:
    x = x.double()
    values = {name: tensor.double() for name, tensor in tensors.items()}
    for conv, norm, (_, _, kernel), stride in _layers(width, head=head):
        groups = x.shape[1] if conv.endswith("conv_dw") else 1
        x = F.conv2d(x, values[f"{conv}.weight"], None, stride, kernel // 2, groups=groups)
        parts = (values[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        x = F.batch_norm(x, *parts, eps=1e-5).clamp(0, 6)
    return F.linear(x.mean((2, 3)), values["classifier.weight"], values["classifier.bias"])


def _write(folder: Path, tensors: dict[str, Tensor], config: object = None) -> Path:
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config), "utf-8")
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder / "model.safetensors"


def _config(**changes: Any) -> dict[str, Any]:
    """As on the hub for mobilenetv1_100.ra4_e3600_r224_in1k, but for the classes."""
    pretrained = {
        "tag": "ra4_e3600_r224_in1k",
        "input_size": [3, 224, 224],
        "test_input_size": [3, 256, 256],
        "interpolation": "bicubic",
        "crop_pct": 0.875,
        "test_crop_pct": 0.95,
        "crop_mode": "center",
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "num_classes": 5,
    }
    inside = {
        name: value for name, value in changes.items() if name in {*pretrained, "extra"} and name != "num_classes"
    }
    outside = {name: value for name, value in changes.items() if name not in inside}
    config = {"architecture": "mobilenetv1_100", "num_classes": 5, "num_features": 256}
    return {**config, "pretrained_cfg": {**pretrained, **inside}, **outside}


@pytest.mark.parametrize(("width", "head"), [(0.25, False), (1.25, False), (0.5, True)])
def test_a_file_computes_what_timm_computes(tmp_path: Path, width: float, head: bool) -> None:  # noqa: FBT001
    tensors = _tensors(width, head=head)
    path = _write(tmp_path, tensors, _config())
    imported = recognise(read_timm(path))
    assert imported.card.architecture == ("mobilenet_v1_head" if head else "mobilenet_v1")
    assert imported.card.width_multiplier == width
    ours = {name: torch.from_numpy(values) for name, values in imported.tensors.items()}
    x = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    expected = _compute(tensors, x, width, head=head)
    with torch.no_grad():
        logits = build_network(imported.card, ours, path)(x)["probabilities"].double()
    # float32 against float64, sums of 27 layers.
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())


@pytest.mark.parametrize("prefix", ["module.", "model.backbone."])
def test_a_prefix_of_all_names_changes_nothing(tmp_path: Path, prefix: str) -> None:
    plain = import_weights(_write(tmp_path, _tensors()))
    prefixed = import_weights(_write(tmp_path, {f"{prefix}{name}": value for name, value in _tensors().items()}))
    assert prefixed.card.labels == plain.card.labels
    assert all(np.array_equal(values, prefixed.tensors[name]) for name, values in plain.tensors.items())


def test_a_head_of_other_names_leaves_the_backbone(tmp_path: Path) -> None:
    plain = import_backbone(_write(tmp_path, _tensors(classes=0)))
    head = {"head.1.weight": torch.zeros(7, 256), "head.1.bias": torch.zeros(7)}
    tensors = {**{f"backbone.{name}": value for name, value in _tensors(classes=0).items()}, **head}
    path = _write(tmp_path, tensors, _config(num_classes=1000))
    with pytest.raises(ModelError, match=r"unexpected: head.1.bias \(7,\), head.1.weight.*mobilenet train DATA"):
        import_weights(path)
    body = import_backbone(path)
    assert "only the backbone of model.safetensors is used" in body.notes[0]
    assert body.card.labels == ()
    assert all(np.array_equal(values, body.tensors[name]) for name, values in plain.tensors.items())


def test_two_networks_in_one_file_are_refused(tmp_path: Path) -> None:
    tensors = {f"{prefix}.{name}": value for prefix in ("model", "model_ema") for name, value in _tensors().items()}
    with pytest.raises(ModelError, match=r"it contains 2 networks: model.conv_stem.weight, model_ema.conv_stem.weight"):
        import_backbone(_write(tmp_path, tensors))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_kinds_of_floats_become_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    tensors = {name: tensor if tensor.ndim == 0 else tensor.to(dtype) for name, tensor in _tensors().items()}
    network = read_timm(_write(tmp_path, tensors))
    filters = network.convs[-1].filters
    assert filters.dtype == np.float32
    np.testing.assert_array_equal(filters, tensors["blocks.4.1.conv_pw.weight"].float().numpy())


def test_the_description_beside_the_file_is_read(tmp_path: Path) -> None:
    names = ["ant", "bee", "cat", "dog", "elk"]
    path = _write(tmp_path, _tensors(), _config(label_names=names, mean=[0.2, 0.4, 0.6], std=[0.1, 0.2, 0.4]))
    network = read_timm(path)
    assert network.labels == tuple(names)
    assert network.resolution == 224
    assert network.preprocessing is not None
    assert network.preprocessing.crop_fraction == 0.875
    assert network.preprocessing.mean == pytest.approx((51, 102, 153))
    assert network.preprocessing.std == pytest.approx((25.5, 51, 102))
    assert network.notes == ("config.json gives 256 pixels for evaluation; 224, as in training, are used",)


def test_an_old_flat_description_and_a_squashed_photo_are_read(tmp_path: Path) -> None:
    flat = {**_config()["pretrained_cfg"], "architecture": "mobilenetv1_100", "crop_mode": "squash"}
    network = read_timm(_write(tmp_path, _tensors(), flat))
    assert network.preprocessing == Preprocessing(224)


def test_without_a_description_timms_own_is_assumed(tmp_path: Path) -> None:
    tensors = _tensors(classes=0)
    tensors["bn1.running_mean"] += 5  # what no photo leaves behind, in whatever units
    network = read_timm(_write(tmp_path, tensors))
    assert network.classifier is None
    assert network.resolution is None
    assert network.preprocessing == Preprocessing(224)
    assert "no config.json was found beside the file; (pixel - 127.5) / 127.5 is assumed" in network.notes[0]


_CONFIGS = {
    "another architecture": (_config(architecture="resnet50"), "its architecture is 'resnet50', not a mobilenetv1"),
    "no architecture": ({"model_type": "bert"}, "its architecture is None"),
    "other classes": (_config(num_classes=1000), "it has num_classes 1000, but the tensors have 5 classes"),
    "a changed network": (_config(model_args={"output_stride": 16}), "model_args change the network (output_stride)"),
    "too few names": (_config(label_names=["ant"]), "its label_names are not 5 strings"),
    "photos that are no squares": (_config(input_size=[3, 224, 192]), "its input size is [3, 224, 192]"),
    "no mean": ({"architecture": "mobilenetv1_100", "input_size": [3, 224, 224]}, "input_size, mean or std is missing"),
    "a mean of two": (_config(mean=[0.5, 0.5]), "is not what timm writes"),
    "a text": (_config(std="half"), "is not what timm writes"),
    "a deviation of 0": (_config(std=[0, 0, 0]), "std (0.0, 0.0, 0.0) is not three numbers above 0"),
    "a crop of 2": (_config(crop_pct=2), "crop_fraction 2.0 is not in (0, 1]"),
    "a list": ([1], "it is not an object but list"),
    "odd arguments": (_config(model_args=3), "is not what timm writes"),
}


@pytest.mark.parametrize(("config", "message"), _CONFIGS.values(), ids=_CONFIGS.keys())
def test_a_description_of_something_else_is_refused(tmp_path: Path, config: object, message: str) -> None:
    path = _write(tmp_path, _tensors(), config)
    with pytest.raises(ModelError, match=re.escape(message)) as caught:
        read_timm(path)
    assert str(caught.value).startswith(f"{tmp_path / 'config.json'}, read with model.safetensors beside it")


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[" * 100_000, b" " * 5_000_000])
def test_a_description_that_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    path = _write(tmp_path, _tensors())
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(
        ModelError, match=r"config\.json, read with model\.safetensors beside it: it (is not JSON|has 5)"
    ):
        read_timm(path)


def _set(name: str, value: Tensor) -> Callable[[dict[str, Tensor]], None]:
    return lambda tensors: tensors.__setitem__(name, value)


def _rename(old: str, new: str) -> Callable[[dict[str, Tensor]], None]:
    return lambda tensors: tensors.__setitem__(new, tensors.pop(old))


_DAMAGE = {
    "a missing norm": (
        lambda tensors: tensors.pop("blocks.2.1.bn1.weight"),
        "missing: blocks.2.1.bn1.weight; unexpected: none",
    ),
    "another name": (
        _rename("conv_stem.weight", "stem.weight"),
        "missing: conv_stem.weight; unexpected: stem.weight (8, 3, 3, 3)",
    ),
    "one more block": (
        _set("blocks.5.0.conv_dw.weight", torch.zeros(256, 1, 3, 3)),
        "missing: none; unexpected: blocks.5.0.conv_dw.weight (256, 1, 3, 3)",
    ),
    "a bias without a classifier": (
        lambda tensors: tensors.pop("classifier.weight"),
        "unexpected: classifier.bias (5,)",
    ),
    "grey photos": (
        _set("conv_stem.weight", torch.zeros(8, 1, 3, 3)),
        "conv_stem.weight (8, 1, 3, 3) does not read 3 channels with filters of 3×3 pixels",
    ),
    "other channels": (
        _set("blocks.3.2.conv_pw.weight", torch.zeros(128, 64, 1, 1)),
        "blocks.3.2.conv_pw.weight (128, 64, 1, 1) does not read 128 channels",
    ),
    "a larger filter": (
        _set("blocks.0.0.conv_dw.weight", torch.zeros(8, 1, 5, 5)),
        "blocks.0.0.conv_dw.weight (8, 1, 5, 5) does not read 8 channels",
    ),
    "a short norm": (_set("bn1.bias", torch.zeros(7)), "bn1.bias (7,) does not fit conv_stem.weight (8, 3, 3, 3)"),
    "a negative variance": (_set("bn1.running_var", -torch.ones(8)), "running_var (8,) contains negative variances"),
    "not finite": (_set("bn1.bias", torch.full((8,), torch.inf)), "bn1.bias (8,) contains values that are not finite"),
    "too large": (_set("bn1.bias", torch.full((8,), 1e300, dtype=torch.float64)), "bn1.bias (8,) contains values"),
    "whole numbers": (_set("bn1.bias", torch.zeros(8, dtype=torch.int32)), "bn1.bias (8,) has type I32"),
    "other features": (
        _set("classifier.weight", torch.zeros(5, 255)),
        "classifier.weight (5, 255) does not read 256 features",
    ),
    "other classes": (
        _set("classifier.bias", torch.zeros(6)),
        "classifier.bias (6,) does not fit classifier.weight (5, 256)",
    ),
    "no classes": (_set("classifier.weight", torch.zeros(0, 256)), "classifier.weight (0, 256) does not read"),
    "a name of two lines": (_set("two\nlines", torch.zeros(1)), "unexpected: two lines (1,)"),
}


@pytest.mark.parametrize(("damage", "message"), _DAMAGE.values(), ids=_DAMAGE.keys())
def test_other_tensors_are_refused(tmp_path: Path, damage: Callable[[dict[str, Tensor]], None], message: str) -> None:
    tensors = _tensors()
    damage(tensors)
    path = _write(tmp_path, tensors)
    with pytest.raises(ModelError, match=re.escape(message)) as caught:
        import_weights(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_file_that_declares_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    header = json.dumps(
        {"conv_stem.weight": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}
    ).encode()
    for content in (struct.pack("<Q", len(header)) + header, struct.pack("<Q", 1 << 40) + header, b"", header):
        path.write_bytes(content)
        tracemalloc.start()
        with pytest.raises(ModelError, match="is not a safetensors file, or is damaged"):
            read_timm(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
        tracemalloc.stop()
    with pytest.raises(ModelError, match="No such file"):
        read_timm(tmp_path / "nothing.safetensors")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return _write(tmp_path_factory.mktemp("timm"), _tensors()).read_bytes()


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_refused_or_read(tmp_path: Path, sound: bytes, data: st.DataObject) -> None:
    content = bytearray(sound)
    header = 8 + int.from_bytes(sound[:8], "little")
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, data.draw(st.sampled_from([8, header, len(content) - 1]))))
        content[place : place + 1] = data.draw(st.binary(max_size=2))
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(content)
    with suppress(ModelError):
        assert all(np.isfinite(conv.filters).all() for conv in read_timm(path).convs)
