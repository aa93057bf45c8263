"""The layers of a Keras model in the order of computation: from its `model_config`, or from the names of its weights.

Only networks that are a single chain are supported; nested models (a backbone with a new classifier) are flattened.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from mobilenet.errors import ModelError

__all__ = ["Layer", "application_layers", "config_layers"]

_Index = Mapping[tuple[str, str], list[str]]

_MAX_LAYERS = 1000
_MODELS = {"Functional", "Model", "Sequential"}
_STRIDED = {2, 4, 6, 12}
"""The blocks of `keras.applications.MobileNet` whose depthwise convolution has stride 2."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: its class, its name, its settings as Keras writes them, and the path of each of its variables."""

    kind: str
    name: str
    settings: Mapping[str, Any]
    variables: Mapping[str, str]


def config_layers(config: dict[str, Any], paths: Sequence[str]) -> tuple[list[Layer], str | None]:
    """The layers described by a `model_config` up to where they branch, with their variables among `paths`, and how
    they branch there, None if they are a single chain. ModelError for more layers than any MobileNet has."""
    layers: list[Layer] = []
    fault = None
    try:
        layers.extend(islice(_flatten(config, _index(paths), ""), _MAX_LAYERS + 1))
    except ModelError as error:
        fault = str(error)
    if len(layers) > _MAX_LAYERS:
        raise ModelError(f"its model_config has more than {_MAX_LAYERS} layers; a MobileNet has about 100")
    return layers, fault


def application_layers(groups: Sequence[str], paths: Sequence[str]) -> list[Layer]:
    """The layers of `keras.applications.MobileNet` for a file with only its weights, be they below the name of one
    nested model; ModelError for other names."""
    top = "" if "conv1" in groups else _nested(paths)
    names = set(groups) if top == "" else {path.split("/")[1] for path in paths if path.startswith(f"{top}/")}
    if "conv1" not in names:
        shown = ", ".join(groups[:3]) or "nothing"
        hint = "it contains weights without the model" if groups else "it is empty"
        raise ModelError(
            f"{hint} ({shown}, …), and only those of keras.applications.MobileNet are recognised by name; "
            "save the whole model with model.save('model.h5')"
        )
    layers = [*_application_conv("conv1", "Conv2D", 2)]
    block = 1
    while f"conv_dw_{block}" in names or f"conv_pw_{block}" in names:
        layers += _application_conv(f"conv_dw_{block}", "DepthwiseConv2D", 2 if block in _STRIDED else 1)
        layers += _application_conv(f"conv_pw_{block}", "Conv2D", 1)
        block += 1
    holding = {path.split("/")[-2] for path in paths if "/" in path}
    for last in sorted({"conv_preds", "predictions", "preds"} & names & holding):
        kind = "Conv2D" if last == "conv_preds" else "Dense"
        layers += [_layer("GlobalAveragePooling2D", "pool"), _layer(kind, last, strides=1, padding="same")]
    index = _index(paths)
    return [Layer(layer.kind, layer.name, layer.settings, _variables(layer.name, top, index)) for layer in layers]


def _nested(paths: Sequence[str]) -> str:
    """The name of the one model whose layers are below it; empty if there is none, or more than one."""
    found = {parts[0] for parts in (path.split("/") for path in paths) if parts[1:2] == ["conv1"]}
    return found.pop() if len(found) == 1 else ""


def _application_conv(name: str, kind: str, stride: int) -> Iterator[Layer]:
    yield _layer(kind, name, strides=stride, padding="same")
    yield _layer("BatchNormalization", f"{name}_bn", epsilon=1e-3)
    yield _layer("ReLU", f"{name}_relu", max_value=6.0)


def _layer(kind: str, name: str, **settings: object) -> Layer:
    return Layer(kind, name, settings, {})


def _flatten(model: dict[str, Any], index: _Index, top: str) -> Iterator[Layer]:
    content = model["config"]
    documents = content["layers"] if isinstance(content, dict) else content
    chained = isinstance(content, dict) and "output_layers" in content
    previous = ""
    for document in documents:
        kind, settings = document["class_name"], document["config"]
        name = str(document.get("name") or settings["name"])
        if chained and previous:
            _check_chain(name, document["inbound_nodes"], previous)
        previous = name
        if kind in _MODELS:
            yield from _flatten(document, index, top or name)
        else:
            operand = {"operand": _operand(document.get("inbound_nodes"))}
            yield Layer(kind, name, {**settings, **operand}, _variables(name, top, index))
    if chained and (outputs := {source for source, _ in _tensors(content["output_layers"])}) != {previous}:
        raise ModelError(f"its outputs are {', '.join(sorted(outputs))}; the last layer must be the only output")


def _check_chain(name: str, inbound: object, previous: str) -> None:
    sources = [source for source, _ in _tensors(inbound)]
    if sources != [previous]:
        found = ", ".join(dict.fromkeys(sources)) or "nothing"
        raise ModelError(f"layer {name} reads {found}, not only {previous}; only single chains of layers are supported")


def _tensors(node: object) -> Iterator[tuple[str, object]]:
    """Every `[layer, node, tensor]` inside a description, as written by Keras 2 and 3, with what follows it."""
    if isinstance(node, dict):
        for value in node.values():
            yield from _tensors(value)
    elif isinstance(node, list):
        match node:
            case [str() as source, int(), int(), *rest]:
                yield source, rest
                node = rest
        for value in node:
            yield from _tensors(value)


def _operand(inbound: object) -> object:
    """The constant operand of a layer made from an operator, such as `x / 127.5`; None if it has none."""
    if not isinstance(inbound, list) or len(inbound) != 1:
        return None
    match inbound[0]:
        case {"args": [_, int() | float() as number]}:
            return number
        case [str(), int(), int(), {"y": int() | float() as number}]:
            return number
    return None


def _index(paths: Sequence[str]) -> _Index:
    """Arrays by the layer they may belong to: the name of its model, empty for the outermost one, and its own name."""
    index: dict[tuple[str, str], list[str]] = {}
    for path in paths:
        top, *inner = path.split("/")
        for key in {("", top), *((top, name) for name in inner[:-1])}:
            index.setdefault(key, []).append(path)
    return index


def _variables(name: str, top: str, index: _Index) -> dict[str, str]:
    """The path of each variable of a layer; a layer of a nested model is below the name of that model."""
    found = index.get((top, name), [])
    variables = {path.rsplit("/", 1)[-1].removesuffix(":0"): path for path in found}
    if len(variables) != len(found):
        raise ModelError(f"layer {name} has two arrays with the same name: {', '.join(found[:4])}")
    return variables
