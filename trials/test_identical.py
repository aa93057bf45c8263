"""A refactoring changes no result: trainings, exported files and a search are bit-identical to before.

`identical.json` has the results for each environment: the processor, versions, all that floating-point sums and bytes
of files depend on. `make trial-identical` compares with it and lists the differences in order; if this environment has
no record, it compares two runs with each other and says so. To record this environment:

    python trials/test_identical.py --record

Not compared, besides what is noted below: config.json, report.html and tensorboard/, which contain paths, times and the
command; checkpoint/, which contains times, and is compared by trial-resume; and sentences, which may be reworded.
"""

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tflite
import torch
from safetensors import safe_open

from mobilenet.scenes import SceneSettings, write_scenes

_ROOT = Path(__file__).parents[1]
_RECORD = Path(__file__).with_name("identical.json")
_REMEDY = "python trials/test_identical.py --record"

_BESIDE = (folder / "shared" / "weights" for folder in _ROOT.parents)
_WEIGHTS = next(filter(Path.is_dir, _BESIDE), _ROOT.parent / "shared" / "weights") / (
    "mobilenet_v1_0.25_128_quant.tflite"
)

_SCENES, _EPOCHS, _FINE_TUNING_EPOCHS = 600, 6, 2
_SEARCH = ("--size", "5MB", "--latency", "1.1ms", "--reserve", "0")
"""Three candidates of the device below are at the edge of this budget; the float32 file of the widest exceeds it."""

_MOST_SHOWN = 12
"""Differences listed for each part: later ones follow from the first."""

_TIMED_METRICS = {"seconds", "images_per_second"}
"""Fields of a line of metrics.jsonl that depend on the time of an epoch."""

_TIMED_GATE = "faster than float32"
"""Compares two similar latencies of a few hundredths of a millisecond."""

_ENVIRONMENT_OF_A_CARD = {"versions", "machine"}
"""Fields of a model's provenance that are part of the environment of a record."""

_PATH_OF_AN_EVALUATION = "root"
"""The path of the photos."""

_FIGURES = ("p95_ms", "file_bytes", "peak_bytes")

_PACKAGES = (
    "ai-edge-litert",
    "flatbuffers",
    "numpy",
    "onnx",
    "onnxruntime",
    "pillow",
    "protobuf",
    "safetensors",
    "tflite",
    "torch",
)

Findings = dict[str, Any]
"""Plain values and digests by a name that says where each was found, in order of creation."""


def environment() -> dict[str, str]:
    """What results may depend on besides the code: the kernels for a processor, and the content of a model file."""
    abilities = getattr(torch.cpu, "get_capabilities", dict)()
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    version = subprocess.run(_words("--version"), env=_variables(), check=True, capture_output=True, text=True).stdout
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": str(abilities.get("cpu_name") or platform.processor()),
        "instructions": " ".join(sorted(name for name, has in abilities.items() if has is True)),
        "caches": " ".join(f"{name}: {size}" for name, size in sorted(abilities.items()) if "cache" in name),
        "cores": str(len(cores)),
        "python": platform.python_version(),
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        "mobilenet": version.split()[-1],
        **{name: metadata.version(name) for name in _PACKAGES},
    }


class Workspace:
    """A folder in which the commands run; scenes and the exported training are made on first use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def scenes(self) -> Path:
        """Those that the demo draws, fewer of them."""
        folder = self.folder / "demo" / "scenes"
        write_scenes(folder, SceneSettings(train=_SCENES, validation=max(_SCENES // 6, 10), seed=0))
        return folder

    @cached_property
    def trained(self) -> Path:
        """A run from random weights, in the default precision for the processor."""
        return self.train("trained", "--width", 0.25, "--resolution", 64, "--epochs", _EPOCHS)

    def train(self, name: str, *options: object) -> Path:
        """Train; returns the run folder."""
        self.run("train", self.scenes, *options, "--out", name)
        return self.folder / name

    def run(self, *words: object, may_fail: bool = False) -> None:
        """Run one command, which must succeed; with `may_fail`, a file may fail its proof."""
        done = subprocess.run(
            _words(*words), cwd=self.folder, env=_variables(self.folder), capture_output=True, text=True, check=False
        )
        if done.returncode not in ((0, 1) if may_fail else (0,)):
            end = "\n".join(done.stderr.splitlines()[-12:])
            raise AssertionError(f"mobilenet {' '.join(map(str, words))} failed:\n{end}")


def _words(*words: object) -> list[str]:
    return [sys.executable, "-m", "mobilenet", *map(str, words)]


def _variables(folder: Path | None = None) -> dict[str, str]:
    """The code next to this file, one thread and no GPU: sums depend on how they are divided."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    cache = {} if folder is None else {"MOBILENET_CACHE": str(folder / "cache")}
    return {**os.environ, **one, **cache, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(_ROOT / "src")}


