"""The picture of latencies."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenet.benchmark import Benchmark, Contender, Timing
from mobilenet.benchmark.plot import check_suffix, draw
from mobilenet.errors import ConfigError


def _slow(timing: Timing, factor: float) -> Timing:
    quantiles = tuple(factor * value for value in timing.quantiles_ms)
    return replace(
        timing,
        contender=Contender("models/b.safetensors", "torch", 2),
        p50_ms=quantiles[50],
        p99_ms=quantiles[99],
        quantiles_ms=quantiles,
    )


def test_every_contender_is_named_with_its_median(benchmark: Benchmark, timing: Timing, tmp_path: Path) -> None:
    draw(replace(benchmark, timings=(timing, _slow(timing, 2.0))), tmp_path / "picture.svg")
    text = (tmp_path / "picture.svg").read_text("utf-8")
    for part in ("a.tflite, litert, 1 thread: 1.5 ms", "b.safetensors, torch, 2 threads: 3 ms", "Raspberry Pi 5"):
        assert part in text


@pytest.mark.parametrize("factor", [1.3, 2.0, 40.0])
def test_a_picture_shows_something(benchmark: Benchmark, timing: Timing, tmp_path: Path, factor: float) -> None:
    draw(replace(benchmark, timings=(timing, _slow(timing, factor))), tmp_path / "picture.png")
    with Image.open(tmp_path / "picture.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert picture.format == "PNG"
    # Colours of the two curves, as matplotlib deals them out.
    for colour in ((0x1F, 0x77, 0xB4), (0xFF, 0x7F, 0x0E)):
        assert (pixels == colour).all(axis=2).sum() > 500


def test_other_kinds_of_pictures_are_refused() -> None:
    for name in ("picture.gif", "picture", "picture.png.zip"):
        with pytest.raises(ConfigError, match=r"is not a supported image format; use one of .png, .svg, .pdf"):
            check_suffix(Path(name))
    check_suffix(Path("PICTURE.PNG"))
