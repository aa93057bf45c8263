"""The box around a COCO segmentation, for objects that have no box: polygons, or a run-length encoded mask."""

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain

from mobilenet.datasets.sources.boxes.annotation import Corners, as_number, as_size

__all__ = ["box_around"]

_OFFSET = 48
"""Of the letters of a compressed mask, which hold 5 bits each and one that says whether more follow."""


def box_around(segmentation: object) -> Corners | None:
    """Top, left, bottom, right in pixels of polygons, `[[x, y, x, y, ...], ...]`, or of a mask, `{"counts", "size"}`;
    None for what is neither, or has no area."""
    if isinstance(segmentation, list):
        return _around_polygons(segmentation)
    return _around_mask(segmentation) if isinstance(segmentation, dict) else None


def _around_polygons(polygons: Sequence[object]) -> Corners | None:
    lists = [polygon for polygon in polygons if isinstance(polygon, list)] or [list(polygons)]
    across = [as_number(value) for polygon in lists for value in polygon[::2]]
    down = [as_number(value) for polygon in lists for value in polygon[1::2]]
    if not down or len(across) != len(down) or not all(map(math.isfinite, chain(across, down))):
        return None
    return min(down), min(across), max(down), max(across)


def _around_mask(mask: dict[str, object]) -> Corners | None:
    """The runs go down one column after another; every second one, from the second, is of the object."""
    counts, sides = mask.get("counts"), mask.get("size")
    size = as_size(*sides) if isinstance(sides, list) and len(sides) == 2 else None
    if size is None:
        return None
    runs = list(_runs(counts)) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not all(type(run) is int and run >= 0 for run in runs):
        return None
    ends, height = list(accumulate(runs)), int(size[0])
    objects = [(ends[place] - runs[place], ends[place]) for place in range(1, len(runs), 2) if runs[place]]
    if not objects or ends[-1] > height * int(size[1]):
        return None
    columns = [start // height for start, _ in objects] + [(end - 1) // height for _, end in objects]
    rows = [_rows(start, end, height) for start, end in objects]
    return min(top for top, _ in rows), min(columns), max(bottom for _, bottom in rows), max(columns) + 1


def _rows(start: int, end: int, height: int) -> tuple[int, int]:
    """The first row of a run, and the one after its last."""
    if start // height != (end - 1) // height:
        return 0, height
    return start % height, (end - 1) % height + 1


def _runs(text: str) -> Iterator[int]:
    """The runs of a compressed mask, as `rleFrString` in pycocotools: from the fourth, each is the difference from the
    run two before it. A negative one ends a damaged mask, as its caller finds."""
    runs: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - _OFFSET
        if not 0 <= bits < 64 or shift > 60:
            yield -1
            return
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        yield runs[-1]
        value = shift = 0
