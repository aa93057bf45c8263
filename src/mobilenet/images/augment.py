"""A batch of cached photos -> a batch of training input: random resized crop, flip and colour, in two matrix products.

Resampling is linear, and separable: a crop of height h scaled to R rows is a matrix (R, S) of triangle-filter weights,
and likewise for columns. So a whole batch is cropped, antialiased, scaled, flipped, colour-jittered and normalised by
two batched matrix products, without a loop over photos. The random numbers of a sample depend only on (seed, epoch,
index): not on its batch, nor on the process that draws them, nor on what was drawn before.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mobilenet.images.resize import ResizeMethod

__all__ = [
    "Augmentation",
    "Crops",
    "draw_crops",
    "random_uniform",
    "render",
    "training_methods",
    "training_side",
    "whole_photos",
]

IntArray = npt.NDArray[np.integer]
FloatArray = npt.NDArray[np.float32]

_DRAWS = 13
"""Random numbers per sample: crop area, aspect, x, y; flip; brightness, contrast, and three for colour balance; resize
method; quarter turns; zoom out. A new one goes to the end: the others stay what they are for a seed."""

_MIDDLE = 127.5
"""What is around a photo that is zoomed out."""

_METHODS: tuple[ResizeMethod, ...] = ("area", "aliased")


@dataclass(frozen=True, slots=True)
class Augmentation:
    """The strength of each augmentation.

    `crop_area`: smallest and largest share of the photo that a crop keeps; `crop_aspect`: largest factor by which the
    aspect ratio of a crop differs from the photo's; `flip`: mirror half of the photos; `brightness`, `contrast`,
    `colour_balance`: largest relative change (0.2: from 0.8 to 1.2); `aliasing`: share of the samples whose photo was
    shrunk without antialiasing, as most apps do; `turn`: turn each photo by 0 to 3 quarters, for photos without a top;
    `zoom_out`: half of the samples show the whole photo smaller, by up to this factor, with grey around it.
    """

    crop_area: tuple[float, float] = (0.5, 1.0)
    crop_aspect: float = 4 / 3
    flip: bool = True
    brightness: float = 0.3
    contrast: float = 0.3
    colour_balance: float = 0.15
    aliasing: float = 0.0
    turn: bool = False
    zoom_out: float = 1.0


@dataclass(frozen=True, slots=True)
class Crops:
    """The augmentation drawn for each of N samples.

    `box` (N, 4): top, left, height, width as fractions of the photo, beyond which it may reach; `mirrored` (N,), before
    `quarters` (N,), 0…3 quarter turns to the left; `gain` and `offset` (N, 3): a pixel p in 0…255 becomes
    gain · p + offset; `method` (N,) places in `training_methods`, by which the photo was shrunk.
    """

    box: FloatArray
    mirrored: npt.NDArray[np.bool_]
    gain: FloatArray
    offset: FloatArray
    method: npt.NDArray[np.int64]
    quarters: npt.NDArray[np.int64]

    def take(self, rows: IntArray) -> "Crops":
        """The crops of the samples `rows` (M,), in that order."""
        return Crops(*(values[rows] for values in self._values()))

    def split(self, size: int) -> "list[Crops]":
        """The same crops, `size` samples at a time."""
        parts = [slice(start, start + size) for start in range(0, len(self.box), size)]
        return [Crops(*(values[part] for values in self._values())) for part in parts]

    def _values(self) -> "tuple[npt.NDArray[Any], ...]":
        return self.box, self.mirrored, self.gain, self.offset, self.method, self.quarters


def training_side(resolution: int) -> int:
    """Side in pixels at which photos are cached for random crops: 1/8 more than the network input, in steps of 16, so
    that crops need little enlargement."""
    return -(-resolution * 9 // 8 // 16) * 16


def training_methods(settings: Augmentation) -> tuple[ResizeMethod, ...]:
    """The methods by which photos are shrunk before random crops are taken, those of `Crops.method`."""
    return _METHODS if settings.aliasing else _METHODS[:1]


def random_uniform(seed: int, epoch: int | IntArray, indices: IntArray, draws: int) -> npt.NDArray[np.float64]:
    """(N, draws) numbers in [0, 1), each a hash of (seed, epoch, index, draw) by SplitMix64 (Steele et al., 2014);
    `epoch` is one for all, or (N,) one for each."""
    state = _mix(np.uint64(seed & 0xFFFFFFFFFFFFFFFF) + np.zeros(1, np.uint64))
    state = _mix(state + np.asarray(epoch).astype(np.uint64))
    state = _mix(state + np.asarray(indices).astype(np.uint64))
    words = _mix(state[:, None] + np.arange(1, draws + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def draw_crops(settings: Augmentation, seed: int, epoch: int | IntArray, indices: IntArray) -> Crops:
    """The random crops and colours of the samples `indices` (N,) in `epoch`, one for all or (N,) one for each."""
    draw = random_uniform(seed, epoch, indices, _DRAWS).T
    low, high = settings.crop_area
    area = low + (high - low) * draw[0]
    aspect = np.exp(np.log(settings.crop_aspect) * (2 * draw[1] - 1))
    height, width = np.minimum(np.sqrt(area / aspect), 1), np.minimum(np.sqrt(area * aspect), 1)
    if settings.zoom_out > 1:
        further = 1 + (settings.zoom_out - 1) * np.maximum(2 * draw[12] - 1, 0)
        height, width = (np.where(further > 1, further, side) for side in (height, width))
    box = np.stack([draw[2] * (1 - height), draw[3] * (1 - width), height, width], axis=1)
    gain, offset = _colour(settings, draw[5:10])
    method = (draw[10] < settings.aliasing).astype(np.int64)
    quarters = (4 * draw[11] * settings.turn).astype(np.int64)
    return Crops(box.astype(np.float32), draw[4] < 0.5 * settings.flip, gain, offset, method, quarters)


def whole_photos(count: int) -> Crops:
    """Crops that change nothing: the whole photo as it is."""
    box = np.tile(np.array([0, 0, 1, 1], np.float32), (count, 1))
    gain, offset = np.ones((count, 3), np.float32), np.zeros((count, 3), np.float32)
    return Crops(box, np.zeros(count, np.bool_), gain, offset, np.zeros(count, np.int64), np.zeros(count, np.int64))


def render(
    pixels: Tensor, crops: Crops, resolution: int, mean: Tensor, std: Tensor, dtype: torch.dtype = torch.float32
) -> Tensor:
    """(N, S, S, 3) uint8 pixels -> (N, 3, R, R) network input, (colour - mean) / std, in channels_last and `dtype`.

    `mean` and `std` (3,) are in pixel values, on the device of `pixels`.
    """
    count, side = pixels.shape[:2]
    device = pixels.device
    box = torch.from_numpy(crops.box).to(device)
    # A turn to the left is a mirroring and a transposition: of columns for one quarter, of rows for three.
    rightwards = torch.from_numpy(crops.mirrored ^ np.isin(crops.quarters, (1, 2))).to(device)
    downwards = torch.from_numpy(crops.quarters >= 2).to(device)
    top, left, height, width = box.unbind(1)
    start = torch.cat([torch.where(downwards, top + height, top), torch.where(rightwards, left + width, left)])
    extent = torch.cat([torch.where(downwards, -height, height), torch.where(rightwards, -width, width)])
    aliased = torch.from_numpy(crops.method > 0).to(device)
    rows, columns = _filters(start, extent, side, resolution, torch.cat([aliased, aliased])).to(dtype).split(count)
    gain = torch.from_numpy(crops.gain).to(device) / std
    shift = (torch.from_numpy(crops.offset).to(device) - mean) / std
    planes = pixels.permute(0, 3, 1, 2).contiguous().to(dtype).view(count, 3 * side, side)
    narrowed = torch.bmm(planes, columns.transpose(1, 2)).view(count * 3, side, resolution)
    weighted = (rows[:, None] * gain.to(dtype)[:, :, None, None]).view(count * 3, resolution, side)
    output = torch.baddbmm(shift.to(dtype).view(count * 3, 1, 1), weighted, narrowed)
    output = output.view(count, 3, resolution, resolution)
    if (crops.box[:, 2:] > 1).any():
        grey = _MIDDLE * gain + shift
        inside = (rows.sum(2) > 0)[:, None, :, None] & (columns.sum(2) > 0)[:, None, None, :]
        output = torch.where(inside, output, grey.to(dtype)[:, :, None, None])
    odd = crops.quarters % 2 == 1
    if odd.any():
        across = torch.from_numpy(odd).to(device)[:, None, None, None]
        output = torch.where(across, output.transpose(2, 3), output)
    return output.contiguous(memory_format=torch.channels_last)


def _filters(start: Tensor, extent: Tensor, side: int, resolution: int, aliased: Tensor) -> Tensor:
    """(N,) starts and extents as fractions of the side -> (N, R, S) triangle-filter weights; each row sums to 1.

    A negative extent runs backwards, which mirrors; pixels beyond the side have no weights. The filter is as wide as
    one output pixel, and at least one input pixel (antialiasing when shrinking); where `aliased` (N,), as one input
    pixel (none).
    """
    scale = (extent * (side / resolution))[:, None, None]
    pixel = torch.arange(resolution, device=start.device, dtype=torch.float32)[:, None] + 0.5
    centre = start[:, None, None] * side + pixel * scale
    source = torch.arange(side, device=start.device, dtype=torch.float32) + 0.5
    width = torch.where(aliased[:, None, None], 1.0, scale.abs().clamp_min(1))
    distance = (source / width - centre / width).abs_()
    weights = torch.sub(1, distance, out=distance).clamp_min_(0)
    return weights.div_(weights.sum(2, keepdim=True).clamp_min_(torch.finfo(torch.float32).tiny))


def _colour(settings: Augmentation, draw: npt.NDArray[np.float64]) -> tuple[FloatArray, FloatArray]:
    """Five rows of uniform numbers -> gain and offset (N, 3): contrast about mid-grey, then balance of the channels."""
    spread = 2 * draw - 1
    contrast = 1 + settings.contrast * spread[1]
    brightness = (1 + settings.brightness * spread[0])[:, None]
    balance = 1 + settings.colour_balance * spread[2:5].T
    gain = contrast[:, None] * brightness * balance
    offset = np.broadcast_to(127.5 * (1 - contrast)[:, None] * brightness, gain.shape)
    return gain.astype(np.float32), offset.astype(np.float32)


def _mix(state: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """SplitMix64's output function; arithmetic modulo 2**64."""
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
