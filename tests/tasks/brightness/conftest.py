"""The task, in the place where the tool looks for tasks; photos for it, and the commands."""

import csv
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

_FOLDER = Path(__file__).parent
_SIDE = 64


@pytest.fixture(autouse=True, scope="module")
def brightness() -> Iterator[None]:
    from mobilenet import tasks

    spec = importlib.util.spec_from_file_location(
        "brightness", _FOLDER / "__init__.py", submodule_search_locations=[str(_FOLDER)]
    )
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    others = dict(tasks.TASKS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "brightness", package)
        spec.loader.exec_module(package)
        from brightness.task import Brightness

        # Asked before the task that takes everything.
        tasks.TASKS.clear()
        tasks.TASKS.update({"brightness": Brightness(), **others})
        yield
    tasks.TASKS.clear()
    tasks.TASKS.update(others)
    for name in [name for name in sys.modules if name.startswith("brightness.")]:
        del sys.modules[name]


@pytest.fixture(scope="session")
def light_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV file and 400 photos: a mosaic of some brightness, and one quadrant that is darker."""
    folder = tmp_path_factory.mktemp("light")
    random = np.random.default_rng(0)
    names = ("top left", "top right", "bottom left", "bottom right")
    with (folder / "light.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "brightness", "quadrant"])
        for number in range(400):
            level, quadrant = random.uniform(90, 230), number % 4
            pixels = level + np.kron(random.uniform(-60, 60, (8, 8, 3)), np.ones((_SIDE // 8, _SIDE // 8, 1)))
            half = _SIDE // 2
            rows, columns = (slice(half * place, half * place + half) for place in divmod(quadrant, 2))
            pixels[rows, columns] *= 0.1
            image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
            image.save(folder / f"{number:03d}.png")
            writer.writerow([f"{number:03d}.png", f"{np.asarray(image).mean() / 255:.4f}", names[quadrant]])
    return folder / "light.csv"


def document(printed: str) -> Any:
    return json.loads(printed)
