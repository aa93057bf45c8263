"""A small network whose layers have seen numbers, and photos with shapes in them."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mobilenet.images import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.model.fold import build_graph
from mobilenet.model.graph import Graph
from mobilenet.nn.network import TableNetwork
from mobilenet.spec import Activation, ConvStyle, Padding

MakeGraph = Callable[[Activation, Padding], Graph]


@pytest.fixture(scope="session")
def make_graph() -> MakeGraph:
    """A graph of width 0.25 for 32 pixels and five classes, whose channels differ in size as trained ones do."""

    def make(activation: Activation = "relu6", padding: Padding = "tensorflow") -> Graph:
        torch.manual_seed(0)
        card = ModelCard(
            "mobilenet_v1",
            0.25,
            32,
            tuple("abcde"),
            Preprocessing(32),
            ConvStyle(padding, activation, 1e-3),
            task="classification",
        )
        network = TableNetwork(card.network())
        with torch.no_grad():
            for name, values in network.state_dict().items():
                if name.endswith("norm.weight"):
                    values.uniform_(0.3, 1.5)
                elif name.endswith("norm.bias"):
                    values.uniform_(-0.5, 1)
                elif name.endswith("classifier.weight"):
                    values.normal_(std=0.3)
        with torch.inference_mode():
            network.train()
            for seed in range(20):
                network((torch.from_numpy(photos(32, seed)).permute(0, 3, 1, 2).float() - 127.5) / 127.5)
            network.eval()
            seen = network((torch.from_numpy(photos(64)).permute(0, 3, 1, 2).float() - 127.5) / 127.5)["probabilities"]
            # All classes are answers of some photos.
            network.get_parameter("classifier.bias").sub_(seen.mean(0))
            network.get_parameter("classifier.weight").mul_(2 / seen.std(0).mean())
            network.get_parameter("classifier.bias").mul_(2 / seen.std(0).mean())
        arrays = {name: values.numpy() for name, values in network.state_dict().items()}
        return build_graph(card, arrays)

    return make


def photos(count: int, seed: int = 0, side: int = 32) -> NDArray[np.uint8]:
    """(N, side, side, 3) uint8: coloured rectangles on coloured grounds."""
    random = np.random.default_rng(seed)
    images = np.empty((count, side, side, 3), np.uint8)
    for image in images:
        image[:] = random.integers(0, 256, 3)
        for _ in range(3):
            top, left = random.integers(0, side, 2)
            image[top : top + random.integers(3, side), left : left + random.integers(3, side)] = random.integers(
                0, 256, 3
            )
    return images
