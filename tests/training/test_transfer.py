"""Starting from other weights: nothing of them is lost, and what is fitted is fitted right."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.export.heads import HEADS
from torch.nn import functional as F

from mobilenet.errors import ConfigError
from mobilenet.images import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.nn.layers import BatchNorm, ConvUnit
from mobilenet.nn.linear_probe import fit_head
from mobilenet.nn.model_file import write_model
from mobilenet.nn.network import TableNetwork
from mobilenet.nn.schedule import frozen_parts
from mobilenet.spec import ConvStyle, mobilenet_v1
from mobilenet.tasks.classification import Classification
from mobilenet.training.optim.optimizer import parameter_groups
from mobilenet.training.record import card_of
from mobilenet.training.settings import TrainingSettings
from mobilenet.training.start.norms import restate_norms
from mobilenet.training.start.transfer import Source, adopt, begin, open_source, thinner, with_norms

_FOLDED = ConvStyle("tensorflow", "relu6", 1e-3, batch_norm=False)


def _network(style: ConvStyle, classes: int = 3) -> TableNetwork:
    """Random weights, biases and norms as in a trained network."""
    torch.manual_seed(0)
    network = TableNetwork(mobilenet_v1(0.25, 32, classes, style)).eval()
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if name.endswith(("bias", "running_mean")):
                value.normal_(0, 0.2)
            elif name.endswith(("running_var", "norm.weight")):
                value.uniform_(0.5, 2)
    return network


@pytest.mark.parametrize("style", [_FOLDED, replace(_FOLDED, batch_norm=True)])
@torch.no_grad()
def test_the_body_computes_what_it_did(style: ConvStyle) -> None:
    source = _network(style)
    target = TableNetwork(mobilenet_v1(0.25, 32, 5, replace(style, batch_norm=True))).eval()
    begin(source, target)
    images = torch.randn(6, 3, 32, 32)
    # Sums in another order, over up to 256 channels and 27 layers.
    torch.testing.assert_close(target.features(images), source.features(images), rtol=1e-4, atol=1e-4)
    restate_norms(target, images.split(2))
    torch.testing.assert_close(target.features(images), source.features(images), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_norms_get_the_statistics_of_what_they_see() -> None:
    network = TableNetwork(mobilenet_v1(0.25, 32, 5, replace(_FOLDED, batch_norm=True))).eval()
    begin(_network(_FOLDED), network)
    images = torch.randn(6, 3, 32, 32)
    restate_norms(network, images.split(2))
    planes = images.flip((2, 3))
    for row in network.spec.rows[:-2]:
        unit = network.get_submodule(row.name)
        assert isinstance(unit, ConvUnit)
        assert isinstance(unit.norm, BatchNorm)
        seen = unit.conv(planes).double()
        torch.testing.assert_close(unit.norm.running_mean.double(), seen.mean((0, 2, 3)), rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(unit.norm.running_var.double(), seen.var((0, 2, 3), correction=0), rtol=1e-3, atol=0)
        planes = unit(planes)


@torch.no_grad()
def test_channels_of_a_thinner_network_vary_as_they_did() -> None:
    """After a norm, a channel has the mean and the deviation that the wide network's own channel had."""
    images = torch.randn(32, 3, 32, 32)
    card = ModelCard("mobilenet_v1", 0.25, 32, ("cat", "dog", "owl"), Preprocessing(32), _FOLDED, task="classification")
    wide = with_norms(Source(_network(_FOLDED), card), lambda: [images], torch.device("cpu"))
    thin = thinner(wide, 0.125, lambda: [images], torch.device("cpu"))
    assert thin.card.width_multiplier == 0.125
    assert thinner(wide, 0.25, lambda: [images], torch.device("cpu")) is wide
    stem, old = thin.network.get_submodule("stem"), wide.network.get_submodule("stem")
    kept = [_find(filters, old.get_parameter("conv.weight")) for filters in stem.get_parameter("conv.weight")]
    torch.testing.assert_close(stem.get_parameter("norm.weight"), old.get_parameter("norm.weight")[kept])
    planes = images.flip((2, 3))
    for row in thin.network.spec.rows[:3]:
        unit = thin.network.get_submodule(row.name)
        assert isinstance(unit, ConvUnit)
        normed = unit.norm(unit.conv(planes))
        torch.testing.assert_close(normed.mean((0, 2, 3)), unit.get_parameter("norm.bias"), rtol=1e-3, atol=1e-3)
        deviation = normed.std((0, 2, 3), correction=0)
        torch.testing.assert_close(deviation, unit.get_parameter("norm.weight").abs(), rtol=1e-2, atol=1e-3)
        planes = unit.activation(normed)


def _find(filters: torch.Tensor, among: torch.Tensor) -> int:
    return next(number for number, other in enumerate(among) if torch.equal(filters, other))


