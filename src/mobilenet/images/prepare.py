"""Many photos -> the input of one network, decoded in threads; one that cannot be read stops no other."""

import os
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ImageError
from mobilenet.images.preprocessing import Preprocessing
from mobilenet.parallel import in_order

__all__ = ["Prepared", "prepare_photos"]

Prepared = tuple[NDArray[np.uint8], tuple[int, int]]
"""(R, R, 3) pixels of one photo, and (height, width) of the whole of it in pixels."""

Item = TypeVar("Item")


def prepare_photos(
    preprocessing: Preprocessing, read: Callable[[Item], bytes | Path], items: Iterable[Item]
) -> Generator[tuple[Item, Prepared | str], None, None]:
    """Each item with its photo, which `read` gives by its bytes or path (ImageError); in words why there is none."""

    def prepare(item: Item) -> Prepared | str:
        try:
            return preprocessing.prepare_sized(read(item))
        except ImageError as error:
            return str(error)

    return in_order(prepare, items, os.cpu_count() or 1)
