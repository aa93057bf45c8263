"""Augmentation against Pillow, and its randomness against what it promises."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch.nn.functional import interpolate

from mobilenet.images.augment import (
    Augmentation,
    Crops,
    draw_crops,
    random_uniform,
    render,
    training_methods,
    training_side,
    whole_photos,
)

_ZERO, _ONE = torch.zeros(3), torch.ones(3)


def _photo(side: int = 40) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)


def _render(photo: np.ndarray, crops: Crops, resolution: int) -> np.ndarray:
    pixels = torch.from_numpy(photo)[None]
    return render(pixels, crops, resolution, _ZERO, _ONE)[0].permute(1, 2, 0).numpy()


def _crop(top: float, left: float, height: float, width: float, *, mirrored: bool = False) -> Crops:
    plain = whole_photos(1)
    box = np.array([[top, left, height, width]], np.float32)
    return Crops(box, np.array([mirrored]), plain.gain, plain.offset, plain.method, plain.quarters)


@pytest.mark.parametrize("resolution", [17, 32, 40, 64])
@pytest.mark.parametrize("box", [(0, 0, 1, 1), (0.1, 0.3, 0.55, 0.5), (0.5, 0.0, 0.25, 1.0)])
def test_a_crop_is_what_pillow_resizes(resolution: int, box: tuple[float, float, float, float]) -> None:
    photo = _photo()
    top, left, height, width = box
    pillow_box = (left * 40, top * 40, (left + width) * 40, (top + height) * 40)
    want = np.array(Image.fromarray(photo).resize((resolution, resolution), Image.Resampling.BILINEAR, pillow_box))
    got = _render(photo, _crop(*box), resolution)
    # Pillow rounds after each of its two passes, and cuts the filter off at the box's edge where ours reads on.
    inside = np.s_[2:-2, 2:-2]
    assert np.abs(got[inside] - want[inside]).max() <= 1.5


@pytest.mark.parametrize("resolution", [9, 17, 32, 64])
def test_an_aliased_crop_is_interpolated_without_antialiasing(resolution: int) -> None:
    box = (0.1, 0.3, 0.55, 0.5)
    crops = replace(_crop(*box), method=np.array([1]))
    part = torch.from_numpy(_photo()[4:26, 12:32]).permute(2, 0, 1)[None].float()
    want = interpolate(part, size=(resolution, resolution), mode="bilinear", align_corners=False)[0]
    # At its edge, torch's part of the photo ends, and ours goes on.
    inside = np.s_[4:-4, 4:-4] if resolution > 22 else np.s_[1:-1, 1:-1]
    got = _render(_photo(), crops, resolution)
    assert np.abs(got[inside] - want.permute(1, 2, 0).numpy()[inside]).max() < 0.05
    if resolution < 20:
        assert np.abs(got[inside] - _render(_photo(), _crop(*box), resolution)[inside]).max() > 10


def test_a_mirrored_crop_is_the_crop_mirrored() -> None:
    box = (0.2, 0.1, 0.6, 0.7)
    straight = _render(_photo(), _crop(*box), 24)
    mirrored = _render(_photo(), _crop(*box, mirrored=True), 24)
    np.testing.assert_allclose(mirrored, straight[:, ::-1], atol=1e-3)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_turned_crop_is_the_crop_turned(quarters: int, mirrored: bool) -> None:  # noqa: FBT001 - a case
    crops = _crop(0.2, 0.1, 0.6, 0.7, mirrored=mirrored)
    turned = _render(_photo(), replace(crops, quarters=np.array([quarters])), 24)
    np.testing.assert_allclose(turned, np.rot90(_render(_photo(), crops, 24), quarters), atol=1e-3)


def test_turns_are_as_likely_and_change_nothing_else() -> None:
    crops, straight = (draw_crops(Augmentation(turn=turn), 1, 2, np.arange(4000)) for turn in (True, False))
    assert np.bincount(crops.quarters) == pytest.approx(np.full(4, 1000), abs=120)
    assert not straight.quarters.any()
    assert np.array_equal(crops.box, straight.box)
    assert np.array_equal(crops.mirrored, straight.mirrored)
    # A batch of turned and straight crops.
    pixels = torch.from_numpy(_photo())[None].expand(8, -1, -1, -1)
    some = crops.take(np.arange(8))
    together = render(pixels, some, 16, _ZERO, _ONE)
    for number, one in enumerate(some.split(1)):
        assert torch.allclose(render(pixels[:1], one, 16, _ZERO, _ONE), together[number : number + 1], atol=1e-3)


def test_colour_is_gain_and_offset_then_normalisation() -> None:
    photo = np.full((1, 8, 8, 3), (10, 100, 200), np.uint8)
    crops = Crops(
        whole_photos(1).box,
        np.array([False]),
        np.array([[2, 1, 0.5]], np.float32),
        np.array([[5, -10, 0]], np.float32),
        np.array([0]),
        np.array([0]),
    )
    got = render(torch.from_numpy(photo), crops, 4, torch.tensor([5.0, 10.0, 20.0]), torch.tensor([10.0, 8.0, 4.0]))
    assert got[0, :, 1, 2].tolist() == pytest.approx([(25 - 5) / 10, (90 - 10) / 8, (100 - 20) / 4])


def test_bfloat16_is_float32_rounded() -> None:
    crops = draw_crops(Augmentation(), 1, 2, np.arange(3))
    pixels = torch.from_numpy(np.stack([_photo()] * 3))
    mean, std = torch.full((3,), 127.5), torch.full((3,), 127.5)
    want = render(pixels, crops, 32, mean, std)
    got = render(pixels, crops, 32, mean, std, torch.bfloat16)
    assert got.is_contiguous(memory_format=torch.channels_last)
    # 8 bits of weights, of the intermediate rows and of the result.
    assert (got.float() - want).abs().max() < 0.05


@given(st.integers(0, 2**63), st.integers(0, 10_000), st.integers(0, 10**9))
def test_randomness_depends_on_seed_epoch_and_index_alone(seed: int, epoch: int, index: int) -> None:
    alone = random_uniform(seed, epoch, np.array([index]), 4)
    among = random_uniform(seed, epoch, np.array([index + 5, index, 3]), 4)
    assert np.array_equal(alone[0], among[1])
    assert not np.array_equal(alone, random_uniform(seed, epoch + 1, np.array([index]), 4))
    assert not np.array_equal(alone, random_uniform(seed + 1, epoch, np.array([index]), 4))


def test_randomness_is_uniform_and_independent() -> None:
    numbers = random_uniform(0, 0, np.arange(50_000), 3)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    # Four standard errors of a mean of 50,000 uniform numbers, and of their correlation.
    assert np.abs(numbers.mean(0) - 0.5).max() < 4 * np.sqrt(1 / 12 / 50_000)
    correlation = np.corrcoef(numbers.T) - np.eye(3)
    assert np.abs(correlation).max() < 4 / np.sqrt(50_000)


def test_crops_stay_inside_and_keep_the_area_asked_for() -> None:
    settings = Augmentation(crop_area=(0.25, 0.75))
    crops = draw_crops(settings, 7, 1, np.arange(5000))
    top, left, height, width = crops.box.T
    assert min(top.min(), left.min()) >= 0
    assert max((top + height).max(), (left + width).max()) <= 1 + 1e-6
    area = height * width
    # A crop that would be longer than the photo is cut, so a few are smaller.
    assert area.max() <= 0.75 + 1e-5
    assert np.mean(area < 0.25) < 0.01
    assert 0.45 < crops.mirrored.mean() < 0.55


def test_no_flip_and_no_colour_leave_photos_alone() -> None:
    still = Augmentation(flip=False, brightness=0, contrast=0, colour_balance=0)
    crops = draw_crops(still, 0, 0, np.arange(100))
    assert not crops.mirrored.any()
    assert np.all(crops.gain == 1)
    assert np.all(crops.offset == 0)


def test_a_share_of_the_samples_is_aliased_and_nothing_else_changes() -> None:
    indices = np.arange(5000)
    crops = draw_crops(Augmentation(aliasing=0.25), 3, 1, indices)
    assert set(crops.method.tolist()) == {0, 1}
    # Four standard errors.
    assert abs(crops.method.mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 5000)
    assert training_methods(Augmentation(aliasing=0.25)) == ("area", "aliased")
    never = draw_crops(Augmentation(aliasing=0), 3, 1, indices)
    assert not never.method.any()
    assert training_methods(Augmentation(aliasing=0)) == ("area",)
    for name in ("box", "mirrored", "gain", "offset"):
        np.testing.assert_array_equal(getattr(crops, name), getattr(never, name))
    np.testing.assert_array_equal(np.concatenate([part.method for part in crops.split(999)]), crops.method)


def test_a_seed_keeps_its_crops() -> None:
    """Drawn before samples were aliased: a number that is added to those of a sample comes after them."""
    crops = draw_crops(Augmentation(), 1, 2, np.array([3]))
    values = [*crops.box[0], *crops.gain[0], *crops.offset[0]]
    box, gain = [0.070672, 0.0310893, 0.7437444, 0.9662718], [0.7209845, 0.756789, 0.725895]
    assert values == pytest.approx([*box, *gain, *[19.3736172] * 3], abs=1e-6)
    assert crops.mirrored[0]


def test_photos_are_cached_a_little_larger_than_the_input() -> None:
    assert [training_side(side) for side in (32, 96, 128, 224)] == [48, 112, 144, 256]


def test_zoomed_out_photos_have_grey_around_them() -> None:
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (64, 32, 32, 3), np.uint8))
    settings = Augmentation((1.0, 1.0), 1.0, flip=False, brightness=0, contrast=0, colour_balance=0, zoom_out=2.0)
    crops = draw_crops(settings, 3, 0, np.arange(64))
    zoomed = crops.box[:, 2] > 1
    assert 16 < zoomed.sum() < 48
    assert crops.box[:, 2:].max() <= 2.0
    assert (crops.box[~zoomed] == [0, 0, 1, 1]).all()
    top, left = crops.box[:, 0], crops.box[:, 1]
    assert ((top <= 0) & (top >= 1 - crops.box[:, 2])).all()
    assert ((left <= 0) & (left >= 1 - crops.box[:, 3])).all()
    mean, std = torch.zeros(3), torch.ones(3)
    made = render(pixels, crops, 32, mean, std)
    assert made.isfinite().all()
    first = int(np.flatnonzero(zoomed)[0])
    above = int(np.floor(-top[first] / crops.box[first, 2] * 32)) - 1
    if above > 0:
        assert (made[first, :, :above] == 127.5).all()
    whole = render(pixels, whole_photos(64), 32, mean, std)
    assert torch.equal(made[~torch.from_numpy(zoomed)], whole[~torch.from_numpy(zoomed)])


def test_zooming_out_leaves_other_random_numbers_as_they_were() -> None:
    before, after = (draw_crops(Augmentation(zoom_out=factor), 1, 2, np.arange(99)) for factor in (1.0, 3.0))
    same = after.box[:, 2] <= 1
    np.testing.assert_array_equal(before.box[same], after.box[same])
    np.testing.assert_array_equal(before.gain, after.gain)
