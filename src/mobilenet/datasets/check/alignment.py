"""Whether two photos are the same picture: one is aligned with the other, then they are compared.

Two shirts on the same bed share the large shapes. Copies of a photo also share the small ones once they are aligned: so
the score is the correlation of details, that is, of what a blur of a few pixels removes.

A placement is (scale, shift) across and (scale, shift) down: the point x of the first photo, whose sides run from -1 to
1, corresponds to scale * x + shift in the second.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["aligned", "same_picture"]

_Floats = NDArray[np.float32]

_COARSE_STEPS, _FINE_STEPS, _LAST_STEPS = 3, 3, 6
_LEAST_SCALE, _MOST_SCALE, _MOST_SHIFT = 0.75, 1.33, 0.3
_LEAST_COARSE = 0.7
"""Correlation of details, at half the side of the thumbnails, below which a pair is rejected: this loses one copy in
1,500 and rejects three quarters of the other pairs."""

_BATCH = 32
_LAST_SIDE = 96
_LEAST_DETAIL = 0.91
_MOST_COLOUR = 14.0
"""Largest mean difference in colour between copies of a picture, in grey levels of 255."""

_FAINT = 0.6
"""Standard deviation in grey levels below which details are noise of the encoder."""
_LEAST_SHAPES = 0.995
_COARSE_RADIUS, _FINE_RADIUS, _LAST_RADIUS = 2, 3, 4


def aligned(first: NDArray[np.uint8], second: NDArray[np.uint8], placements: _Floats) -> tuple[_Floats, _Floats]:
    """Two (P, S, S) grey arrays, (P, 4) guesses -> the correlation (P,) of details, and refined placements (P, 4).

    Pairs that do not match at half the side score -1.
    """
    scores, found = np.full(len(first), -1, dtype=np.float32), placements.astype(np.float32)
    for start in range(0, len(first), _BATCH):
        part = slice(start, start + _BATCH)
        one, other = first[part].astype(np.float32), second[part].astype(np.float32)
        halves = _half(one), _half(other)
        _, moved = _fit(*halves, found[part], _COARSE_STEPS)
        fits = np.flatnonzero(_detail_score(*halves, moved, _COARSE_RADIUS) > _LEAST_COARSE)
        if len(fits):
            _, moved[fits] = _fit(one[fits], other[fits], moved[fits], _FINE_STEPS)
            scores[start + fits] = _detail_score(one[fits], other[fits], moved[fits], _FINE_RADIUS)
        found[part] = moved
    return scores, found


def _detail_score(first: _Floats, second: _Floats, placements: _Floats, radius: int) -> _Floats:
    """Two (P, S, S) -> (P,): the correlation of the details of the first with those of the second as placed.

    Details are what a blur of `radius` pixels removes.
    """
    laid, inside = _lay(second, placements)
    return _correlation(first - _blur(first, radius), laid - _blur(laid, radius), inside)


def same_picture(first: NDArray[np.uint8], second: NDArray[np.uint8], placement: _Floats) -> bool:
    """The final decision, from two photos (H, W, 3) uint8 of any size and the placement (4,) of the second.

    Both are resampled where they overlap, in colour, at a side that the smaller one still resolves.
    """
    side = min(_LAST_SIDE, max(32, min(*first.shape[:2], *second.shape[:2])))
    one, other = Image.fromarray(first), Image.fromarray(second)
    grey = [_smooth(_grey(_sample(photo, side, (-1, 1), (-1, 1))))[None] for photo in (one, other)]
    _, found = _fit(grey[0], grey[1], placement[None].astype(np.float32), _LAST_STEPS)
    across, across_there = _overlap(*found[0, :2].tolist())
    down, down_there = _overlap(*found[0, 2:].tolist())
    return _equal(_sample(one, side, across, down), _sample(other, side, across_there, down_there))


def _equal(first: _Floats, second: _Floats) -> bool:
    """Two (S, S, 3): compares details, or large shapes if there are none, and colours."""
    one, other = _smooth(_grey(first)), _smooth(_grey(second))
    # A slight change of exposure does not make a different picture: the second is given the exposure of the first.
    gain = min(max(float(one.std()) / max(float(other.std()), 1e-3), 0.7), 1.4)
    lit = (second - other.mean()) * gain + one.mean()
    if float(np.abs(_smooth_colours(first) - _smooth_colours(lit)).mean()) > _MOST_COLOUR:
        return False
    everywhere = np.ones((1, *one.shape), dtype=np.float32)
    details = [grey[None] - _blur(grey[None], _LAST_RADIUS) for grey in (one, other)]
    if min(float(detail.std()) for detail in details) < _FAINT:
        return float(_correlation(one[None], other[None], everywhere)[0]) > _LEAST_SHAPES
    return float(_correlation(details[0], details[1], everywhere)[0]) > _LEAST_DETAIL


def _fit(first: _Floats, second: _Floats, placements: _Floats, steps: int) -> tuple[_Floats, _Floats]:
    """Gauss-Newton on the placement, with the mean of both gradients (Benhimane and Malis, 2004).

    Returns the correlation (P,) in the overlap, and the placements (P, 4).
    """
    side = first.shape[1]
    at = _centres(side)
    slopes = _slopes(first)
    found = placements.copy()
    for _ in range(steps):
        laid, inside = _lay(second, found)
        one, one_scale = _standard(first, inside)
        other, other_scale = _standard(laid, inside)
        across, down = (
            (here / one_scale + there / other_scale) / 2 * inside
            for here, there in zip(slopes, _slopes(laid), strict=True)
        )
        jacobian = np.stack([across * at, across, down * at[:, None], down], axis=1).reshape(len(first), 4, -1)
        normal = np.einsum("pin,pjn->pij", jacobian, jacobian) + np.eye(4, dtype=np.float32) * 0.01
        slope = np.einsum("pin,pn->pi", jacobian, (one - other).reshape(len(first), -1))
        step = np.linalg.solve(normal, slope[:, :, None])[:, :, 0]
        found += np.clip(step, -0.1, 0.1)
        found[:, [0, 2]] = np.clip(found[:, [0, 2]], _LEAST_SCALE, _MOST_SCALE)
        found[:, [1, 3]] = np.clip(found[:, [1, 3]], -_MOST_SHIFT, _MOST_SHIFT)
    laid, inside = _lay(second, found)
    return _correlation(first, laid, inside), found


def _lay(photos: _Floats, placements: _Floats) -> tuple[_Floats, _Floats]:
    """(P, S, S), (P, 4) -> the photos resampled to their placements, and masks, 1 where they cover the square."""
    side = photos.shape[1]
    columns, across, covers_across = _sampling(placements[:, 0], placements[:, 1], side)
    rows, down, covers_down = _sampling(placements[:, 2], placements[:, 3], side)
    # Not as a matrix product: BLAS starts threads of its own, which compete with ours.
    laid = _between(photos, rows[:, :, None], down[:, :, None], axis=1)
    laid = _between(laid, columns[:, None, :], across[:, None, :], axis=2)
    return laid, covers_down[:, :, None] * covers_across[:, None, :]


def _between(photos: _Floats, places: NDArray[np.intp], weights: _Floats, axis: int) -> _Floats:
    here = np.take_along_axis(photos, places, axis)
    after = np.take_along_axis(photos, places + 1, axis)
    return np.asarray(here + (after - here) * weights, dtype=np.float32)


def _sampling(scales: _Floats, shifts: _Floats, side: int) -> tuple[NDArray[np.intp], _Floats, _Floats]:
    """Two (P,) -> three (P, side): the pixel before each point, the fraction to the next, and 1 inside the photo."""
    places = ((scales[:, None] * _centres(side) + shifts[:, None] + 1) * (side / 2) - 0.5).astype(np.float32)
    inside = (places >= -0.5) & (places <= side - 0.5)
    before = np.clip(np.floor(places), 0, side - 2)
    weights = np.clip(places - before, 0, 1)
    return before.astype(np.intp), weights.astype(np.float32), inside.astype(np.float32)


def _centres(side: int) -> _Floats:
    return ((np.arange(side, dtype=np.float32) + 0.5) / side * 2 - 1).astype(np.float32)


def _slopes(photos: _Floats) -> tuple[_Floats, _Floats]:
    """Gradients across and down, per unit of which a side has two."""
    down, across = np.gradient(photos, 2 / photos.shape[1], axis=(1, 2))
    return np.asarray(across, dtype=np.float32), np.asarray(down, dtype=np.float32)


def _standard(photos: _Floats, inside: _Floats) -> tuple[_Floats, _Floats]:
    """(P, S, S) with mean 0 and standard deviation 1 inside, and 0 outside; the deviations (P, 1, 1)."""
    count = inside.sum(axis=(1, 2), keepdims=True)
    centred = (photos - (photos * inside).sum(axis=(1, 2), keepdims=True) / count) * inside
    deviation: _Floats = np.sqrt((centred * centred).sum(axis=(1, 2), keepdims=True) / count) + np.float32(1e-3)
    return np.asarray(centred / deviation, dtype=np.float32), np.asarray(deviation, dtype=np.float32)


def _correlation(first: _Floats, second: _Floats, inside: _Floats) -> _Floats:
    product = _standard(first, inside)[0] * _standard(second, inside)[0]
    return np.asarray(product.sum(axis=(1, 2)) / inside.sum(axis=(1, 2)), dtype=np.float32)


def _half(photos: _Floats) -> _Floats:
    side = photos.shape[1] // 2
    squares = photos.reshape(len(photos), side, 2, side, 2)
    return np.asarray(squares.mean(axis=(2, 4)), dtype=np.float32)


def _blur(photos: _Floats, radius: int) -> _Floats:
    """The mean of the square of `radius` pixels to each side, (P, S, S) -> (P, S, S); borders are repeated."""
    size = 2 * radius + 1
    for axis in (1, 2):
        widths = [(0, 0), (0, 0), (0, 0)]
        widths[axis] = (radius + 1, radius)
        sums = np.pad(photos, widths, "edge").cumsum(axis=axis, dtype=np.float64)
        side = photos.shape[axis]
        ahead, behind = (np.take(sums, range(start, start + side), axis=axis) for start in (size, 0))
        photos = ((ahead - behind) / size).astype(np.float32)
    return photos


def _smooth(photo: _Floats) -> _Floats:
    """(S, S): each pixel and its neighbours, weighted 1 2 1."""
    padded = np.pad(photo, 1, "edge")
    rows = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    return np.asarray((rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 4, dtype=np.float32)


def _smooth_colours(photo: _Floats) -> _Floats:
    return np.stack([_smooth(photo[:, :, channel]) for channel in range(3)])


def _grey(photo: _Floats) -> _Floats:
    return np.asarray(photo @ np.array([0.299, 0.587, 0.114], dtype=np.float32), dtype=np.float32)


def _overlap(scale: float, shift: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """The part of an axis of the first photo covered by the second, and the corresponding part of the second."""
    low, high = max(-1.0, (-1 - shift) / scale), min(1.0, (1 - shift) / scale)
    return (low, high), (scale * low + shift, scale * high + shift)


def _sample(photo: Image.Image, side: int, across: tuple[float, float], down: tuple[float, float]) -> _Floats:
    """The part of a photo between -1 and 1 on both axes -> (side, side, 3) float32, antialiased."""
    width, height = photo.size
    left, right = (min(max((place + 1) / 2 * width, 0), width) for place in across)
    top, bottom = (min(max((place + 1) / 2 * height, 0), height) for place in down)
    part = photo.resize((side, side), Image.Resampling.BILINEAR, box=(left, top, right, bottom))
    return np.asarray(part, dtype=np.float32)
