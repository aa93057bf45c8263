"""Every table of ours is found again in a foreign network, and anything else is refused by name and shape."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mobilenet.errors import ModelError
from mobilenet.images import Preprocessing
from mobilenet.nn.model_file import build_network, read_model, write_model
from mobilenet.spec import Conv, ConvStyle, Linear, Network, Padding, mobilenet_v1
from mobilenet.spec.mobilenet import MOBILENETS
from mobilenet.weights.layers import ForeignConv, ForeignLinear, ForeignNetwork, ForeignNorm
from mobilenet.weights.match import recognise

_FOLDED = ConvStyle("tensorflow", "relu6", batch_norm=False)
_RANDOM = np.random.default_rng(0)


def _numbers(*shape: int) -> Any:
    return _RANDOM.standard_normal(shape).astype(np.float32)


def _foreign_conv(row: Conv) -> ForeignConv:
    size, out = int(np.max(row.kernel_size)), row.out_channels
    norm = ForeignNorm(_numbers(out), _numbers(out), _numbers(out), _numbers(out) ** 2, row.epsilon)
    return ForeignConv(
        name=f"their {row.name}",
        filters=_numbers(out, row.in_channels // row.groups, size, size),
        stride=row.stride,
        groups=row.groups,
        padding=row.padding,
        activation=row.activation,
        bias=None if row.batch_norm else _numbers(out),
        norm=norm if row.batch_norm else None,
    )


def _foreign(table: Network) -> ForeignNetwork:
    """What a reader would make of a file with this network."""
    convs = tuple(_foreign_conv(row) for row in table.rows if isinstance(row, Conv))
    linear = [row for row in table.rows if isinstance(row, Linear)]
    classifier = [ForeignLinear("their matrix", _numbers(row.out_features, row.in_features), None) for row in linear]
    return ForeignNetwork("file", convs, classifier[0] if classifier else None, table.resolution)


def _changed(network: ForeignNetwork, number: int, **fields: Any) -> ForeignNetwork:
    convs = list(network.convs)
    convs[number] = replace(convs[number], **fields)
    return replace(network, convs=tuple(convs))


@pytest.mark.parametrize("architecture", MOBILENETS)
@pytest.mark.parametrize("width", [1.0, 0.75, 0.5, 0.25, 0.35, 0.1, 1.3])
def test_every_table_is_found_again(architecture: str, width: float) -> None:
    style = ConvStyle("symmetric", "relu", 1e-3)
    table = MOBILENETS[architecture](width, 64, 3, style)
    imported = recognise(_foreign(table))
    card = imported.card
    assert (card.architecture, card.width_multiplier, card.resolution) == (architecture, width, 64)
    assert card.style == style
    assert card.labels == ("class 0", "class 1", "class 2")
    assert card.network().rows == table.rows


@pytest.mark.parametrize("style", [_FOLDED, ConvStyle("symmetric", "relu", 1e-3)])
@pytest.mark.parametrize("classes", [3, 0])
def test_what_is_imported_is_a_model_file_of_ours(style: ConvStyle, classes: int, tmp_path: Path) -> None:
    foreign = _foreign(mobilenet_v1(0.25, 32, classes, style))
    imported = recognise(foreign, labels=("a", "b", "c") if classes else None)
    tensors = {name: torch.from_numpy(values) for name, values in imported.tensors.items()}
    write_model(tmp_path / "m.safetensors", build_network(imported.card, tensors, Path("x")), imported.card)
    network, card = read_model(tmp_path / "m.safetensors")
    assert card == imported.card
    state = network.state_dict()
    np.testing.assert_array_equal(state["block13.pointwise.conv.weight"].numpy(), foreign.convs[-1].filters)
    if foreign.convs[3].norm is not None:
        np.testing.assert_array_equal(state["block2.depthwise.norm.running_var"], foreign.convs[3].norm.variance)
    if foreign.classifier is not None:
        np.testing.assert_array_equal(state["classifier.weight"].numpy(), foreign.classifier.matrix)
        assert not state["classifier.bias"].any()


def test_arrays_that_may_not_be_written_to_are_copied_for_torch() -> None:
    foreign = _foreign(mobilenet_v1(0.25, 32, 3))
    foreign.convs[0].filters.flags.writeable = False
    assert all(values.flags.writeable for values in recognise(foreign).tensors.values())


def test_a_bias_before_a_norm_moves_its_mean() -> None:
    foreign = _foreign(mobilenet_v1(0.25, 32, 3))
    mean = foreign.convs[0].norm.mean if foreign.convs[0].norm else None
    tensors = recognise(_changed(foreign, 0, bias=np.ones(8, np.float32))).tensors
    np.testing.assert_allclose(tensors["stem.norm.running_mean"], mean - 1)


def test_paddings_that_are_the_same_where_there_is_no_stride_are_told_apart_where_there_is() -> None:
    foreign = _foreign(mobilenet_v1(0.25, 32, 3, _FOLDED))
    paddings: list[Padding] = ["tensorflow" if conv.stride > 1 else "symmetric" for conv in foreign.convs]
    convs = [replace(conv, padding=padding) for conv, padding in zip(foreign.convs, paddings, strict=True)]
    convs[2] = replace(convs[2], padding="valid")
    assert recognise(replace(foreign, convs=tuple(convs))).card.style.padding == "tensorflow"


_WRONG: list[tuple[Callable[[ForeignNetwork], ForeignNetwork], str]] = [
    (lambda n: replace(n, convs=n.convs[:-1]), "file has 26 convolutions, which fits no architecture: mobilenet_v1 27"),
    (lambda n: _changed(n, 4, filters=_numbers(31, 16, 1, 1)), "their block2.pointwise has filters (31, 16, 1, 1)"),
    (lambda n: _changed(n, 4, filters=_numbers(32, 16)), "their block2.pointwise has shape (32, 16)"),
    (lambda n: _changed(n, 3, stride=1), "their block2.depthwise has filters (16, 1, 3, 3), stride 1, groups 16"),
    (lambda n: _changed(n, 3, groups=1), "their block2.depthwise has filters (16, 1, 3, 3), stride 2, groups 1"),
    (lambda n: _changed(n, 1, padding="valid"), "their block1.depthwise of shape (8, 1, 3, 3) is not padded"),
    (lambda n: _changed(n, 3, padding="symmetric"), "their block2.depthwise of shape (16, 1, 3, 3) is symmetric"),
    (
        lambda n: _changed(n, 3, activation="relu"),
        "their block2.depthwise of shape (16, 1, 3, 3) has no batch norm and",
    ),
    (lambda n: _changed(n, 5, bias=_numbers(3)), "conv.bias of their block3.depthwise is (3,)"),
    (lambda n: _changed(n, 5, bias=np.full(32, np.inf, np.float32)), "block3.depthwise.conv.bias of shape (32,) holds"),
    (
        lambda n: replace(n, classifier=ForeignLinear("their matrix", _numbers(3, 255), None)),
        "their matrix has shape (3, 255), but 256 features reach it",
    ),
    (
        lambda n: replace(n, classifier=ForeignLinear("their matrix", _numbers(3, 256), _numbers(4))),
        "the bias of their matrix has shape (4,)",
    ),
    (lambda n: replace(n, resolution=100), "file: resolution 100 is not a multiple of 32"),
]


@pytest.mark.parametrize(("change", "fault"), _WRONG)
def test_anything_else_is_refused(change: Callable[[ForeignNetwork], ForeignNetwork], fault: str) -> None:
    with pytest.raises(ModelError) as caught:
        recognise(change(_foreign(mobilenet_v1(0.25, 32, 3, _FOLDED))))
    assert fault in str(caught.value)
    assert str(caught.value).startswith("file")
    assert len(str(caught.value).splitlines()) == 1


def test_norms_that_differ_are_refused() -> None:
    foreign = _foreign(mobilenet_v1(0.25, 32, 3))
    norm = foreign.convs[7].norm
    assert norm is not None
    with pytest.raises(ModelError, match=r"their block4.depthwise has epsilon 0.001, not 1e-05"):
        recognise(_changed(foreign, 7, norm=replace(norm, epsilon=1e-3)))
    with pytest.raises(ModelError, match=r"their block4.depthwise of shape \(32, 1, 3, 3\) has no batch norm"):
        recognise(_changed(foreign, 7, norm=None))
    with pytest.raises(ModelError, match="negative variance"):
        recognise(_changed(foreign, 7, norm=replace(norm, variance=-norm.variance)))


def test_networks_without_activations_are_refused() -> None:
    with pytest.raises(ModelError, match="not followed by a ReLU"):
        recognise(_foreign(mobilenet_v1(0.25, 32, 3, ConvStyle(activation="none"))))


def test_names_fit_the_outputs_or_are_refused() -> None:
    foreign = _foreign(mobilenet_v1(0.25, 32, 1001, _FOLDED))
    thousand = tuple(f"name {number}" for number in range(1000))
    assert recognise(foreign, labels=thousand).card.labels == ("background", *thousand)
    assert recognise(foreign, labels=("x", *thousand)).card.labels == ("x", *thousand)
    assert recognise(replace(foreign, labels=("x", *thousand))).card.labels[0] == "x"
    with pytest.raises(ModelError, match="file has 1,001 outputs, but the label file 7 names"):
        recognise(foreign, labels=thousand[:7])
    with pytest.raises(ModelError, match="file has no classifier, but the label file 1,000 names"):
        recognise(replace(foreign, classifier=None), labels=thousand)
    imported = recognise(replace(foreign, labels=thousand[:7]))
    assert imported.card.labels[1000] == "class 1000"
    assert "the file has 1,001 outputs and 7 class names, which were ignored" in imported.label_notes


def test_what_is_given_wins_and_what_is_assumed_is_noted() -> None:
    foreign = replace(_foreign(mobilenet_v1(0.25, 32, 3, _FOLDED)), resolution=None)
    assumed = recognise(foreign)
    assert assumed.card.preprocessing == Preprocessing(224)
    assert sum("assumed" in note for note in assumed.notes) == 2
    said = replace(foreign, resolution=96, preprocessing=Preprocessing(96, 0.9, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0)))
    assert recognise(said).card.preprocessing == said.preprocessing
    given = recognise(said, resolution=128, mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0))
    assert given.card.preprocessing == Preprocessing(128, 0.9, (0.0, 0.0, 0.0), (255.0, 255.0, 255.0))
    assert given.card.resolution == 128
    assert not any("assumed" in note for note in given.notes)
    with pytest.raises(ModelError, match="file: preprocessing: std"):
        recognise(said, std=(0.0, 0.0, 0.0))


@pytest.mark.parametrize(("classes", "crop"), [(1000, 0.875), (1001, 0.875), (999, None), (0, None)])
def test_imagenet_classifiers_see_the_centre(classes: int, crop: float | None) -> None:
    foreign = _foreign(mobilenet_v1(0.25, 32, classes, _FOLDED))
    assert recognise(foreign).card.preprocessing.crop_fraction == crop
