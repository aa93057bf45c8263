"""The effect of each optimisation on this processor: batch norm of few channels, the gradient of strided depthwise
convolutions in bfloat16, TensorFlow's padding, the precision, the allocator, torch.compile.

    python benchmarks/layers.py [--steps] [--compile]
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import torch
from torch.nn import functional as F

from mobilenet.nn.layers import BatchNorm, Convolution
from mobilenet.nn.network import TableNetwork, place
from mobilenet.spec import Conv, ConvStyle, Padding, mobilenet_v1
from mobilenet.training.system.machine import keep_freed_memory, pick_precision

_CPU = torch.device("cpu")
_WARM_UPS = 2


def milliseconds(
    *sides: Callable[[], object], repeat: int = 15, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Median milliseconds of each side, alternating; the first two calls of each warm up. `clock` is in seconds."""
    times: list[list[float]] = [[] for _ in sides]
    for number in range(repeat + _WARM_UPS):
        for side, measured in zip(sides, times, strict=True):
            start = clock()
            side()
            if number >= _WARM_UPS:
                measured.append(1000 * (clock() - start))
    return [median(measured) for measured in times]


def batch_norms() -> None:
    """Forward and backward of `BatchNorm` against torch's, by channels."""
    for channels, side in ((8, 64), (12, 64), (16, 64), (24, 48), (32, 32)):
        for dtype in (torch.float32, torch.bfloat16):
            x = torch.randn(64, channels, side, side).to(dtype).contiguous(memory_format=torch.channels_last)
            x.requires_grad_()
            gradient = torch.randn_like(x)
            norm, plain = BatchNorm(channels, 1e-5), torch.nn.BatchNorm2d(channels)
            ours, theirs = milliseconds(lambda: norm(x).backward(gradient), lambda: plain(x).backward(gradient))  # noqa: B023
            print(
                f"batch norm {channels:2d} channels {side:3d} px {dtype}: ours {ours:6.2f} ms, torch {theirs:6.2f} ms"
            )


def strided_depthwise() -> None:
    """Forward and backward of a bfloat16 depthwise convolution of stride 2, ours against torch's."""
    for channels, side in ((64, 112), (16, 64)):
        conv = Convolution(Conv("dw", channels, channels, stride=2, groups=channels))
        place(conv, _CPU)
        x = torch.randn(32, channels, side, side).bfloat16().contiguous(memory_format=torch.channels_last)
        x.requires_grad_()
        weight = conv.weight.detach().bfloat16().requires_grad_()
        gradient = torch.randn_like(conv(x))
        ours, theirs = milliseconds(
            lambda: conv(x).backward(gradient),  # noqa: B023
            lambda: F.conv2d(x, weight, stride=2, padding=1, groups=channels).backward(gradient),  # noqa: B023
        )
        print(f"depthwise /2 {channels} channels {side} px bfloat16: ours {ours:.2f} ms, torch {theirs:.2f} ms")


def paddings() -> None:
    """Whole steps with TensorFlow's padding against symmetric padding, in the default precision of training."""
    dtype = pick_precision("auto", _CPU)
    for width, resolution, batch in ((0.25, 128, 64), (0.75, 192, 32)):
        x = torch.randn(batch, 3, resolution, resolution).to(dtype).contiguous(memory_format=torch.channels_last)
        labels = torch.randint(0, 10, (batch,))
        both: tuple[Padding, ...] = ("tensorflow", "symmetric")
        networks = [
            place(TableNetwork(mobilenet_v1(width, resolution, 10, ConvStyle(padding))), _CPU) for padding in both
        ]
        same, symmetric = milliseconds(
            *(
                lambda network=network: F.cross_entropy(network(x)["probabilities"], labels).backward()  # noqa: B023
                for network in networks
            )
        )
        print(f"step {width}-{resolution} {dtype}: {padding_cost(same, symmetric)}")


def padding_cost(tensorflow_ms: float, symmetric_ms: float) -> str:
    """How much longer steps with TensorFlow's padding take, in words."""
    more = tensorflow_ms / symmetric_ms - 1
    return f"TensorFlow's padding {tensorflow_ms:.1f} ms, symmetric {symmetric_ms:.1f} ms, {more:+.1%}"


def step_time(width: float, resolution: int, dtype: torch.dtype, *, compiled: bool) -> float:
    """Median milliseconds of forward, loss and backward of a batch of 64 (32 at 224 pixels)."""
    network = place(TableNetwork(mobilenet_v1(width, resolution, 10)), _CPU)
    batch = 32 if resolution > 200 else 64
    x = torch.randn(batch, 3, resolution, resolution).to(dtype).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (batch,))
    forward = torch.compile(network) if compiled else network

    def step() -> None:
        F.cross_entropy(forward(x)["probabilities"], labels).backward()

    return milliseconds(step, repeat=10)[0]


def steps(*, compiled: bool) -> None:
    """Steps by precision, with and without keeping freed memory, each in its own process."""
    for width, resolution in ((1.0, 224), (0.5, 128), (0.25, 128)):
        for dtype in ("float32", "bfloat16"):
            for variant in ("plain", "kept", *(["compiled"] if compiled else [])):
                command = [sys.executable, __file__, "--one", f"{width},{resolution},{dtype},{variant}"]
                print(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip(), flush=True)


def _one(text: str) -> None:
    width, resolution, dtype, variant = text.split(",")
    if variant != "plain":
        keep_freed_memory()
    time_ms = step_time(float(width), int(resolution), getattr(torch, dtype), compiled=variant == "compiled")
    print(f"step {width}-{resolution} {dtype}: {variant} {time_ms:.1f} ms")


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", action="store_true", help="whole steps too (a minute)")
    parser.add_argument("--compile", action="store_true", help="with torch.compile too (several minutes)")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        _one(options.one)
        return
    keep_freed_memory()
    batch_norms()
    strided_depthwise()
    paddings()
    if options.steps or options.compile:
        steps(compiled=options.compile)


if __name__ == "__main__":
    main()
