"""Where each plane is in working memory, how many of its rows are kept, and how many are made at once.

Two plans. For speed, planes are whole, and a few rows are made at once, as many as stay in a processor's first cache.
For little memory, one row is made at a time, of most planes only those rows are kept that the next layer reads, and a
plane lies on top of the one that it is made from, as far as that has been read.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mobilenet.export.c.layer import PIXELS, PRODUCT, Layer, Memory, Place, blocks
from mobilenet.export.c.schedule import displacement

__all__ = ["small_plan", "speed_plan"]

_TILE = 16 * 1024
"""Values that a few rows of a layer's input may have, so that they stay in a processor's first cache."""

_ALIGNED, _SMALL = 64, 16
"""Values that every plane begins at a multiple of."""


@dataclass(frozen=True, slots=True)
class _Buffer:
    """`size` values that are needed from group `first` to group `last`; `layer` -1 is the tile."""

    layer: int
    size: int
    first: int
    last: int


def speed_plan(layers: Sequence[Layer], shown: frozenset[int]) -> Memory:
    """Whole planes, each made a few rows at a time; `shown` are the layers that outputs are read from."""
    kept = [layer.padded for layer in layers]
    steps = [_step(layer, layers) for layer in layers]
    # Kernels may read a cell behind a plane, and ignore it.
    return _placed(kept, steps, _buffers(layers, kept, steps, shown, _ALIGNED), {}, max(x.cell for x in layers))


def small_plan(layers: Sequence[Layer], shown: frozenset[int]) -> Memory:
    """As little memory as planes of which a few rows are kept, and planes on top of each other, make possible."""
    kept = _fewest_rows(layers, shown)
    steps = [1] * len(layers)
    pairs = _on_top(layers, kept, shown)
    return _placed(kept, steps, _buffers(layers, kept, steps, shown, _SMALL), pairs, _aligned(_beyond(layers), _SMALL))


def _beyond(layers: Sequence[Layer]) -> int:
    """Values behind a plane that kernels read, and ignore, because they read whole groups."""
    products = ((layer.works[0], layers[layer.reads[0].layer]) for layer in layers if layer.kind == PRODUCT)
    # The last axis of the weights is a group.
    return max([0, *(work.groups * int(work.weights.shape[-1]) - work.width * given.cell for work, given in products)])


def _step(layer: Layer, layers: Sequence[Layer]) -> int:
    if not layer.by_rows:
        return 1
    given = layers[layer.reads[0].layer]
    step = max(1, min(layer.height, _TILE // max(given.row * layer.stride, 1)))
    if not layer.separable:
        return step
    # All weights are read for each few rows, but with more rows at once each of these again for every two blocks.
    weights = int(layer.works[-1].weights.size) * (-(-layer.height // step) - 1)
    again = layer.height * layer.width * layer.tile_cell(given) * blocks(layer.channels) // 2
    return layer.height if weights > 2 * again else step


def _tile(layers: Sequence[Layer], steps: Sequence[int]) -> int:
    """Values between the halves of separable layers."""
    return max(
        (
            step * layer.width * layer.tile_cell(layers[layer.reads[0].layer])
            for layer, step in zip(layers, steps, strict=True)
            if layer.separable
        ),
        default=0,
    )


def _groups(layers: Sequence[Layer], kept: Sequence[int]) -> list[int]:
    """The group of each layer, which is the next layer whose plane is whole: they are made together."""
    groups, group = [0] * len(layers), len(layers) - 1
    for number in reversed(range(len(layers))):
        if kept[number] == layers[number].padded:
            group = number
        groups[number] = group
    return groups


def _last_groups(layers: Sequence[Layer], groups: Sequence[int], shown: frozenset[int]) -> list[int]:
    """The last group that needs each layer's plane; what is shown is needed to the end."""
    last = list(groups)
    for number, layer in enumerate(layers):
        for read in layer.reads:
            last[read.layer] = max(last[read.layer], groups[number])
    return [len(layers) if number in shown else group for number, group in enumerate(last)]


def _buffers(
    layers: Sequence[Layer], kept: Sequence[int], steps: Sequence[int], shown: frozenset[int], alignment: int
) -> list[_Buffer]:
    groups = _groups(layers, kept)
    last = _last_groups(layers, groups, shown)
    found = [
        _Buffer(number, _aligned(rows * layer.row, alignment), groups[number], last[number])
        for number, (layer, rows) in enumerate(zip(layers, kept, strict=True))
    ]
    return [*found, _Buffer(-1, _aligned(_tile(layers, steps), alignment), 0, len(layers))]


def _on_top(layers: Sequence[Layer], kept: Sequence[int], shown: frozenset[int]) -> dict[tuple[int, int], int]:
    """By a plane and the one that is made from it alone, how far behind the latter the former has to begin."""
    groups = _groups(layers, kept)
    last = _last_groups(layers, groups, shown)
    found = {}
    for target, layer in enumerate(layers):
        if kept[target] != layer.padded:
            continue
        inner = [number for number, group in enumerate(groups) if group == target]
        reads = [(read.layer, number) for number in inner for read in layers[number].reads if read.layer not in inner]
        if len(reads) != 1 or not layers[reads[0][1]].by_rows:
            continue
        given = reads[0][0]
        readers = sum(read.layer == given for other in layers for read in other.reads)
        if last[given] == target and readers == 1:
            found[given, target] = displacement(layers, kept, given, target)
    return found


