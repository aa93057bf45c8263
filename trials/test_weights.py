"""Third-party files: imported networks agree with LiteRT on 300 photos, and 10,000 damaged files do no harm."""

import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tflite
import torch
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from safetensors.numpy import save_file
from torch import nn

from mobilenet.errors import ModelError
from mobilenet.nn.layers import ConvUnit, GlobalAverage
from mobilenet.nn.model_file import build_network
from mobilenet.runtimes.torch import TorchPredictor
from mobilenet.weights.read import import_weights

_SHARED = Path(__file__).parents[2] / "shared"
_CLOTHING, _WEIGHTS = _SHARED / "data" / "clothing", _SHARED / "weights"

pytestmark = pytest.mark.skipif(
    not (_CLOTHING.is_dir() and _WEIGHTS.is_dir()),
    reason="the photos and the official files are not beside the project",
)

_PHOTOS, _MUTATIONS = 300, 10_000
_LONGEST_S, _SPARE_BYTES = 2.0, 64 * 2**20

Outputs = NDArray[np.float32]


def _photos() -> list[Path]:
    photos = sorted((_CLOTHING / "validation").rglob("*.jpg"))
    return [photos[number * len(photos) // _PHOTOS] for number in range(_PHOTOS)]


class _Engine:
    """A TFLite file in LiteRT; float inputs are pixels scaled to -1 … 1."""

    def __init__(self, path: Path) -> None:
        self.interpreter = Interpreter(str(path), num_threads=1)
        self.interpreter.allocate_tensors()
        (self.given,), (self.made,) = self.interpreter.get_input_details(), self.interpreter.get_output_details()

    def run(self, pixels: NDArray[np.uint8]) -> Outputs:
        is_float = self.given["dtype"] == np.float32
        batch: NDArray[Any] = (
            (pixels[None].astype(np.float32) - 127.5) / np.float32(127.5) if is_float else pixels[None]
        )
        self.interpreter.set_tensor(self.given["index"], batch)
        self.interpreter.invoke()
        output: NDArray[Any] = self.interpreter.get_tensor(self.made["index"])[0]
        scale, zero_point = self.made["quantization"]
        return output if output.dtype == np.float32 else np.float32(scale) * (output.astype(np.float32) - zero_point)


def _round_to_8_bits(network: nn.Module) -> None:
    """Round the output of every layer to 256 steps from 0 to 6, like LiteRT's 8-bit layers."""
    step = 6 / 255
    for module in network.modules():
        if isinstance(module, ConvUnit | GlobalAverage):
            module.register_forward_hook(lambda _module, _args, out: torch.round(out / step).clamp(0, 255) * step)


def _answers(name: str) -> tuple[Outputs, Outputs, Outputs]:
    """Probabilities of the imported network, of the same network with layers rounded to 8 bits, and of LiteRT."""
    imported = import_weights(_WEIGHTS / name)
    tensors = {key: torch.from_numpy(values) for key, values in imported.tensors.items()}
    network = build_network(imported.card, tensors, Path(name))
    engine, predictor = _Engine(_WEIGHTS / name), TorchPredictor(network, imported.card)
    images = np.stack([imported.card.preprocessing.prepare(photo) for photo in _photos()])
    expected = np.stack([engine.run(image) for image in images])
    batches = np.array_split(images, max(1, len(images) // 32))
    plain = np.concatenate([predictor.predict(batch)["probabilities"] for batch in batches])
    _round_to_8_bits(network)
    rounded = np.concatenate([predictor.predict(batch)["probabilities"] for batch in batches])
    return plain, rounded, expected


def _agreement(found: Outputs, expected: Outputs) -> float:
    """Top-1 agreement with LiteRT, counting ties, since 8-bit probabilities are often equal."""
    return float((expected[np.arange(len(found)), found.argmax(1)] == expected.max(1)).mean())


def test_the_float_file_gives_litert_probabilities() -> None:
    plain, _, expected = _answers("mobilenet_v1_0.25_224_1_default_1.tflite")
    difference = float(np.abs(plain - expected).max())
    print(f"float 0.25-224: {len(plain)} photos, largest difference {difference:.1e}")
    assert difference <= 1e-4
    assert (plain.argmax(1) == expected.argmax(1)).all()


@pytest.mark.parametrize("name", ["0.75_192", "0.5_160", "0.25_224", "0.25_128"])
def test_8_bit_files_differ_by_the_rounding_between_layers(name: str) -> None:
    plain, rounded, expected = _answers(f"mobilenet_v1_{name}_quant.tflite")
    same, same_rounded = _agreement(plain, expected), _agreement(rounded, expected)
    sure = expected.max(1) >= 0.5
    same_sure = _agreement(plain[sure], expected[sure])
    print(
        f"8-bit {name}: {len(plain)} photos, top-1 agreement with LiteRT {same:.1%}; with LiteRT at 50 % or more "
        f"({sure.sum()} photos) {same_sure:.1%}; with layers rounded to 8 bits {same_rounded:.1%}"
    )
    # Few of these photos show an ImageNet class: LiteRT's own median confidence is 20 to 45 %.
    assert same >= 0.8
    assert same_sure >= 0.95
    assert same_rounded >= 0.95


def _tables(data: bytes) -> NDArray[np.int64]:
    """Positions of all bytes of a TFLite file that are not values of constants."""
    model = tflite.Model.GetRootAs(data, 0)
    start = np.frombuffer(data, np.uint8).__array_interface__["data"][0]
    inside = np.zeros(len(data), bool)
    for number in range(model.BuffersLength()):
        values = model.Buffers(number).DataAsNumpy()
        if isinstance(values, np.ndarray):
            place = values.__array_interface__["data"][0] - start
            inside[place : place + len(values)] = True
    return np.flatnonzero(~inside)


def _mutations(data: bytes, places: NDArray[np.int64]) -> Iterator[bytes]:
    """The file truncated, or with a few bytes or integers changed, nine of ten at `places`."""
    random = np.random.default_rng(0)
    for _ in range(_MUTATIONS):
        changed = bytearray(data)
        if random.random() < 0.1:
            del changed[random.integers(len(data)) :]
        for _ in range(random.integers(1, 9) if len(changed) == len(data) else 0):
            place = int(random.choice(places)) if random.random() < 0.9 else int(random.integers(len(data)))
            if random.random() < 0.5:
                changed[place] = random.integers(256)
            else:
                number = int(random.choice([0, 1, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1]))
                changed[place : place + 4] = number.to_bytes(4, "little")
        yield bytes(changed)


def _harm(data: bytes, places: NDArray[np.int64], path: Path) -> None:
    refused, slowest, peak = 0, 0.0, 0
    for number, changed in enumerate(_mutations(data, places)):
        path.write_bytes(changed)
        # Tracing memory slows everything down: every tenth file is enough.
        if counts := number % 10 == 0:
            tracemalloc.start()
        began = time.perf_counter()
        try:
            import_weights(path).card.network()
        except ModelError as error:
            refused += 1
            assert len(str(error).splitlines()) == 1  # noqa: PT017 - some files are still valid
        if counts:
            peak = max(peak, tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        slowest = max(slowest, time.perf_counter() - began)
    print(
        f"{path.suffix}: {_MUTATIONS:,} files of {len(data):,} bytes, {refused:,} rejected, slowest "
        f"{slowest:.2f} s, at most {peak / 2**20:.0f} MB"
    )
    assert slowest <= _LONGEST_S
    assert peak <= 4 * len(data) + _SPARE_BYTES
    assert refused >= _MUTATIONS // 4


def test_damaged_tflite_files_do_no_harm(tmp_path: Path) -> None:
    data = (_WEIGHTS / "mobilenet_v1_0.25_128_quant.tflite").read_bytes()
    _harm(data, _tables(data), tmp_path / "model.tflite")


def test_damaged_safetensors_files_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file(dict(_timm_tensors()), path)
    data = path.read_bytes()
    header = 8 + int.from_bytes(data[:8], "little")
    _harm(data, np.arange(header), path)


def _timm_tensors() -> Iterator[tuple[str, NDArray[np.float32]]]:
    """A MobileNet V1 0.25 with ten classes under timm's names."""
    random = np.random.default_rng(0)

    def unit(conv: str, norm: str, out: int, depth: int, side: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
        yield f"{conv}.weight", random.standard_normal((out, depth, side, side)).astype(np.float32)
        for part in ("weight", "bias", "running_mean", "running_var"):
            yield f"{norm}.{part}", np.ones(out, np.float32)

    yield from unit("conv_stem", "bn1", 8, 3, 3)
    channels, widths = 8, ((16,), (32, 32), (64, 64), (128,) * 6, (256, 256))
    for stage, outs in enumerate(widths):
        for block, out in enumerate(outs):
            yield from unit(f"blocks.{stage}.{block}.conv_dw", f"blocks.{stage}.{block}.bn1", channels, 1, 3)
            yield from unit(f"blocks.{stage}.{block}.conv_pw", f"blocks.{stage}.{block}.bn2", out, channels, 1)
            channels = out
    yield "classifier.weight", random.standard_normal((10, channels)).astype(np.float32)
    yield "classifier.bias", np.zeros(10, np.float32)
