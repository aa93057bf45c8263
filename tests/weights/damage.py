"""Damaged TFLite files."""

import numpy as np
import tflite
from numpy.typing import NDArray


def tables(data: bytes) -> NDArray[np.int64]:
    """Where the bytes of a TFLite file lie that are no constant's values: most of it is filters, whose values do not
    matter to a reader."""
    model = tflite.Model.GetRootAs(data, 0)
    start = np.frombuffer(data, np.uint8).__array_interface__["data"][0]
    inside = np.zeros(len(data), bool)
    for number in range(model.BuffersLength()):
        values = model.Buffers(number).DataAsNumpy()
        if isinstance(values, np.ndarray):
            place = values.__array_interface__["data"][0] - start
            inside[place : place + len(values)] = True
    return np.flatnonzero(~inside)


def mutated(data: bytes, places: NDArray[np.int64], random: np.random.Generator) -> bytes:
    """Cut short, or with a few bytes, or one whole number, of another value; nine of ten changes at `places`."""
    if random.random() < 0.1:
        return data[: random.integers(len(data))]
    changed = bytearray(data)
    for _ in range(random.integers(1, 9)):
        place = int(random.choice(places)) if random.random() < 0.9 else int(random.integers(len(data)))
        if random.random() < 0.5:
            changed[place] = random.integers(256)
        else:
            number = int(random.choice([0, 1, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1]))
            changed[place : place + 4] = number.to_bytes(4, "little")
    return bytes(changed)
