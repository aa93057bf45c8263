"""C files against the simulator, and in 8 bits bit for bit against LiteRT's fast kernels, whose rounding is theirs."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.export.c_files import STRICT, TIERS, answers, needs_compiler, raw_answers, supported
from tests.export.heads import HEADS, conv, in_8_bits, make_graph
from tests.export.random_graphs import computed, random_graphs

from mobilenet.benchmark.device.untrained import untrained
from mobilenet.export.c.model import c_model, footprint
from mobilenet.export.litert.model import litert_model
from mobilenet.images import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.model.graph import Graph, QuantizedGraph
from mobilenet.model.head import Head
from mobilenet.model.outputs import Output
from mobilenet.nn.endings import ended
from mobilenet.quantize.simulator import pixels_of, raw_outputs
from mobilenet.runtimes import open_model
from mobilenet.runtimes.c_file import header_of
from mobilenet.runtimes.engines import PLANS, Plan, c_compiler
from mobilenet.runtimes.litert import LiteRTPredictor

pytestmark = needs_compiler

Make = Callable[..., Any]
Images = NDArray[np.uint8]


def _noise(count: int, side: int) -> Images:
    return np.random.default_rng(3).integers(0, 256, (count, side, side, 3), np.uint8)


def _before_ending(graph: QuantizedGraph) -> QuantizedGraph:
    """A classifier that returns its logits."""
    card = graph.card
    rows = card.network().rows[len(card.body().rows) :]
    output = Output("logits", card.outputs[0].rows, card.outputs[0].shape)
    return replace(graph, card=replace(card, head=Head(tuple(rows), (output,))))


_OPTIONS = [
    {"padding": "tensorflow", "activation": "relu6"},
    {"padding": "symmetric", "activation": "relu", "mean": (120.0, 110.0, 100.0), "std": (60.0, 61.0, 62.0)},
    {"padding": "symmetric", "activation": "relu6", "width": 0.75, "classes": 33, "resolution": 96},
    {"padding": "tensorflow", "activation": "relu", "architecture": "mobilenet_v1_standard", "classes": 1},
]


@pytest.mark.parametrize(
    ("tier", "options"),
    [("avx2", 1), ("avx2", 2), ("plain", 0), ("plain", 3), ("scalar", 2), ("avx-vnni", 2), ("avx512", 0)],
)
def test_int8_logits_are_those_of_litert_bit_for_bit(
    example: Make, quantized: Make, tier: str, options: int, tmp_path: Path
) -> None:
    if not supported(tier):
        pytest.skip(f"this processor has no {tier}")
    made = example(**_OPTIONS[options])
    graph = _before_ending(quantized(made))
    images = np.concatenate([made.images, _noise(4, made.images.shape[1])])
    expected = LiteRTPredictor(litert_model(graph), graph.card, threads=1).predict(images)["logits"]
    found = answers(c_model(graph), images, tmp_path, *TIERS[tier])["logits"]
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(found)) > 4


def test_float32_files_answer_as_the_network(example: Make, tmp_path: Path) -> None:
    made = example(**_OPTIONS[1])
    expected = made.predictor.predict(made.images)["probabilities"]
    found = answers(c_model(made.graph), made.images, tmp_path)["probabilities"]
    # Sums in another order; the gate of every exported file.
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def _outputs(graph: Graph, images: Images) -> dict[str, NDArray[np.float32]]:
    with torch.inference_mode():
        raw = raw_outputs(graph, pixels_of(images))
        return {output.name: ended(raw[output.name], output.ending).numpy() for output in graph.card.outputs}


@pytest.mark.parametrize("head", ["two outputs", "planes joined", "several planes"])
def test_every_output_of_other_networks_is_there(head: str, tmp_path: Path) -> None:
    graph, images = make_graph(HEADS[head]), np.kron(_noise(3, 4), np.ones((1, 16, 16, 1), np.uint8))
    coarse = in_8_bits(graph, images)
    litert = LiteRTPredictor(litert_model(coarse), coarse.card, threads=1).predict(images)
    found = answers(c_model(coarse, None, "network", "small"), images, tmp_path)
    assert list(found) == [output.name for output in graph.card.outputs]
    for name, values in found.items():
        # The 8-bit values are the same; endings are in float32, which rounds at 6e-8.
        np.testing.assert_allclose(values, litert[name], rtol=1e-5, atol=1e-6)
    fine, expected = answers(c_model(graph, None, "network", "small"), images, tmp_path), _outputs(graph, images)
    for name, values in fine.items():
        scale = max(1.0, float(np.abs(expected[name]).max()))
        np.testing.assert_allclose(values, expected[name], rtol=1e-4, atol=1e-5 * scale)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("plan", PLANS)
def test_random_graphs_are_computed_as_numpy_does(seed: int, plan: Plan, tmp_path: Path) -> None:
    fine, coarse = random_graphs(seed)
    image = _noise(1, fine.card.resolution)[0]
    outputs, expected = coarse.card.outputs, computed(coarse, image)
    found = raw_answers(c_model(coarse, None, "network", plan), outputs, image, tmp_path)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
    if plan == "small":
        close, real = computed(fine, image), raw_answers(c_model(fine, None, "network", plan), outputs, image, tmp_path)
        for name, values in close.items():
            # float32 rounds at 6e-8 of each number, over some ten layers.
            np.testing.assert_allclose(real[name], values, rtol=1e-5, atol=1e-5 * max(1.0, float(np.abs(values).max())))


def test_a_microcontroller_has_room_for_the_smallest_network() -> None:
    card = ModelCard("mobilenet_v1", 0.25, 96, ("no", "yes"), Preprocessing(96), task="classification")
    arena_bytes, flash_bytes = footprint(untrained(card, "int8"), "small")
    # By hand: three rows of 96 pixels and their padding, of 48 cells of 8 and of 16, and of 24 cells of 32, twice; a
    # plane of 12 x 12 x 64; a row of 24 x 32 between the halves of a layer; each a multiple of 16.
    rings = -(-3 * (96 + 1) * 3 // 16) * 16 + 3 * 48 * 8 + 3 * 48 * 16 + 2 * 3 * 24 * 32
    assert arena_bytes == pytest.approx(rings + 12 * 12 * 64 + 24 * 32, abs=32)
    assert arena_bytes <= 20_000
    assert flash_bytes <= 240_000 + 4_096
    assert footprint(untrained(card, "int8"), "speed")[0] > 90_000


def test_names_are_those_of_c(tmp_path: Path) -> None:
    odd = make_graph(Head((conv("plane", "block13.pointwise", 256, 2),), (Output("signed", ("plane",), (2, 2, 2)),)))
    data = c_model(odd, None, "1 x/clothing-int8", "small")
    assert b"int m1_x_clothing_int8_run(const uint8_t *rgb, float *signed_out);" in header_of(data)
    (tmp_path / "a.c").write_bytes(data)
    (tmp_path / "a.h").write_bytes(header_of(data))
    (tmp_path / "b.cpp").write_text(
        '#include "a.h"\n#include "a.h"\nint main() { return m1_x_clothing_int8_run(0, 0); }'
    )
    cc = str(c_compiler())
    subprocess.run([cc, *STRICT, "-c", tmp_path / "a.c", "-o", tmp_path / "a.o"], check=True)
    subprocess.run([cc, "-x", "c++", "-c", tmp_path / "b.cpp", "-o", tmp_path / "b.o"], check=True)
    subprocess.run([cc, tmp_path / "b.o", tmp_path / "a.o", "-o", tmp_path / "b"], check=True)
    assert subprocess.run([tmp_path / "b"], check=False).returncode == 255


def test_fast_math_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "a.c"
    source.write_bytes(c_model(make_graph(HEADS["a plane"]), None, "a", "small"))
    done = subprocess.run(
        [str(c_compiler()), "-ffast-math", "-c", source, "-o", tmp_path / "a.o"], capture_output=True, check=False
    )
    assert done.returncode
    assert b"-ffast-math changes how values are rounded" in done.stderr


def test_the_example_prints_the_class(tmp_path: Path) -> None:
    example = Path(__file__).parents[2] / "examples" / "c" / "main.c"
    card = ModelCard("mobilenet_v1", 0.25, 32, ("hat", 'a "shoe"?'), Preprocessing(32), task="classification")
    data = c_model(untrained(card, "int8"), None, "clothing-int8", "small")
    (tmp_path / "clothing-int8.c").write_bytes(data)
    (tmp_path / "clothing-int8.h").write_bytes(header_of(data))
    program = tmp_path / "classify"
    sources = example, tmp_path / "clothing-int8.c"
    subprocess.run([str(c_compiler()), *STRICT, f"-I{tmp_path}", *sources, "-o", program], check=True)
    pixels, photo = _noise(1, 32), tmp_path / "photo.ppm"
    photo.write_bytes(b"P6 32 32 255\n" + pixels.tobytes())
    (tmp_path / "model.c").write_bytes(data)
    answer = open_model(tmp_path / "model.c").predict(pixels)["probabilities"][0]
    done = subprocess.run([program, photo], capture_output=True, text=True, check=True)
    assert done.stdout == f"{card.labels[answer.argmax()]} {100 * answer.max():.1f}%\n"
    photo.write_bytes(b"P6 33 32 255\n")
    done = subprocess.run([program, photo], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, f"{photo} has 33 x 32 pixels; the network takes 32 x 32\n")
