"""The folded graph computes what the network computes: here by float64 sums written out with torch's own operators."""

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from mobilenet.errors import ModelError
from mobilenet.images import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.model.fold import build_graph, exported_rows
from mobilenet.model.graph import ConcatNode, ConvNode, Graph, LinearNode, Node, PoolNode, walk
from mobilenet.model.head import Head
from mobilenet.model.outputs import Output
from mobilenet.nn.network import TableNetwork
from mobilenet.runtimes.torch import TorchPredictor
from mobilenet.spec import Activation, Concat, Conv, ConvStyle, GlobalPool, Linear, Padding, Pool, Row


def _trained(card: ModelCard) -> TableNetwork:
    """A network whose norms have seen numbers, as after training."""
    torch.manual_seed(0)
    network = TableNetwork(card.network())
    with torch.no_grad():
        for name, values in network.state_dict().items():
            if "norm" in name or "bias" in name:
                values.uniform_(0.5, 1.5)
    return network.eval()


def _arrays(network: TableNetwork) -> dict[str, NDArray[np.float32]]:
    return {name: values.numpy() for name, values in network.state_dict().items()}


def _pads(node: ConvNode, side: int) -> tuple[int, int]:
    kernel = node.filters.shape[2]
    if node.padding == "symmetric":
        return (kernel - 1) // 2, (kernel - 1) // 2
    total = max((-(-side // node.stride) - 1) * node.stride + kernel - side, 0)
    return total // 2, total - total // 2


def _run(graph: Graph, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    mean, std = (
        torch.tensor(v, dtype=torch.float64) for v in (graph.card.preprocessing.mean, graph.card.preprocessing.std)
    )
    x = ((torch.from_numpy(images).double() - mean) / std).permute(0, 3, 1, 2)
    for node in graph.nodes:
        match node:
            case ConvNode():
                before, after = _pads(node, x.shape[2])
                filters, bias = torch.from_numpy(node.filters).double(), torch.from_numpy(node.bias).double()
                x = F.conv2d(F.pad(x, (before, after, before, after)), filters, bias, node.stride, groups=node.groups)
                x = x.clamp(min=0, max=6 if node.activation == "relu6" else None)
            case PoolNode():
                x = x.mean((2, 3))
            case LinearNode():
                x = F.linear(x, torch.from_numpy(node.matrix).double(), torch.from_numpy(node.bias).double())
    return torch.softmax(x, 1).numpy()


@pytest.mark.parametrize("padding", ["symmetric", "tensorflow"])
@pytest.mark.parametrize("activation", ["relu", "relu6"])
@pytest.mark.parametrize("norms", ["kept", "folded"])
@pytest.mark.parametrize("architecture", ["mobilenet_v1", "mobilenet_v1_standard"])
def test_a_graph_answers_as_its_network(
    architecture: str, padding: Padding, activation: Activation, norms: str
) -> None:
    style = ConvStyle(padding, activation, 1e-3, norms == "kept")
    pixels = Preprocessing(64, None, (120.0, 110.0, 100.0), (60.0, 61.0, 62.0))
    card = ModelCard(architecture, 0.25, 64, ("a", "b", "c"), pixels, style, task="classification")
    network = _trained(card)
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    expected = TorchPredictor(network, card).predict(images)["probabilities"]
    found = _run(build_graph(card, _arrays(network)), images)
    # float32 rounds at 6e-8 of each number, over some thirty layers
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_one_fold_by_hand() -> None:
    card = ModelCard(
        "mobilenet_v1", 0.25, 32, ("a", "b"), Preprocessing(32), ConvStyle(epsilon=0.25), task="classification"
    )
    arrays = _arrays(_trained(card))
    arrays["stem.conv.weight"][:] = 3.0
    for part, value in (("weight", 2.0), ("bias", 5.0), ("running_mean", 1.0), ("running_var", 3.75)):
        arrays[f"stem.norm.{part}"][:] = value
    stem = build_graph(card, arrays).nodes[0]
    assert isinstance(stem, ConvNode)
    # 2 / sqrt(3.75 + 0.25) = 1, so the filters stay 3, and the bias is 5 - 1
    assert (stem.filters == 3.0).all()
    assert (stem.bias == 4.0).all()


def test_a_backbone_and_a_missing_array_are_refused() -> None:
    card = ModelCard("mobilenet_v1", 0.25, 32, ("a", "b"), Preprocessing(32), task="classification")
    arrays = _arrays(_trained(card))
    with pytest.raises(ModelError, match="it has no classifier; train one on it"):
        build_graph(replace(card, labels=()), arrays)
    del arrays["stem.norm.bias"]
    with pytest.raises(ModelError, match=r"missing: \['stem.norm.bias'\]; unexpected: \[\]"):
        build_graph(card, arrays)


def _headed(*rows: Row, output: Output | None = None) -> ModelCard:
    head = Head(rows, (output or Output("made", (rows[-1].name,), (4,)),))
    return ModelCard("mobilenet_v1", 0.25, 32, (), Preprocessing(32), task="made up", head=head)


def _named(card: ModelCard) -> dict[str, tuple[str, ...]]:
    return {row.name: row.inputs for row in exported_rows(card)}


def test_rows_that_no_output_needs_are_left_out_and_the_others_say_what_they_read() -> None:
    plane = _headed(Linear("unused", 256, 9), Linear("made", 256, 4, inputs=("block13.pointwise",)))
    found = _named(plane)
    assert found["made"] == ("block13.pointwise",)
    assert found["stem"] == ("input",)
    assert found["block1.depthwise"] == ("stem",)
    assert not {"pool", "unused"} & found.keys()
    assert list(_named(_headed(Linear("made", 256, 4))))[-2:] == ["pool", "made"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [Pool("window", "max", 1, 1, inputs=("block13.pointwise",)), Linear("made", 256, 4)],
            "row window pools windows, which cannot be exported; use a Conv with a stride",
        ),
        ([Conv("made", 256, 4, 1)], "row made reads pool, which is a vector; use a Linear"),
        ([GlobalPool("again"), Linear("made", 256, 4)], "row again reads pool, which is a vector; use a Linear"),
        (
            [Concat("both", ("block13.pointwise", "pool")), Linear("made", 512, 4)],
            "row both concatenates pool, a vector, with planes; concatenate like with like",
        ),
        (
            [Conv("grouped", 256, 256, 1, groups=2, inputs=("block13.pointwise",)), Linear("made", 256, 4)],
            "row grouped has 2 groups; an exported Conv has one, or one per channel",
        ),
        (
            [Linear("made", 32 * 32 * 3, 4, inputs=("input",))],
            "row made reads the photo, which only a convolution over all channels can",
        ),
    ],
)
def test_rows_that_cannot_be_exported_are_one_line(rows: list[Row], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        exported_rows(_headed(*rows))


def test_an_output_that_its_row_does_not_compute_is_refused() -> None:
    with pytest.raises(ModelError, match=r"output made of shape \(5,\) does not match what its rows compute: made"):
        exported_rows(_headed(Linear("made", 256, 4), output=Output("made", ("made",), (5,))))


def test_what_a_node_has_made_is_let_go_behind_its_last_reader() -> None:
    class Tensor:
        pass

    nodes = [
        PoolNode("first", ("input",)),
        PoolNode("second", ("first",)),
        ConcatNode("third", ("first", "second")),
        PoolNode("unread", ("first",)),
        PoolNode("last", ("third",)),
    ]
    alive: dict[str, weakref.ref[Tensor]] = {}
    seen = []

    def compute(node: Node, inputs: list[Tensor]) -> Tensor:
        made = Tensor()
        alive[node.name] = weakref.ref(made)
        return made

    for node, made in walk(nodes, Tensor(), compute):
        del made
        gc.collect()
        seen.append((node.name, sorted(name for name, tensor in alive.items() if tensor() is not None)))
    # The tensor just made is on its way to whoever walks.
    assert seen == [
        ("first", ["first"]),
        ("second", ["first", "second"]),
        ("third", ["first", "third"]),
        ("unread", ["third", "unread"]),
        ("last", ["last"]),
    ]