def _scenes(work: Workspace) -> Findings:
    files = sorted(path for path in work.scenes.rglob("*") if path.is_file())
    return {
        "files": len(files),
        "bytes": _digest(part for path in files for part in (path.name.encode(), path.read_bytes())),
    }


def _training(work: Workspace) -> Findings:
    return _of_run(work.trained)


def _fine_tuning(work: Workspace) -> Findings:
    options = ("--weights", _WEIGHTS, "--epochs", _FINE_TUNING_EPOCHS, "--precision", "float32")
    return _of_run(work.train("fine-tuned", *options))


def _export(work: Workspace) -> Findings:
    return _exported(work, "export")


def _export_after_fine_tuning(work: Workspace) -> Findings:
    return _exported(work, "qat", "--precision", "int8", "--qat")


def _exported(work: Workspace, folder: str, *options: object) -> Findings:
    work.run("export", work.trained, "--out", folder, *options, may_fail=True)
    return _of_export(work.folder / folder)


def _search(work: Workspace) -> Findings:
    (work.folder / "device.json").write_text(json.dumps(_made_up_device()))
    options = (*_SEARCH, "--device", "device.json", "--epochs", _EPOCHS)
    work.run("fit", work.scenes, *options, "--out", "fit", may_fail=True)
    return _of_search(work.folder / "fit")


PARTS: dict[str, Callable[[Workspace], Findings]] = {
    "scenes": _scenes,
    "training from scratch": _training,
    "fine-tuning": _fine_tuning,
    "export": _export,
    "export after fine-tuning with rounding": _export_after_fine_tuning,
    "search": _search,
}
"""In order of dependency."""


def _made_up_device() -> dict[str, Any]:
    """The profile of another device: a search uses its figures, and no measured times."""
    widths, resolutions = (0.25, 0.5, 0.75), (32, 64, 96)
    kilobytes = {"float32": lambda width: 10 + 12_800 * width**2 + 240 * width}
    kilobytes["int8"] = lambda width: 60 + 3_200 * width**2 + 80 * width
    slowness = {"float32": 1.0, "int8": 0.9}

    def point(width: float, side: int, precision: str) -> dict[str, float]:
        milliseconds, size = slowness[precision] * (width * side / 32) ** 2, round(1000 * kilobytes[precision](width))
        peak = round(1_000_000 + size + 50 * width * side**2)
        sizes = {"file_bytes": size, "peak_bytes": peak}
        return {"width_multiplier": width, "resolution": side, "p50_ms": milliseconds, "p95_ms": milliseconds, **sizes}

    unknown = dict.fromkeys(("memory_bytes", "governor", "clocks_mhz", "temperatures_c", "load"))
    return {
        "format": 1,
        "kind": "device profile",
        "environment": {"processor": "made up", "cores": 1, "system": "made up", "versions": {}, **unknown},
        "classes": 10,
        "widths": widths,
        "resolutions": resolutions,
        "seconds": 1.0,
        "curves": [
            {
                "runtime": runtime,
                "precision": precision,
                "threads": 1,
                "points": [point(width, side, precision) for width in widths for side in resolutions],
            }
            for runtime in ("litert", "onnxruntime")
            for precision in ("float32", "int8")
        ],
    }


def _of_run(run: Path) -> Findings:
    """Metrics of each epoch, the evaluation, and the model with its card."""
    found: Findings = {}
    for text in (run / "metrics.jsonl").read_text("utf-8").splitlines():
        line = {name: value for name, value in json.loads(text).items() if name not in _TIMED_METRICS}
        found |= _flat(f"metrics.jsonl, epoch {line.pop('epoch')}", line)
    for name, value in json.loads((run / "evaluation.json").read_text("utf-8")).items():
        if name != _PATH_OF_AN_EVALUATION:
            plain = isinstance(value, int | float | None)
            found[f"evaluation.json, {name}"] = value if plain else f"digest {_digest([_text(value)])}"
    return found | _of_model(run / "model.safetensors")


