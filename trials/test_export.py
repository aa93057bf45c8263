"""Exported files: clothing and all third-party classifiers, proven on real photos; damaged files are rejected."""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from mobilenet.cli.predict import command as predict
from mobilenet.errors import MobilenetError
from mobilenet.export.export import Exported, ExportSettings, export
from mobilenet.export.litert.model import litert_model
from mobilenet.export.onnx.model import onnx_model
from mobilenet.model.arrays import read_arrays, write_arrays
from mobilenet.model.fold import build_graph
from mobilenet.weights.read import import_weights

_SHARED = Path(__file__).parents[2] / "shared"
_CLOTHING, _WEIGHTS = _SHARED / "data" / "clothing", _SHARED / "weights"

pytestmark = pytest.mark.skipif(
    not (_CLOTHING.is_dir() and _WEIGHTS.is_dir()),
    reason="the photos and the official files are not beside the project",
)

_MUTATIONS = 10_000
_CLASSIFIERS = (
    "mobilenet_v1_0.25_224_1_default_1.tflite",
    "mobilenet_v1_0.75_192_quant.tflite",
    "mobilenet_v1_0.5_160_quant.tflite",
    "mobilenet_v1_0.25_224_quant.tflite",
    "mobilenet_v1_0.25_128_quant.tflite",
    "vww_96.h5",
    "vww_96_float.tflite",
)


def _import(name: str, folder: Path) -> Path:
    imported = import_weights(_WEIGHTS / name)
    path = folder / f"{Path(name).stem}.safetensors"
    write_arrays(path, imported.card, imported.tensors)
    return path


def _exported(model: Path, out: Path, *, qat: bool = False) -> Exported:
    began = time.perf_counter()
    found = export(ExportSettings(model, _CLOTHING, out, qat=qat))
    took = time.perf_counter() - began
    for proof in found.proofs:
        accuracy = "" if proof.accuracy is None else f", accuracy {proof.accuracy:.1%} of {proof.network_accuracy:.1%}"
        faster = "" if proof.float32_latency_ms is None else f" against {proof.float32_latency_ms:.2f}"
        print(
            f"{Path(proof.file).name}: {proof.photos} photos, largest difference {proof.largest_difference:.1e}, "
            f"top-1 {proof.agreement:.1%}{accuracy}, {proof.size_bytes:,} bytes, {proof.latency_ms:.2f} ms{faster}"
        )
    print(f"{model.stem}: agreement of the int8 files {found.agreement:.1%}; {took:.0f} s in all; {found.quantization}")
    return found


@pytest.mark.parametrize("name", _CLASSIFIERS)
def test_imported_classifiers_in_float32_are_proven(name: str, tmp_path: Path) -> None:
    found = _exported(_import(name, tmp_path), tmp_path / "out")
    for proof in found.proofs:
        if proof.precision == "float32":
            assert not proof.failures
    assert found.agreement is not None


@pytest.mark.parametrize(("name", "epochs"), [("0.25_128", 12), ("0.75_192", 12)])
def test_clothing_is_proven_in_every_format_and_precision(name: str, epochs: int, tmp_path: Path) -> None:
    run = tmp_path / f"clothing-{name}"
    weights = _WEIGHTS / f"mobilenet_v1_{name}_quant.tflite"
    command = ["mobilenet", "train", str(_CLOTHING), "--weights", str(weights), "--epochs", str(epochs)]
    subprocess.run([sys.executable, "-m", *command, "--out", str(run)], check=True)
    found = _exported(run, run / "export")
    answers = [failure for proof in found.proofs for failure in proof.failures if "not faster on this" not in failure]
    assert answers == []
    assert found.agreement is not None
    assert found.agreement >= 0.98


def _mutations(data: bytes) -> Iterator[bytes]:
    """The file truncated, or with a few bits, bytes or integers changed."""
    random = np.random.default_rng(0)
    for _ in range(_MUTATIONS):
        changed = bytearray(data)
        if random.random() < 0.1:
            del changed[random.integers(len(data)) :]
        for _ in range(random.integers(1, 9) if len(changed) == len(data) else 0):
            # Half of them are among the tables at either end.
            near = int(random.integers(4096)) * (1 if random.random() < 0.5 else -1)
            place = near if random.random() < 0.5 else int(random.integers(len(data) - 4))
            place = min(place % len(data), len(data) - 4)
            kind = random.random()
            if kind < 0.4:
                changed[place] ^= 1 << int(random.integers(8))
            elif kind < 0.7:
                changed[place] = int(random.integers(256))
            else:
                changed[place : place + 4] = int(random.choice([0, 1, 255, 2**31 - 1, 2**32 - 1])).to_bytes(4, "little")
        yield bytes(changed)


@dataclass
class _Refused:
    count: int = 0
    slowest_s: float = 0.0


@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
def test_damaged_files_end_in_one_line(suffix: str, tmp_path: Path) -> None:
    card, arrays = read_arrays(_import("vww_96.h5", tmp_path))
    graph = build_graph(card, arrays)
    data = onnx_model(graph, batch=None) if suffix == ".onnx" else litert_model(graph)
    photo = next(_CLOTHING.rglob("*.jpg"))
    path, runner, seen = tmp_path / f"model{suffix}", CliRunner(), _Refused()
    for changed in _mutations(data):
        if changed == data:
            continue
        path.write_bytes(changed)
        began = time.perf_counter()
        result = runner.invoke(predict, [str(path), str(photo)])
        seen.slowest_s = max(seen.slowest_s, time.perf_counter() - began)
        seen.count += 1
        assert isinstance(result.exception, MobilenetError), repr(result.exception)
        assert len(str(result.exception).splitlines()) == 1
    print(f"{suffix}: {seen.count:,} damaged files of {len(data):,} bytes, all rejected, worst {seen.slowest_s:.3f} s")
