"""The same surroundings for every test, whoever runs it: no settings of the user's shell, one thread a process, no
graphics card."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import mobilenet

_FOREIGN = ("CLICOLOR", "FORCE_COLOR", "LINES", "NO_COLOR", "PYTHONOPTIMIZE", "PYTHONWARNINGS")
"""Variables that would change what the tool prints or which code runs."""

_FIXED = {"COLUMNS": "120", "LC_ALL": "C.UTF-8", "MPLBACKEND": "agg", "PYTHONHASHSEED": "0", "TERM": "dumb"}

_SOURCE = {"PYTHONPATH": str(Path(mobilenet.__file__).resolve().parents[1])}
"""A process that a test starts runs the code that is tested, installed or not."""

_HIDDEN = {"CUDA_VISIBLE_DEVICES": "", "HIP_VISIBLE_DEVICES": ""}
"""Set before torch is imported: what would train on a graphics card trains on the processor, as everywhere else."""

for name in _FOREIGN:
    os.environ.pop(name, None)
os.environ.update(_FIXED | _SOURCE | _HIDDEN)
if "PYTEST_XDIST_WORKER" in os.environ:
    # Set before torch is imported: several workers with all cores each are slower than one worker alone.
    os.environ.update({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})

settings.register_profile("always", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "always")


@pytest.fixture(scope="session", autouse=True)
def _own_cache_folder() -> Iterator[None]:
    """Caches of decoded photos go to a folder that is removed, never to the user's."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(Path(folder)))
        yield


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a MobileNet 0.25-32 of random weights."""
    from mobilenet.images import Preprocessing
    from mobilenet.model.card import ModelCard
    from mobilenet.nn.model_file import write_model
    from mobilenet.nn.network import TableNetwork

    folder = tmp_path_factory.mktemp("run")
    card = ModelCard("mobilenet_v1", 0.25, 32, ("cat", "dog", "owl"), Preprocessing(32), task="classification")
    write_model(folder / "model.safetensors", TableNetwork(card.network()).eval(), card)
    return folder


@pytest.fixture(scope="session")
def tiny_tflite(tiny_run: Path) -> Path:
    """The same network for LiteRT, whose engine starts much sooner than torch."""
    from mobilenet.export.litert.model import litert_model
    from mobilenet.model.arrays import read_arrays
    from mobilenet.model.graph import build_graph

    path = tiny_run / "tiny.tflite"
    path.write_bytes(litert_model(build_graph(*read_arrays(tiny_run / "model.safetensors"))))
    return path
