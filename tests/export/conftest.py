"""Networks with random but lively numbers, and their 8-bit graphs by the plainest quantiser there is."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from mobilenet.images import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.model.fold import build_graph
from mobilenet.model.graph import (
    ConvNode,
    Graph,
    LinearNode,
    Node,
    PoolNode,
    Quantization,
    QuantizedConv,
    QuantizedGraph,
    QuantizedLinear,
    QuantizedNode,
    QuantizedPool,
)
from mobilenet.nn.network import TableNetwork
from mobilenet.runtimes.torch import TorchPredictor
from mobilenet.spec import Activation, ConvStyle, Padding

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class Example:
    """A trained network as torch runs it, its graph, and photos."""

    predictor: TorchPredictor
    graph: Graph
    images: Images


def make_example(
    *,
    architecture: str = "mobilenet_v1",
    width: float = 0.25,
    resolution: int = 64,
    classes: int = 7,
    padding: Padding = "tensorflow",
    activation: Activation = "relu6",
    mean: tuple[float, float, float] = (127.5, 127.5, 127.5),
    std: tuple[float, float, float] = (127.5, 127.5, 127.5),
) -> Example:
    labels = tuple(f"class {number}" for number in range(classes))
    style = ConvStyle(padding, activation, 1e-3)
    card = ModelCard(
        architecture,
        width,
        resolution,
        labels,
        Preprocessing(resolution, None, mean, std),
        style,
        task="classification",
    )
    torch.manual_seed(0)
    network = TableNetwork(card.network())
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, values in network.state_dict().items():
            if "norm" in name or "bias" in name:
                values.uniform_(0.5, 1.5, generator=random)
            else:
                # Photos differ in their differences: filters that sum up would answer the same to all of them.
                rest = tuple(range(1, values.dim()))
                values.sub_(values.mean(rest, keepdim=True) if values.shape[1] > 1 else 0).mul_(2)
    images = np.random.default_rng(2).integers(0, 256, (4, resolution, resolution, 3), np.uint8)
    images[1] = np.kron(images[1, : resolution // 16, : resolution // 16], np.ones((16, 16, 1), np.uint8))
    images[2], images[3] = 0, 255
    _settle(network, card, images)
    graph = build_graph(card, {name: values.numpy() for name, values in network.state_dict().items()})
    return Example(TorchPredictor(network.eval(), card), graph, images)


def _settle(network: TableNetwork, card: ModelCard, images: Images) -> None:
    """Let the norms see photos, as training does, and the classifier tell them apart."""
    mean, std = (torch.tensor(v) for v in (card.preprocessing.mean, card.preprocessing.std))
    batch = ((torch.from_numpy(images).float() - mean) / std).permute(0, 3, 1, 2)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums in another order would be another network
    network.train()
    with torch.no_grad():
        for _ in range(20):
            network(batch)
        logits = network.eval()(batch)["probabilities"]
        network.classifier.weight *= 2 / logits.std(0).mean()
        network.classifier.bias -= network(batch)["probabilities"].mean(0)
    torch.set_num_threads(threads)


def quantize(graph: Graph, images: Images) -> QuantizedGraph:
    """8 bits by the ranges that these photos reach."""
    pixels = graph.card.preprocessing
    whole = round(pixels.mean[0])
    steps = Quantization(1 / pixels.std[0], whole - 128)
    mean, std = (np.array(values) for values in (pixels.mean, pixels.std))
    x = torch.from_numpy(((images - mean) / std).astype(np.float32)).permute(0, 3, 1, 2)
    nodes: list[QuantizedNode] = []
    current = steps
    for number, node in enumerate(graph.nodes):
        x = _run(node, x)
        output = _range(x)
        if isinstance(node, PoolNode):
            nodes.append(QuantizedPool(node.name, node.inputs, output))
        else:
            nodes.append(_quantized(_in_steps(node, pixels, whole) if number == 0 else node, current, output))
        current = output
    return QuantizedGraph(graph.card, steps, tuple(nodes))


def _in_steps(node: Node, pixels: Preprocessing, whole: int) -> Node:
    """The first node for (pixel - whole) / std[0] in place of (pixel - mean) / std."""
    assert isinstance(node, ConvNode)
    mean, std = (np.array(values)[:, None, None] for values in (pixels.mean, pixels.std))
    bias = node.bias + (node.filters * (whole - mean) / std).sum((1, 2, 3))
    filters = node.filters * (pixels.std[0] / std)
    return replace(node, filters=filters.astype(np.float32), bias=bias.astype(np.float32))


def _quantized(node: Node, steps: Quantization, output: Quantization) -> QuantizedNode:
    assert isinstance(node, ConvNode | LinearNode)
    values = node.filters if isinstance(node, ConvNode) else node.matrix
    scales = (np.abs(values).reshape(len(values), -1).max(1) / 127).astype(np.float32)
    rounded = np.round(values / scales.reshape(-1, *[1] * (values.ndim - 1))).astype(np.int8)
    bias = np.round(node.bias / (np.float64(steps.scale) * scales)).astype(np.int32)
    if isinstance(node, ConvNode):
        geometry = node.stride, node.groups, node.padding, node.activation
        return QuantizedConv(node.name, node.inputs, rounded, scales, bias, *geometry, output)
    return QuantizedLinear(node.name, node.inputs, rounded, scales, bias, node.activation, output)


def _range(x: torch.Tensor) -> Quantization:
    lowest, highest = min(float(x.min()), 0.0), float(x.max())
    scale = float(np.float32((highest - lowest) / 255))
    return Quantization(scale, round(-128 - lowest / scale))


def _run(node: Node, x: torch.Tensor) -> torch.Tensor:
    match node:
        case ConvNode():
            before, after = pads(node, x.shape[2])
            filters, bias = torch.from_numpy(node.filters), torch.from_numpy(node.bias)
            x = F.conv2d(F.pad(x, (before, after, before, after)), filters, bias, node.stride, groups=node.groups)
            return x.clamp(min=0, max=6 if node.activation == "relu6" else None)
        case PoolNode():
            return x.mean((2, 3))
        case LinearNode():
            return F.linear(x, torch.from_numpy(node.matrix), torch.from_numpy(node.bias))


def pads(node: ConvNode | QuantizedConv, side: int) -> tuple[int, int]:
    """Pixels before and after."""
    kernel = node.filters.shape[2]
    if node.padding == "symmetric":
        return (kernel - 1) // 2, (kernel - 1) // 2
    total = max((-(-side // node.stride) - 1) * node.stride + kernel - side, 0)
    return total // 2, total - total // 2


@pytest.fixture(scope="session")
def example() -> Callable[..., Example]:
    """`example(width=0.5, padding="symmetric")`: a network, its graph, photos."""
    return make_example


@pytest.fixture(scope="session")
def quantized() -> Callable[[Example], QuantizedGraph]:
    """`quantized(example)`: its graph in 8 bits."""
    return lambda example: quantize(example.graph, example.images)
