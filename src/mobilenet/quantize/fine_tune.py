"""Quantisation-aware fine-tuning: the 8-bit network learns to match the outputs of the float32 network.

Each forward pass rounds filters and outputs as the device will, and gradients pass through the rounding as if it were
not there (straight-through; Jacob et al. 2018, section 3). The teacher is the float32 network itself, on the same
crops, so labels are not needed and the student only adapts to rounding. Batch norms are already folded, ranges of
outputs stay as chosen by calibration, and filters are trained in units of their own 8-bit steps.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from mobilenet.datasets.cache.load import CachedPhotos, load
from mobilenet.datasets.photos import Photos
from mobilenet.images.augment import Augmentation, draw_crops, random_uniform, render, training_side
from mobilenet.images.preprocessing import Preprocessing
from mobilenet.model.graph import (
    ConvNode,
    Graph,
    LinearNode,
    Node,
    Quantization,
    QuantizedConcat,
    QuantizedConv,
    QuantizedGraph,
    QuantizedLinear,
    QuantizedNode,
    QuantizedPool,
    walk,
)
from mobilenet.nn.schedule import learning_rate_factor
from mobilenet.quantize.calibrated import Calibrated, Distance
from mobilenet.quantize.simulator import LOWEST, bounds, convolve, flat, outputs_of, step
from mobilenet.quantize.weights import LARGEST, reading_pixels

__all__ = ["PHOTOS", "fine_tune", "training_photos"]

PHOTOS = 6000
"""Crops that the student sees in total."""

_BATCH = 32
_RATE = 0.003
"""Peak learning rate of Adam, in 8-bit steps of a filter: a higher one adds more noise than it removes."""
_AVERAGED = 0.5
"""Fraction of the run, at its end, over which the weights are averaged before they are rounded."""
_WARMUP = 0.1


def fine_tune(
    teacher: Graph,
    start: Calibrated,
    photos: CachedPhotos,
    distance: Distance,
    *,
    seed: int = 0,
    shown: int = PHOTOS,
    progress: Callable[[int, int], object] | None = None,
) -> QuantizedGraph:
    """The 8-bit graph of `start` after training on about `shown` crops of `photos` (`training_photos`).

    `teacher` is the float32 graph: the `distance` from its raw outputs is minimised. `photos` (N, S, S, 3) uint8 are
    somewhat larger than the network's input. `progress(done, all)` is called after each batch.
    """
    student = _Student(start.prepared, start.graph)
    optimizer = torch.optim.Adam(student.parameters(), lr=_RATE, betas=(0.9, 0.99))
    average = AveragedModel(student)
    total = max(1, shown // _BATCH)
    crops = _Crops(teacher.card.preprocessing, photos, seed)
    for number in range(total):
        for group in optimizer.param_groups:
            group["lr"] = _RATE * learning_rate_factor((number + 1) / total, _WARMUP)
        inputs = crops.batch(number)
        with torch.no_grad():
            wanted = outputs_of(teacher.card, walk(teacher.nodes, inputs, step))
        loss = distance(student(inputs), wanted) / len(inputs)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if number + 1 > total * (1 - _AVERAGED):
            average.update_parameters(student)
        if progress is not None:
            progress(number + 1, total)
    student.load_state_dict(average.module.state_dict())
    return student.rounded()


def training_photos(photos: Photos, preprocessing: Preprocessing) -> CachedPhotos:
    """The decodable photos, at the size that training takes its crops from, so that its cache is reused."""
    return load(photos, training_side(preprocessing.resolution))


class _Crops:
    """Batches of random crops, all photos equally often; they depend on (seed, number) only."""

    def __init__(self, preprocessing: Preprocessing, photos: CachedPhotos, seed: int) -> None:
        self.photos, self.seed = photos, seed
        self.resolution = preprocessing.resolution
        self.mean, self.std = torch.tensor(preprocessing.mean), torch.tensor(preprocessing.std)

    def batch(self, number: int) -> Tensor:
        """(B, 3, R, R) network input."""
        places = np.arange(number * _BATCH, (number + 1) * _BATCH)
        rounds = places // len(self.photos)
        orders = {turn: self._order(turn) for turn in set(rounds.tolist())}
        chosen = [orders[turn][place % len(self.photos)] for turn, place in zip(rounds.tolist(), places, strict=True)]
        crops = draw_crops(Augmentation(), self.seed, 0, places)
        pixels = torch.from_numpy(self.photos.batch(np.array(chosen)))
        return render(pixels, crops, self.resolution, self.mean, self.std)

    def _order(self, turn: int) -> NDArray[np.int64]:
        return np.argsort(random_uniform(self.seed, turn, np.arange(len(self.photos)), 1)[:, 0])


class _Student(nn.Module):
    """A graph with trainable filters (in 8-bit steps) and biases, rounded in every pass as in `QuantizedGraph`."""

    def __init__(self, prepared: Graph, start: QuantizedGraph) -> None:
        super().__init__()
        self.start = start
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        preprocessing = prepared.card.preprocessing
        self.mean, self.std = torch.tensor(preprocessing.mean), torch.tensor(preprocessing.std)
        for node, whole in zip(prepared.nodes, start.nodes, strict=True):
            weights, bias = _in_steps(reading_pixels(node, preprocessing), whole)
            self.weights.append(nn.Parameter(weights))
            # A copy: the graph keeps its own.
            self.biases.append(nn.Parameter(bias.clone()))

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        """(N, 3, R, R) network input -> each output by its name, (N, *shape), rounded, before its ending."""
        given = self.start.input
        pixels = inputs * self.std[:, None, None] + self.mean[:, None, None]
        x = (pixels + (LOWEST - given.zero_point)) * given.scale
        learned = self._learned()
        return outputs_of(
            self.start.card, walk(self.start.nodes, x, lambda node, made: _forward(node, made, *learned[node.name]))
        )

    def rounded(self) -> QuantizedGraph:
        """The trained graph in integers."""
        learned, steps = self._learned(), self.start.steps
        nodes = []
        for node in self.start.nodes:
            weights, bias = (values.detach() for values in learned[node.name])
            nodes.append(_whole(node, weights, bias.double().numpy(), steps[node.inputs[0]]))
        return replace(self.start, nodes=tuple(nodes))

    def _learned(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Name of a node -> its weights and biases."""
        values = zip(self.weights, self.biases, strict=True)
        return {node.name: pair for node, pair in zip(self.start.nodes, values, strict=True)}