def _of_model(path: Path) -> Findings:
    with safe_open(str(path), "np") as file:
        tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
        (card,) = (json.loads(text) for text in file.metadata().values())
    for name in _ENVIRONMENT_OF_A_CARD:
        card["provenance"].pop(name, None)
    return {
        f"{path.name}, tensors": _digest_arrays(tensors.values()),
        f"{path.name}, names of tensors": _digest(name.encode() for name in tensors),
        **_flat(f"{path.name}, card", card),
        f"{path.name}, bytes": _digest([path.read_bytes()]),
    }


def _of_export(folder: Path) -> Findings:
    """The choices for 8 bits, and the proof, weights and bytes of each file, without times.

    The name of a file says whether it is proven, which may depend on a time.
    """
    document = json.loads((folder / "export.json").read_text("utf-8"))
    found = _flat("export.json, quantization", document["quantization"] or {})
    found["export.json, int8_agreement"] = document["int8_agreement"]
    for proof in document["files"]:
        path = folder / Path(proof["file"]).name
        name = f"{proof['precision']} {path.suffix[1:]}"
        figures = ("photos", "largest_difference", "mean_difference", "agreement", "accuracy", "network_accuracy")
        found |= _flat(f"{name}, proof", {figure: proof[figure] for figure in figures})
        for gate in proof["gates"]:
            if gate["name"] != _TIMED_GATE:
                found |= _flat(f"{name}, gate {gate['name']}", {key: gate[key] for key in ("limit", "passed")})
        found[f"{name}, weights"] = _digest_arrays(_weights(path))
        found[f"{name}, bytes"] = _digest([path.read_bytes()])
    return found


def _of_search(folder: Path) -> Findings:
    """Estimates, trainings, files and the choice; cards are compared as bytes of their files."""
    document = json.loads((folder / "fit.json").read_text("utf-8"))
    chosen = document["chosen"] or {"runtime": None, "precision": None}
    found = _flat("chosen", document["winner"] or {})
    found |= _flat("chosen", {key: chosen[key] for key in ("runtime", "precision")})
    for row in document["candidates"]:
        name = f"candidate {row['width_multiplier']:g}-{row['resolution']}"
        found[f"{name}, variants inside"] = len(row["inside"])
        found |= _flat(f"{name}, figures", {key: row["figures"][key] for key in _FIGURES})
        for trial in row["trials"]:
            accuracies = {key: trial[key] for key in ("accuracy", "promise")}
            found |= _flat(f"{name}, {trial['epochs']} epochs", accuracies)
    for run in sorted((folder / "runs").iterdir()):
        found |= {f"run {run.name}, {name}": value for name, value in _of_run(run).items() if ", card, " not in name}
    for files in sorted((folder / "files").iterdir()):
        found |= {f"files of {files.name}, {name}": value for name, value in _of_export(files).items()}
    return found | {f"{path.name}, bytes": _digest([path.read_bytes()]) for path in sorted(folder.glob("model.*"))}


def _weights(path: Path) -> Iterator[np.ndarray]:
    """The constants of an exported file, in its order."""
    data = path.read_bytes()
    if path.suffix == ".onnx":
        yield from map(onnx.numpy_helper.to_array, onnx.load_model_from_string(data).graph.initializer)
        return
    model = tflite.Model.GetRootAs(data, 0)
    graph = model.Subgraphs(0)
    for tensor in map(graph.Tensors, range(graph.TensorsLength())):
        buffer = model.Buffers(tensor.Buffer())
        if buffer.DataLength():
            yield buffer.DataAsNumpy()


def _flat(name: str, values: dict[str, Any]) -> Findings:
    """Plain values of a nested mapping by their full name; a list is one value, as text."""
    found: Findings = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= _flat(f"{name}, {key}", value)
        else:
            found[f"{name}, {key}"] = _text(value).decode() if isinstance(value, list) else value
    return found


