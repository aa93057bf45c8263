"""Which photos may be the same picture: descriptors of small grey thumbnails, compared all with all.

A descriptor is the low frequencies of a thumbnail (a discrete cosine transform, as in pHash), kept as numbers rather
than bits: the comparison is then a matrix product that finds every pair within the bound, whereas hash buckets lose
those that a crop has moved. A crop changes low frequencies most, so each thumbnail is described whole and under six
small crops, and the whole of one photo is compared with all seven of the other.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["SIDE", "Candidates", "candidates", "describe", "thumbnail"]

SIDE = 64
"""Side of a thumbnail in pixels; the photo is stretched to the square."""

_FREQUENCIES = 6
_LEAST_COSINE = 0.93
"""Smallest cosine: 98 % of 1,600 crops of up to 10 % per side are above it (trials/test_check.py)."""

_NEAREST = 8
"""Candidates kept per photo: frames of a video, which all look alike, cost no more than other photos."""

_BLOCK = 2048
_FLAT = 1.0
"""Standard deviation in grey levels below which a thumbnail has no descriptor."""

Crop = tuple[float, float, float, float]
"""Crop at the left, the right, the top and the bottom, as fractions of the sides."""

_EIGHT = (0.0, 0.08)
_CROPS: tuple[Crop, ...] = (
    (0.0, 0.0, 0.0, 0.0),
    *((*x, *y) for x in (_EIGHT, _EIGHT[::-1]) for y in (_EIGHT, _EIGHT[::-1])),
    (0.04, 0.04, 0.04, 0.04),
    (0.08, 0.08, 0.08, 0.08),
)


@dataclass(frozen=True, eq=False, slots=True)
class Candidates:
    """Pairs that may be the same picture: the whole of `first` (P,) looks like a crop of `second` (P,).

    `placements` (P, 4) float32 are those of the crops, as used by `alignment`.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    placements: NDArray[np.float32]


def thumbnail(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 -> (SIDE, SIDE) uint8 grey, antialiased."""
    grey = Image.fromarray(pixels).convert("L")
    return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def describe(thumbnails: NDArray[np.uint8], crop: Crop = _CROPS[0]) -> NDArray[np.float32]:
    """(N, SIDE, SIDE) uint8 -> (N, 35) float32 unit vectors, without the mean; zeros for a picture of one colour."""
    across, down = _waves(crop[0], crop[1]), _waves(crop[2], crop[3])
    waves = (down @ thumbnails.astype(np.float32) @ across.T).reshape(len(thumbnails), -1)[:, 1:]
    lengths = np.linalg.norm(waves, axis=1, keepdims=True)
    # By Parseval, a norm of SIDE / 2 is a deviation of one grey level (a cosine has half the power of a constant).
    return np.where(lengths > _FLAT * SIDE / 2, waves / np.maximum(lengths, 1e-6), 0).astype(np.float32)


def candidates(thumbnails: NDArray[np.uint8], progress: Callable[[int, int], None] | None = None) -> Candidates:
    """The pairs among (N, SIDE, SIDE) thumbnails that may be the same picture, each once, the nearest of each photo.

    Compares all with all: N * N * 245 multiply-adds in blocks, minus the pairs ruled out by sorting on the first
    frequency. Takes 140 bytes per photo.
    """
    whole = _in_blocks(thumbnails)
    order = np.argsort(whole[:, 0], kind="stable")
    whole = whole[order]
    best: dict[tuple[int, int], tuple[float, int, int, int]] = {}
    for start in range(0, len(order), _BLOCK):
        block = thumbnails[order[start : start + _BLOCK]]
        for number, crop in enumerate(_CROPS):
            for row, column, cosine in _near(describe(block, crop), whole):
                one, other = int(order[column]), int(order[start + row])
                pair = (min(one, other), max(one, other))
                if one != other:
                    best[pair] = max(best.get(pair, (0.0, 0, 0, 0)), (cosine, number, one, other))
        if progress is not None:
            progress(min(start + _BLOCK, len(order)), len(order))
    found = sorted(best.values(), key=lambda item: item[2:])
    return Candidates(
        np.array([one for _, _, one, _ in found], dtype=np.int64),
        np.array([other for _, _, _, other in found], dtype=np.int64),
        np.array([_placement(_CROPS[number]) for _, number, _, _ in found], dtype=np.float32).reshape(-1, 4),
    )


def _near(cropped: NDArray[np.float32], whole: NDArray[np.float32]) -> Iterator[tuple[int, int, float]]:
    """(row of `cropped`, row of `whole`, cosine) above the bound, at most _NEAREST + 1 for each row of `cropped`.

    `whole` is sorted by its first number.
    """
    # Unit vectors with cosine c are at most sqrt(2 - 2c) apart, and so are their first components.
    reach = np.sqrt(2 - 2 * _LEAST_COSINE)
    first, last = np.searchsorted(whole[:, 0], [cropped[:, 0].min() - reach, cropped[:, 0].max() + reach])
    found = []
    for start in range(int(first), int(last), _BLOCK):
        cosines = cropped @ whole[start : min(start + _BLOCK, int(last))].T
        rows, columns = np.nonzero(cosines > _LEAST_COSINE)
        found.append((rows, columns + start, cosines[rows, columns]))
    if not found:
        return
    rows, columns, values = (np.concatenate(part) for part in zip(*found, strict=True))
    for position in _nearest(rows, values):
        yield int(rows[position]), int(columns[position]), float(values[position])


def _nearest(rows: NDArray[np.intp], cosines: NDArray[np.float32]) -> NDArray[np.intp]:
    """The positions of the _NEAREST + 1 highest cosines of each row: one of them may be the photo itself."""
    order = np.lexsort((-cosines, rows))
    _, starts, counts = np.unique(rows[order], return_index=True, return_counts=True)
    rank = np.arange(len(order)) - np.repeat(starts, counts)
    return order[rank <= _NEAREST]


def _in_blocks(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    blocks = [describe(thumbnails[start : start + _BLOCK]) for start in range(0, len(thumbnails), _BLOCK)]
    return np.concatenate(blocks) if blocks else np.empty((0, _FREQUENCIES**2 - 1), dtype=np.float32)


def _waves(before: float, after: float) -> NDArray[np.float32]:
    """(_FREQUENCIES, SIDE): the orthonormal cosines over one axis cropped by `before` and `after`."""
    places = (before + (np.arange(SIDE) + 0.5) / SIDE * (1 - before - after)) * SIDE - 0.5
    sampling = np.maximum(0, 1 - np.abs(places.clip(0, SIDE - 1)[:, None] - np.arange(SIDE)))
    cosines = np.cos(np.pi * (2 * np.arange(SIDE) + 1) * np.arange(_FREQUENCIES)[:, None] / (2 * SIDE))
    cosines *= np.sqrt(2 / SIDE)
    cosines[0] /= np.sqrt(2)
    return np.asarray(cosines @ sampling, dtype=np.float32)


def _placement(crop: Crop) -> tuple[float, float, float, float]:
    """Scale and shift across, scale and shift down; the sides of a photo run from -1 to 1."""
    left, right, top, bottom = crop
    return 1 - left - right, left - right, 1 - top - bottom, top - bottom
