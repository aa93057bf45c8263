"""Recognises networks that this tool does not read, MobileNet V2 and V3 and EfficientNet, to name them in errors.

All have depthwise convolutions as MobileNet V1 has, and sums of two tensors besides (residual connections). V3 and
EfficientNet multiply two tensors as well (squeeze-and-excitation), V3 with hard activations, EfficientNet with swish.
EfficientNet-Lite has neither, but depthwise filters of 5 × 5, which V2 does not have.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobilenet.errors import ModelError

__all__ = ["family", "family_of_names"]

_V2, _V3, _EFFICIENT = "a MobileNet V2", "a MobileNet V3", "an EfficientNet"

_NAMES = {
    _V3: r"mobilenet_?v?3|hard_?swish|h_swish|features[./]\d+[./]block[./]\d+[./](0|fc1)\b",
    _EFFICIENT: (
        r"efficientnet|\bblock\d[a-z]_(expand|dw|se|project)|_blocks\.\d+\._(expand|depthwise|se|project)|"
        r"features[./]\d+[./](features\.\d+\.)?\d+[./]block[./]\d"
    ),
    _V2: r"mobilenet_?v2|\bblock_\d+_(expand|project)|expanded_conv|features[./](features\.)?\d+[./]conv[./]",
}
"""Names of layers in Keras, TensorFlow, torchvision and Hugging Face, tried in this order."""

_TIMM_BLOCK, _TIMM_GATE = re.compile(r"blocks\.\d+\.\d+\.conv_pwl\."), re.compile(r"blocks\.\d+\.\d+\.se\.")


@dataclass(slots=True)
class _Traits:
    """What the operators of a network are; `sums` and `gates` are of two tensors, not of one and a constant."""

    depthwise: bool = False
    wide_filters: bool = False
    sums: bool = False
    gates: bool = False
    swish: bool = False
    hard: bool = False

    def family(self) -> str | None:
        if not self.depthwise or not self.sums:
            return None
        if self.hard:
            return _V3
        if self.gates or self.swish:
            return _EFFICIENT if self.swish else _V3
        return _EFFICIENT if self.wide_filters else _V2


def family(kind: str, path: Path) -> str | None:
    """The network in a file of one of the kinds that `weights.read` reads: TFLite, Keras HDF5 or timm safetensors; None
    for any other network, and for a file that cannot be read."""
    readers = {"TFLite": _tflite, "Keras HDF5": _keras, "timm safetensors": _safetensors}
    try:
        return readers[kind](path)
    except (ModelError, OSError, LookupError, TypeError, ValueError, AttributeError):
        # The reader's own message about the file is the better one.
        return None


def family_of_names(names: str) -> str | None:
    """By the names of its layers, anywhere in a text; None if they are of none."""
    found = (name for name, pattern in _NAMES.items() if re.search(pattern, names, re.IGNORECASE))
    timm = _TIMM_BLOCK.search(names)
    if not timm:
        return next(found, None)
    if not _TIMM_GATE.search(names):
        return _V2
    return _V3 if re.search(r"\bconv_head\.bias", names) else _EFFICIENT


def _tflite(path: Path) -> str | None:
    from mobilenet.weights.tflite.file import read_graph

    graph = read_graph(path.read_bytes(), str(path))
    traits = _Traits(hard=any(operator.kind == "HARD_SWISH" for operator in graph.operators))
    logistic = {number for operator in graph.operators if operator.kind == "LOGISTIC" for number in operator.outputs}
    for operator in graph.operators:
        given = [graph.tensors[number] for number in operator.inputs if number >= 0]
        two = len(given) == 2 and all(tensor.values is None and len(tensor.shape) == 4 for tensor in given)
        traits.sums |= two and operator.kind == "ADD"
        traits.gates |= two and operator.kind == "MUL"
        traits.swish |= two and operator.kind == "MUL" and bool(logistic.intersection(operator.inputs))
        if operator.kind == "DEPTHWISE_CONV_2D":
            traits.depthwise = True
            traits.wide_filters |= given[1].shape[1:3] == (5, 5)
    return traits.family()


def _keras(path: Path) -> str | None:
    from mobilenet.weights.keras.hdf5 import open_hdf5

    with open_hdf5(path) as file:
        if file.config is None:
            return family_of_names(" ".join(file.shapes))
        return _keras_config(file.config)


def _keras_config(config: dict[str, Any]) -> str | None:
    traits = _Traits()
    for layer in _layers(config):
        kind, settings = str(layer["class_name"]), layer["config"]
        activation = str(settings.get("activation") or "").lower()
        traits.depthwise |= kind == "DepthwiseConv2D"
        traits.wide_filters |= kind == "DepthwiseConv2D" and settings.get("kernel_size") in ([5, 5], 5)
        two = str(layer.get("inbound_nodes")).count("keras_history") > 1 or _sources(layer.get("inbound_nodes")) > 1
        traits.sums |= two and kind == "Add"
        traits.gates |= two and kind == "Multiply"
        traits.hard |= kind == "HardSwish" or activation in {"hard_swish", "hard_silu", "hard_sigmoid"}
        traits.swish |= activation in {"swish", "silu"}
    return traits.family()


def _layers(model: dict[str, Any]) -> Iterator[dict[str, Any]]:
    content = model["config"]
    for layer in content["layers"] if isinstance(content, dict) else content:
        if isinstance(layer["config"], dict) and "layers" in layer["config"]:
            yield from _layers(layer)
        else:
            yield layer


def _sources(nodes: Any) -> int:
    """The number of tensors that a layer of Keras 2 reads: `[[["a", 0, 0, {}], ["b", 0, 0, {}]]]`."""
    return len(nodes[0]) if isinstance(nodes, list) and nodes and isinstance(nodes[0], list) else 0


def _safetensors(path: Path) -> str | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), "np") as file:
            names = list(file.keys())
            sides = {tuple(file.get_slice(name).get_shape())[2:] for name in names if ".conv_dw.weight" in name}
    except SafetensorError:
        return None
    found = family_of_names(" ".join(names))
    return _EFFICIENT if found == _V2 and (5, 5) in sides else found
