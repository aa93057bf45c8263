"""Photos with boxes, and the commands."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.datasets.boxes.writers import NAMES, Truth, coco_json

Run = Callable[..., str]

_COLOURS = ((220, 60, 60), (60, 60, 220), (230, 230, 230))
_SIDE = 64


@pytest.fixture(scope="session")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 photos with one or two coloured squares each, whose colour is their class, as COCO's JSON."""
    folder, random = tmp_path_factory.mktemp("squares"), np.random.default_rng(0)
    truths = {}
    for number in range(40):
        image = Image.fromarray(random.integers(0, 90, (_SIDE, _SIDE, 3), np.uint8))
        objects = []
        for left in (2, 34)[: 1 + number % 2]:
            label, side = int(random.integers(0, 3)), int(random.integers(19, 30))
            top = int(random.integers(2, _SIDE - side))
            image.paste(_COLOURS[label], (left, top, left + side, top + side))
            objects.append((NAMES[label], (top, left, top + side, left + side)))
        image.save(folder / f"{number:02}.png")
        truths[f"{number:02}.png"] = Truth((_SIDE, _SIDE), tuple(objects))
    (folder / "boxes.json").write_text(coco_json(truths))
    return folder


@pytest.fixture
def mobilenet(capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process and returns what it prints, on stdout or with `stderr` there; it has to exit with
    `exit_code`."""
    from mobilenet.cli.main import main

    def run(*words: object, exit_code: int = 0, stderr: bool = False) -> str:
        found = main([str(word) for word in words])
        printed = capfd.readouterr()
        assert found == exit_code, printed.err
        return printed.err if stderr else printed.out

    return run