def _text(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _digest_arrays(arrays: Iterable[np.ndarray]) -> str:
    return _digest(
        part for array in arrays for part in (f"{array.dtype} {array.shape}".encode(), np.ascontiguousarray(array))
    )


def _digest(parts: Iterable[Any]) -> str:
    """Hexadecimal SHA-256 of parts of bytes, each preceded by its length."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{memoryview(part).nbytes} ".encode())
        digest.update(part)
    return digest.hexdigest()


def differences(found: Findings, recorded: Findings) -> list[str]:
    """Lines with the differences, in order."""
    lines = [
        f"{name}: {_shown(value)}, not {_shown(recorded[name])}" if name in recorded else f"{name}: not recorded"
        for name, value in found.items()
        if name not in recorded or recorded[name] != value
    ]
    return lines + [f"{name}: recorded, but not found" for name in recorded if name not in found]


def _shown(value: object) -> str:
    """A value; a digest is abbreviated."""
    text = str(value)
    whole = len(text) < 64 or " " in text.removeprefix("digest ")
    return text if whole else f"{text[:20]}…"


def _complaint(part: str, lines: Sequence[str]) -> str:
    more = [f"and {len(lines) - _MOST_SHOWN} more, which may follow from these"] if len(lines) > _MOST_SHOWN else []
    return "\n".join(f"{part}: {line}" for line in [*lines[:_MOST_SHOWN], *more])


def _records() -> list[dict[str, Any]]:
    return json.loads(_RECORD.read_text("utf-8")) if _RECORD.exists() else []


def _recorded(here: dict[str, str]) -> dict[str, Findings] | None:
    return next((record["results"] for record in _records() if record["environment"] == here), None)


def _nearest(here: dict[str, str]) -> str:
    """The differences from the most similar recorded environment."""
    others = [differences(here, record["environment"]) for record in _records()]
    return "; ".join(min(others, key=len, default=["nothing is recorded"]))


@pytest.fixture(scope="module")
def here() -> dict[str, str]:
    return environment()


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Workspace]:
    return Workspace(tmp_path_factory.mktemp("first")), Workspace(tmp_path_factory.mktemp("second"))


@pytest.mark.parametrize("part", PARTS)
def test_results_are_what_they_were(part: str, works: tuple[Workspace, Workspace], here: dict[str, str]) -> None:
    if part == "fine-tuning" and not _WEIGHTS.exists():
        pytest.skip(f"shared/weights/{_WEIGHTS.name} is in no folder above the project: nothing to fine-tune from")
    recorded = _recorded(here)
    began, worked = time.perf_counter(), _processor_s()
    found = PARTS[part](works[0])
    took = f"{time.perf_counter() - began:.0f} s, {_processor_s() - worked:.0f} s of CPU time"
    print(f"{part}: {len(found)} values and digests in {took}")
    if recorded is not None:
        lines = differences(found, recorded[part])
        assert not lines, _complaint(part, lines)
        return
    lines = differences(found, PARTS[part](works[1]))
    assert not lines, _complaint(f"two runs of {part}", lines)
    pytest.skip(f"two runs agree, but this environment has no record ({_nearest(here)}); make one with {_REMEDY}")


def test_what_differs_is_named() -> None:
    recorded = {"epoch 1, loss": 1.5, "epoch 2, loss": 1.24, "bytes": "a" * 64, "gone": 1}
    found = {"epoch 1, loss": 1.5, "epoch 2, loss": 1.23, "bytes": "b" * 64, "new": 1}
    lines = ["epoch 2, loss: 1.23, not 1.24", f"bytes: {'b' * 20}…, not {'a' * 20}…", "new: not recorded"]
    assert differences(found, recorded) == [*lines, "gone: recorded, but not found"]
    assert not differences(recorded, recorded)
    assert _complaint("export", ["a"] * (_MOST_SHOWN + 2)).endswith("export: and 2 more, which may follow from these")


def _processor_s() -> float:
    """CPU time of the commands so far."""
    times = os.times()
    return times.children_user + times.children_system


def _record() -> None:
    """Write the common result of two runs, replacing any earlier record of this environment."""
    if not _WEIGHTS.exists():
        sys.exit(f"shared/weights/{_WEIGHTS.name} is in no folder above the project: a record needs all parts")
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        works, results = (Workspace(Path(first)), Workspace(Path(second))), {}
        for part, run in PARTS.items():
            results[part], again = run(works[0]), run(works[1])
            if lines := differences(results[part], again):
                sys.exit(_complaint(f"two runs of {part}", lines))
            print(f"{part}: two runs agree on {len(again)} values and digests")
    here = environment()
    others = [record for record in _records() if record["environment"] != here]
    _RECORD.write_text(json.dumps([*others, {"environment": here, "results": results}], indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", required=True, help="Run everything twice and record it.")
    parser.parse_args()
    _record()