def test_the_head_is_where_its_loss_is_flat() -> None:
    """The optimum of a convex function, whatever the units of the features: loss and penalty pull equally."""
    torch.manual_seed(0)
    labels = torch.arange(300) % 3
    features = torch.randn(300, 8) + 2 * F.one_hot(labels, 8)
    shifted = features * torch.linspace(0.1, 10, 8) + 5
    matrix, bias = fit_head(features, labels, 3, seed=0)
    there, bias_there = fit_head(shifted, labels, 3, seed=0)
    probabilities = F.linear(features, matrix, bias).softmax(1)
    torch.testing.assert_close(F.linear(shifted, there, bias_there).softmax(1), probabilities, atol=2e-3, rtol=0)
    # the bias has no penalty: on average each class is answered as often as it occurs
    torch.testing.assert_close(probabilities.mean(0), torch.full((3,), 1 / 3), atol=1e-3, rtol=0)
    residual = (probabilities - F.one_hot(labels)).T @ ((features - features.mean(0)) / features.std(0, correction=0))
    scaled = matrix * features.std(0, correction=0)
    penalties = -(residual / 300)[scaled.abs() > 0.1] / scaled[scaled.abs() > 0.1]
    assert penalties.std() < 0.05 * penalties.mean()


def test_a_head_for_two_photos() -> None:
    matrix, bias = fit_head(torch.eye(2), torch.tensor([0, 1]), 2, seed=0)
    assert F.linear(torch.eye(2), matrix, bias).argmax(1).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("progress", "frozen"), [(0, 14), (0.01, 14), (0.04, 13), (0.25, 7), (0.49, 1), (0.5, 0), (1, 0)]
)
def test_parts_are_unfrozen_from_the_top(progress: float, frozen: int) -> None:
    assert frozen_parts(progress, 0.5, 15) == frozen
    assert frozen_parts(progress, 0, 15) == 0


def test_earlier_blocks_learn_slower() -> None:
    network = _network(ConvStyle())
    groups = parameter_groups(network, 0.1, 0.5)
    scales = {id(parameter): group["scale"] for group in groups for parameter in group["params"]}
    assert len(scales) == len(list(network.parameters()))
    assert scales[id(network.get_parameter("classifier.weight"))] == 1
    assert scales[id(network.get_parameter("block13.pointwise.conv.weight"))] == 0.5
    assert scales[id(network.get_parameter("block1.depthwise.norm.bias"))] == 0.5**13
    assert scales[id(network.get_parameter("stem.conv.weight"))] == 0.5**14


def test_the_network_is_that_of_the_weights(tmp_path: Path) -> None:
    preprocessing = Preprocessing(32, mean=(1, 2, 3), std=(4, 5, 6))
    card = ModelCard("mobilenet_v1", 0.25, 32, ("a", "b", "c"), preprocessing, _FOLDED, task="classification")
    write_model(tmp_path / "m.safetensors", _network(_FOLDED), card)
    settings = TrainingSettings(Path("x"), weights=str(tmp_path / "m.safetensors"))
    source = open_source(str(tmp_path / "m.safetensors"))
    adopted = adopt(settings, source.card)
    seven = Vocabulary(tuple("abcdefg"))
    made = card_of(adopted, Classification(), seven)
    assert made.network() == mobilenet_v1(0.25, 32, 7, replace(_FOLDED, batch_norm=True))
    assert adopted.preprocessing == preprocessing
    assert adopt(replace(settings, resolution=64), card).body().resolution == 64
    with pytest.raises(ConfigError, match=r"--width 0.5 exceeds that of .*: 0.25; use that or less"):
        adopt(replace(settings, width_multiplier=0.5), card)
    with pytest.raises(ConfigError, match="--arch mobilenet_v1_shallow is not that of"):
        adopt(replace(settings, architecture="mobilenet_v1_shallow"), card)


@torch.no_grad()
def test_of_weights_for_another_task_the_body_is_taken_at_any_width() -> None:
    """As if the head, which reads planes at places of its own, had never been there."""
    torch.manual_seed(0)
    style = replace(_FOLDED, batch_norm=True)
    bare = ModelCard("mobilenet_v1", 0.25, 64, (), Preprocessing(64), style, task="classification")
    card = replace(bare, task="made up", head=HEADS["planes joined"], labels=("there",), decoding={"cells": 4})
    headed = TableNetwork(card.network(), card.outputs).eval()
    backbone = TableNetwork(bare.network()).eval()
    begin(headed, backbone)
    images = torch.randn(8, 3, 64, 64)
    device = torch.device("cpu")
    found, wanted = (
        thinner(with_norms(Source(network, said), lambda: [images], device), 0.125, lambda: [images], device)
        for network, said in ((headed, card), (backbone, bare))
    )
    torch.testing.assert_close(found.network.features(images), wanted.network.features(images), rtol=0, atol=0)
    target = TableNetwork(mobilenet_v1(0.125, 64, 5, style)).eval()
    begin(found.network, target)
    # another layout of memory, and so sums in another order
    torch.testing.assert_close(target.features(images), wanted.network.features(images), rtol=1e-3, atol=1e-4)
