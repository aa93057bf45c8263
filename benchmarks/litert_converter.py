"""Our `.tflite` files against those of TensorFlow's converter for the same network: bytes, and milliseconds in LiteRT
on one thread, alternating. Both take uint8 pixels and end in softmax.

    python benchmarks/litert_converter.py --tensorflow-python PATH [--seconds 20] [--labels FILE] [--keep FOLDER]

PATH is the python of an environment with tensorflow-cpu, which is not a dependency of this tool.
"""

import argparse
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from mobilenet.export.litert.model import litert_model
from mobilenet.images import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.model.fold import build_graph
from mobilenet.model.graph import ConvNode, Graph, LinearNode, Quantization, QuantizedGraph
from mobilenet.quantize.weights import quantized
from mobilenet.spec import Conv, ConvStyle, Linear, Padding

_CONVERT = Path(__file__).with_name("convert_with_tensorflow.py")

TARGET = 1.02
"""The target for the ratio of medians."""

_OPENINGS = 10


def network(width: float, resolution: int, labels: Sequence[str], padding: Padding) -> Graph:
    """A MobileNet with random weights."""
    style = ConvStyle(padding, "relu6", batch_norm=False)
    card = ModelCard(
        "mobilenet_v1", width, resolution, tuple(labels), Preprocessing(resolution), style, task="classification"
    )
    random = np.random.default_rng(0)
    arrays: dict[str, NDArray[np.float32]] = {}
    for row in card.network().rows:
        if isinstance(row, Conv):
            shape = (row.out_channels, row.in_channels // row.groups, *np.broadcast_to(row.kernel_size, 2))
            scale = (2 / np.prod(shape[1:])) ** 0.5
            arrays[f"{row.name}.conv.weight"] = (random.standard_normal(shape) * scale).astype(np.float32)
            arrays[f"{row.name}.conv.bias"] = (random.standard_normal(row.out_channels) * 0.1).astype(np.float32)
        elif isinstance(row, Linear):
            shape = (row.out_features, row.in_features)
            arrays[f"{row.name}.weight"] = (random.standard_normal(shape) * 0.05).astype(np.float32)
            arrays[f"{row.name}.bias"] = np.zeros(row.out_features, np.float32)
    return build_graph(card, arrays)


def in_8_bits(graph: Graph) -> QuantizedGraph:
    """The 8-bit graph with arbitrary ranges: neither time nor size depends on them."""
    plane, logits = Quantization(6 / 255, -128), Quantization(0.1, 0)
    return quantized(graph, {node.name: logits if isinstance(node, LinearNode) else plane for node in graph.nodes})


def converted(graph: Graph, python: Path, folder: Path) -> dict[str, bytes]:
    """The files of TensorFlow's converter, by precision."""
    arrays, rows = {}, []
    for node in graph.nodes:
        if isinstance(node, ConvNode):
            rows.append(f"{'depthwise' if node.depthwise else 'conv'},{node.name},{node.stride},{node.padding}")
            arrays[f"{node.name}.weight"], arrays[f"{node.name}.bias"] = node.filters, node.bias
        elif isinstance(node, LinearNode):
            rows.append(f"linear,{node.name},0,valid")
            arrays[f"{node.name}.weight"], arrays[f"{node.name}.bias"] = node.matrix, node.bias
        else:
            rows.append(f"pool,{node.name},0,valid")
    np.savez(folder / "network.npz", rows=np.array(rows), resolution=graph.card.resolution, **arrays)
    subprocess.run([str(python), str(_CONVERT), str(folder)], check=True, capture_output=True)
    return {precision: (folder / f"{precision}.tflite").read_bytes() for precision in ("float32", "int8")}


class Side:
    """One file with its wall and CPU times per inference; CPU time is hardly affected by other processes."""

    def __init__(
        self,
        data: bytes,
        resolution: int,
        wall: Callable[[], float] = time.perf_counter,
        cpu: Callable[[], float] = time.thread_time,
    ) -> None:
        self.data = data
        self._wall, self._cpu = wall, cpu
        self.image = np.random.default_rng(1).integers(0, 256, (1, resolution, resolution, 3), np.uint8)
        self.wall_ms: list[float] = []
        self.cpu_ms: list[float] = []

    def open(self) -> None:
        """Open the file again: the random placement of its arrays in memory affects times by some percent."""
        self.engine = Interpreter(model_content=self.data, num_threads=1)
        self.engine.allocate_tensors()
        self.engine.set_tensor(self.engine.get_input_details()[0]["index"], self.image)
        for _ in range(5):
            self.engine.invoke()

    def run(self) -> None:
        """One inference."""
        start, busy = self._wall(), self._cpu()
        self.engine.invoke()
        self.cpu_ms.append(1000 * (self._cpu() - busy))
        self.wall_ms.append(1000 * (self._wall() - start))


def compare(sides: Sequence[Side], seconds: float, clock: Callable[[], float] = time.perf_counter) -> None:
    """Run both for `seconds`, alternating, each first equally often, opened ten times; opening is not counted."""
    for _ in range(_OPENINGS):
        for side in sides:
            side.open()
        end = clock() + seconds / _OPENINGS
        while clock() < end:
            for side in (*sides, *reversed(sides)):
                side.run()


def described(name: str, sides: Sequence[Side]) -> str:
    """Sizes, medians and the ratios of the first side to the second, on one line."""
    sizes = " against ".join(f"{len(side.data):,} B" for side in sides)
    times = []
    for kind in ("wall", "cpu"):
        ours, theirs = (median(getattr(side, f"{kind}_ms")) for side in sides)
        times.append(f"{kind} p50 {ours:.3f} ms against {theirs:.3f} ms, ratio {ours / theirs:.3f}")
    return f"{name:28s} {sizes}; {'; '.join(times)} (target {TARGET})"


def main() -> None:
    """Parse, convert, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tensorflow-python", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=20.0, help="seconds per comparison")
    parser.add_argument("--labels", type=Path, help="names of 1000 classes, one per line")
    parser.add_argument("--keep", type=Path, help="a folder for all files")
    options = parser.parse_args()
    labels = [f"class {number}" for number in range(1000)]
    if options.labels is not None:
        labels = options.labels.read_text("utf-8").splitlines()[-1000:]
    for width, resolution in ((1.0, 224), (0.25, 128)):
        paddings: tuple[Padding, ...] = ("tensorflow", "symmetric")
        for padding in paddings:
            graph = network(width, resolution, labels, padding)
            ours = {"float32": litert_model(graph), "int8": litert_model(in_8_bits(graph))}
            with tempfile.TemporaryDirectory() as folder:
                theirs = converted(graph, options.tensorflow_python, Path(folder))
            for precision, data in ours.items():
                name = f"{width}-{resolution} {precision} {padding}"
                if options.keep is not None:
                    (options.keep / f"{name} ours.tflite").write_bytes(data)
                    (options.keep / f"{name} theirs.tflite").write_bytes(theirs[precision])
                sides = Side(data, resolution), Side(theirs[precision], resolution)
                compare(sides, options.seconds)
                print(described(name, sides), flush=True)


if __name__ == "__main__":
    main()