def _placed(
    kept: Sequence[int],
    steps: Sequence[int],
    buffers: Sequence[_Buffer],
    pairs: dict[tuple[int, int], int],
    slack: int,
) -> Memory:
    """The largest buffers first, each as low as those before it allow."""
    best: dict[int, int] = {}
    size = -1
    for order in (
        lambda one: (-one.size, one.layer),
        lambda one: (one.first, -one.size),
        lambda one: (-one.last, -one.size),
    ):
        at = _lowest(sorted(buffers, key=order), pairs)
        top = max(at[buffer.layer] + buffer.size for buffer in buffers)
        if size < 0 or top < size:
            best, size = at, top
    places = tuple(Place(best[number], rows, step) for number, (rows, step) in enumerate(zip(kept, steps, strict=True)))
    return Memory(places, best[-1], size + slack)


def _lowest(buffers: Sequence[_Buffer], pairs: dict[tuple[int, int], int]) -> dict[int, int]:
    at: dict[int, int] = {}
    done: list[_Buffer] = []
    for buffer in buffers:
        taken = sorted(_forbidden(buffer, other, at[other.layer], pairs) for other in done if _together(buffer, other))
        place = 0
        for low, high in taken:
            if low < place < high:
                place = -(-high // _SMALL) * _SMALL
        at[buffer.layer] = place
        done.append(buffer)
    return at


def _together(one: _Buffer, other: _Buffer) -> bool:
    return one.first <= other.last and other.first <= one.last


def _forbidden(new: _Buffer, other: _Buffer, at: int, pairs: dict[tuple[int, int], int]) -> tuple[int, int]:
    """Between which two places the new buffer cannot begin, if the other one begins at `at`."""
    low, high = at - new.size, at + other.size
    if (behind := pairs.get((other.layer, new.layer))) is not None:
        return max(low, at - behind), high
    if (behind := pairs.get((new.layer, other.layer))) is not None:
        return low, min(high, at + behind)
    return low, high


def _fewest_rows(layers: Sequence[Layer], shown: frozenset[int]) -> list[int]:
    """For each layer the rows to keep: all, or those that its only reader needs at once, whichever takes less memory in
    the end, as far as the sizes of planes tell."""
    readers = [
        [number for number, layer in enumerate(layers) if any(read.layer == one for read in layer.reads)]
        for one in range(len(layers))
    ]
    whole = [layer.padded for layer in layers]
    rows = list(whole)
    for number, layer in enumerate(layers):
        if _may_be_cut(layer, number, readers[number], layers, shown):
            rows[number] = min(layer.padded, layers[readers[number][0]].window)
    return _cuts(layers, whole, rows)


def _may_be_cut(
    layer: Layer, number: int, readers: Sequence[int], layers: Sequence[Layer], shown: frozenset[int]
) -> bool:
    made_by_rows = layer.by_rows or layer.kind == PIXELS
    return made_by_rows and readers == [number + 1] and layers[number + 1].by_rows and number not in shown


def _cuts(layers: Sequence[Layer], whole: Sequence[int], rows: Sequence[int]) -> list[int]:
    """By dynamic programming along each chain of layers that may be cut: the most that any group takes is least."""
    kept = list(whole)
    number = 0
    while number < len(layers):
        end = number
        while rows[end] < whole[end]:
            end += 1
        if end > number:
            for place in _best_cuts(layers, whole, rows, number, end):
                kept[place] = rows[place]
        number = end + 1
    return kept


def _best_cuts(layers: Sequence[Layer], whole: Sequence[int], rows: Sequence[int], first: int, end: int) -> list[int]:
    """The layers from `first` to before `end` of which only some rows are kept; that of `end` is whole."""
    # For each whole plane, in order: the most memory so far, and the whole plane before it; -1 is none.
    best: dict[int, tuple[int, int]] = {first - 1: (0, -2)}
    for place in range(first, end + 1):
        options = []
        for before in range(first - 1, place):
            kept = [*whole[: before + 1], *rows[before + 1 : place], *whole[place:]]
            options.append((max(best[before][0], _group_values(layers, kept, before, place)), before))
        best[place] = min(options)
    cut = set(range(first, end))
    place = end
    while place >= first:
        cut.discard(place)
        place = best[place][1]
    return sorted(cut)


def _group_values(layers: Sequence[Layer], kept: Sequence[int], before: int, place: int) -> int:
    """Values of the planes of one group, with that which it reads, the two ends on top of each other."""
    inner = sum(kept[number] * layers[number].row for number in range(before + 1, place))
    made = layers[place].padded * layers[place].row
    if before < 0 or not any(read.layer == before for read in layers[before + 1].reads):
        return inner + made
    given = layers[before].padded * layers[before].row
    behind = max(displacement(layers, kept, before, place), 0)
    return inner + min(max(made, behind + given), made + given)


def _aligned(values: int, alignment: int) -> int:
    return -(-values // alignment) * alignment
