"""The order in which the driver of a C file makes rows: which planes may lie on top of each other follows from it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mobilenet.export.c.layer import PIXELS, Layer

__all__ = ["Made", "displacement", "schedule"]


@dataclass(frozen=True, slots=True)
class Made:
    """`count` rows of a layer's plane from row `first` on."""

    layer: int
    first: int
    count: int


def schedule(
    layers: Sequence[Layer], kept: Sequence[int], steps: Sequence[int], targets: Sequence[int]
) -> Iterator[Made]:
    """The rows that the driver makes, in order, for the planes `targets` to be whole, if all others that are kept whole
    are. `kept` are the rows of each layer in memory, `steps` those that it makes at once."""
    made = [layer.padded if rows == layer.padded else 0 for layer, rows in zip(layers, kept, strict=True)]
    for target in targets:
        made[target] = 0
    for target in targets:
        while made[target] < layers[target].padded:
            number = target
            while (needs := _lacking(layers, made, steps, number)) is not None:
                number = needs
            count = _next_rows(layers[number], made[number], steps[number])
            yield Made(number, made[number], count)
            made[number] += count


def displacement(layers: Sequence[Layer], kept: Sequence[int], given: int, target: int) -> int:
    """How many values the plane `given` has to begin behind the plane `target` for the driver to make the latter on top
    of the former, row by row: whatever is written must have been read for the last time. It may be negative.

    `given` is the one plane that is read while `target` is made, for the last time.
    """
    size = layers[given].row
    rows = list(schedule(layers, kept, [1] * len(layers), [target]))
    reader = next(number for number, layer in enumerate(layers) if any(read.layer == given for read in layer.reads))
    layer, read = layers[reader], layers[reader].reads[0]
    offset = layers[given].pad[0] - read.above
    still, found = layers[given].padded, -layers[given].padded * size
    for made in reversed(rows):
        y = made.first - layer.pad[0]
        reads = made.layer == reader and 0 <= y < layer.height
        begins = offset + y * layer.stride
        if reads and not (made.layer == target and layer.separable):
            still = min(still, begins)
        if made.layer == target and still < layers[given].padded:
            end = (made.first + made.count) * layers[target].row
            found = max(found, end - still * size)
        if reads:
            still = min(still, begins)
    return found


def _next_rows(layer: Layer, made: int, step: int) -> int:
    left = layer.pad[0] + layer.height - made
    return 1 if made < layer.pad[0] or left <= 0 else min(left, step)


def _lacking(layers: Sequence[Layer], made: Sequence[int], steps: Sequence[int], number: int) -> int | None:
    layer = layers[number]
    y = made[number] - layer.pad[0]
    if layer.kind == PIXELS or not 0 <= y < layer.height:
        return None
    last = y + _next_rows(layer, made[number], steps[number]) - 1
    for read in layer.reads:
        given = layers[read.layer]
        needed = given.pad[0] - read.above + last * layer.stride + layer.window
        if made[read.layer] < min(needed, given.padded):
            return read.layer
    return None
