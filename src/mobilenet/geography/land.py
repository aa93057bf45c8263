"""The land of the world map: Natural Earth's at a scale of 1:110 million, which is in the public domain.

`benchmarks/convert_natural_earth.py` makes the file.
"""

import json
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobilenet.geography.antimeridian import Outline

__all__ = ["land", "land_mask"]

_FILE = Path(__file__).with_name("land_110m.json")
_ENLARGED = 2


@cache
def land() -> tuple[Outline, ...]:
    """The rings of all land, each (N, 2) within -180…180 and -90…90 and straight on the map; a lake is a ring within
    another one, so that land is what an odd number of rings is around."""
    rings = json.loads(_FILE.read_text("ascii"))["rings"]
    return tuple(np.cumsum(np.reshape(ring, (-1, 2)), axis=0)[:, ::-1] / 100 for ring in rings)


@cache
def land_mask(height: int) -> NDArray[np.float32]:
    """(height, 2·height): the share of land (0…1) in each pixel of a map from 90° to -90° and from -180° to 180°."""
    from PIL import Image, ImageChops, ImageDraw

    size = (2 * height * _ENLARGED, height * _ENLARGED)
    found = Image.new("1", size)
    for ring in land():
        one = Image.new("1", size)
        across, down = (ring[:, 1] + 180) / 360 * size[0], (90 - ring[:, 0]) / 180 * size[1]
        ImageDraw.Draw(one).polygon([*zip(across.tolist(), down.tolist(), strict=True)], fill=1)
        found = ImageChops.logical_xor(found, one)
    whole = np.asarray(found, np.float32).reshape(height, _ENLARGED, 2 * height, _ENLARGED)
    mask = np.asarray(whole.mean(axis=(1, 3)))
    mask.setflags(write=False)
    return mask
