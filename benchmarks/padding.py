"""The cost of TensorFlow's padding in training: steps with it against steps with symmetric padding, alternating.

    python benchmarks/padding.py

Batches of 32 random images, forward, backward and optimiser, bfloat16 if it is faster. Prints the median of the
ratios of the rounds.
"""

import time
from collections.abc import Callable
from statistics import median

import torch
from torch.nn import functional

from mobilenet.nn.network import TableNetwork
from mobilenet.spec import ConvStyle, Padding, mobilenet_v1
from mobilenet.training.system.machine import pick_device, pick_precision

_SIZES = ((0.5, 128), (0.25, 224), (1.0, 224))
_WARM_UPS, _ROUNDS, _STEPS = 2, 10, 2


def stepper(width: float, side: int, padding: Padding) -> Callable[[], None]:
    """One training step on the same batch."""
    torch.manual_seed(0)
    network = TableNetwork(mobilenet_v1(width, side, 10, ConvStyle(padding=padding))).train()
    network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    images = torch.randn(32, 3, side, side).to(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (32,))
    dtype = pick_precision("auto", pick_device("cpu"))

    def step() -> None:
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            loss = functional.cross_entropy(network(images)["probabilities"], labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def ratio(
    tensorflow: Callable[[], object], symmetric: Callable[[], object], clock: Callable[[], float] = time.perf_counter
) -> float:
    """How many times as long `tensorflow` takes as `symmetric`: the median of the rounds' ratios. They alternate, each
    first equally often, and the first rounds warm up."""
    ratios = []
    for number in range(_WARM_UPS + _ROUNDS):
        taken = {}
        for step in (tensorflow, symmetric) if number % 2 else (symmetric, tensorflow):
            begin = clock()
            for _ in range(_STEPS):
                step()
            taken[step] = clock() - begin
        ratios.append(taken[tensorflow] / taken[symmetric])
    return median(ratios[_WARM_UPS:])


def main() -> None:
    """Print the ratio for each size."""
    for width, side in _SIZES:
        found = ratio(stepper(width, side, "tensorflow"), stepper(width, side, "symmetric"))
        print(f"{width:g}-{side}: tensorflow padding takes {found:.3f} times as long as symmetric padding")


if __name__ == "__main__":
    main()
