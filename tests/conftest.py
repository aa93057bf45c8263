"""The same surroundings for every test, whoever runs it: no settings of the user's shell, one thread a process."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

_FOREIGN = ("CLICOLOR", "FORCE_COLOR", "LINES", "NO_COLOR", "PYTHONOPTIMIZE", "PYTHONPATH", "PYTHONWARNINGS")
"""Variables that would change what the tool prints or which code runs."""

_FIXED = {"COLUMNS": "120", "LC_ALL": "C.UTF-8", "MPLBACKEND": "agg", "PYTHONHASHSEED": "0", "TERM": "dumb"}

for name in _FOREIGN:
    os.environ.pop(name, None)
os.environ.update(_FIXED)
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
