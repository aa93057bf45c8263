"""Photos for the task, and its commands."""

from pathlib import Path

import pytest
from tests.tasks.embedding.mosaics import write_mosaics


@pytest.fixture(scope="session")
def mosaics(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four classes of 12 photos."""
    return write_mosaics(tmp_path_factory.mktemp("mosaics") / "photos", 4, 12)
