"""The cost of TensorFlow's padding in training: steps with it against steps with symmetric padding, alternating.

    python benchmarks/padding.py

Batches of 32 random images, forward, backward and optimiser, bfloat16 if it is faster. Prints the ratio of medians.
"""

import time
from collections.abc import Callable
from statistics import median

import torch
from torch.nn import functional

from mobilenet.nn.network import TableNetwork
from mobilenet.spec import ConvStyle, Padding, mobilenet_v1
from mobilenet.training.system.machine import pick_device, pick_precision

_PADDINGS: tuple[Padding, ...] = ("symmetric", "tensorflow")
_SIZES = ((0.5, 128), (0.25, 224), (1.0, 224))
_ROUNDS, _STEPS = 12, 2


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


def main() -> None:
    """Alternate, and print the ratio for each size."""
    for width, side in _SIZES:
        steppers = {padding: stepper(width, side, padding) for padding in _PADDINGS}
        taken: dict[Padding, list[float]] = {padding: [] for padding in _PADDINGS}
        for number in range(_ROUNDS):
            for padding in _PADDINGS if number % 2 == 0 else _PADDINGS[::-1]:
                begin = time.perf_counter()
                for _ in range(_STEPS):
                    steppers[padding]()
                taken[padding].append(time.perf_counter() - begin)
        ratios = [one / other for one, other in zip(taken["tensorflow"][2:], taken["symmetric"][2:], strict=True)]
        print(f"{width:g}-{side}: tensorflow padding takes {median(ratios):.3f} times as long as symmetric padding")


if __name__ == "__main__":
    main()