def _in_steps(node: Node, whole: QuantizedNode) -> tuple[Tensor, Tensor]:
    """Weights in units of their 8-bit steps, not rounded, and biases unchanged; empty for nodes without any."""
    match node, whole:
        case ConvNode(), QuantizedConv():
            return torch.from_numpy(node.filters / whole.scales[:, None, None, None]), torch.from_numpy(node.bias)
        case LinearNode(), QuantizedLinear():
            return torch.from_numpy(node.matrix / whole.scales[:, None]), torch.from_numpy(node.bias)
        case _:
            return torch.zeros(0), torch.zeros(0)


def _forward(node: QuantizedNode, inputs: Sequence[Tensor], weights: Tensor, bias: Tensor) -> Tensor:
    """One node on real numbers, its weights and output rounded; activations are bounds of the output's range."""
    if isinstance(node, QuantizedConcat):
        return torch.cat(list(inputs), 1)
    low, high = bounds(node)
    output = node.output
    return torch.fake_quantize_per_tensor_affine(
        _plain(node, inputs[0], weights, bias), output.scale, output.zero_point, low, high
    )


def _plain(node: QuantizedConv | QuantizedLinear | QuantizedPool, x: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
    """The node's output before rounding, with weights rounded to whole steps."""
    match node:
        case QuantizedConv():
            return convolve(node, x, _on_steps(weights, node.scales), bias)
        case QuantizedLinear():
            return F.linear(flat(x), _on_steps(weights, node.scales), bias)
        case QuantizedPool():
            return x.mean((2, 3))


def _on_steps(weights: Tensor, scales: NDArray[np.float32]) -> Tensor:
    steps = torch.ones(len(weights))
    zeros = torch.zeros(len(weights), dtype=torch.int32)
    whole = torch.fake_quantize_per_channel_affine(weights, steps, zeros, 0, -LARGEST, LARGEST)
    return whole * torch.from_numpy(scales).view(-1, *[1] * (weights.dim() - 1))


def _whole(node: QuantizedNode, weights: Tensor, bias: NDArray[np.float64], given: Quantization) -> QuantizedNode:
    if isinstance(node, QuantizedPool | QuantizedConcat):
        return node
    whole = weights.round().clamp(-LARGEST, LARGEST).to(torch.int8).numpy()
    steps = np.round(bias / (given.scale * node.scales.astype(np.float64))).astype(np.int32)
    if isinstance(node, QuantizedLinear):
        return replace(node, matrix=whole, bias=steps)
    return replace(node, filters=whole, bias=steps)
