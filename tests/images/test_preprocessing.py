import io
import json
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from mobilenet.errors import ConfigError, ImageError, ModelError
from mobilenet.images import Preprocessing, decode, resize, to_square

_GOOD = {"resolution": 224, "crop_fraction": 0.875, "mean": [1.0, 2.0, 3.0], "std": [4.0, 5.0, 6.0]}


def _jpeg(width: int, height: int) -> bytes:
    rows, columns = np.mgrid[:height, :width]
    waves = np.stack([np.sin(rows / 9), np.cos(columns / 13), np.sin((rows + columns) / 20)], axis=-1)
    file = io.BytesIO()
    Image.fromarray((127.5 + 120 * waves).astype(np.uint8)).save(file, "JPEG", quality=95)
    return file.getvalue()


def _triangle(length: int, out: int, low: float, high: float) -> NDArray[np.float64]:
    """(out, length) weights of an antialiased triangle filter, from its definition."""
    scale = (high - low) / out
    support = max(scale, 1.0)
    centres = low + (np.arange(out) + 0.5) * scale
    distance = np.abs(np.arange(length) + 0.5 - centres[:, None]) / support
    weights = np.clip(1 - distance, 0, None)
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("height", "width", "fraction"), [(37, 53, None), (90, 40, 0.875), (5, 7, None), (64, 64, 1.0)]
)
def test_resize_is_a_triangle_filter_over_the_box(height: int, width: int, fraction: float | None) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    inset = (0.0, 0.0) if fraction is None else tuple((n - fraction * min(height, width)) / 2 for n in (height, width))
    rows = _triangle(height, 16, inset[0], height - inset[0])
    columns = _triangle(width, 16, inset[1], width - inset[1])
    expected = np.einsum("ah,hwc,bw->abc", rows, image.astype(float), columns)
    # Pillow rounds after each of its two passes; at the rim of a crop its filter does not reach outside the box.
    found = resize(image, 16, fraction).astype(float)
    inner = slice(None) if fraction is None else slice(2, -2)
    assert np.abs(found - expected)[inner, inner].max() <= 1.01


def test_shrinking_by_a_whole_number_keeps_the_mean_and_the_same_size_keeps_the_pixels() -> None:
    image = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resize(image, 32), image)
    assert abs(resize(image, 4).mean() - image.mean()) < 6
    flat = np.full((30, 50, 3), 77, dtype=np.uint8)
    assert np.unique(resize(flat, 16)).tolist() == [77]


@pytest.mark.parametrize("fraction", [None, 0.875, 0.01])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 2000), (2000, 1), (3, 500)])
def test_extreme_shapes(height: int, width: int, fraction: float | None) -> None:
    image = np.full((height, width, 3), (9, 99, 199), dtype=np.uint8)
    np.testing.assert_array_equal(resize(image, 32, fraction), np.full((32, 32, 3), (9, 99, 199), dtype=np.uint8))


def test_the_crop_is_the_centred_square() -> None:
    image = np.zeros((80, 160, 3), dtype=np.uint8)
    image[20:60, 60:100] = 255
    np.testing.assert_array_equal(resize(image, 40, 0.5), np.full((40, 40, 3), 255, dtype=np.uint8))
    assert resize(image, 40, 0.6).min() == 0


def test_prepare_decodes_and_resizes(tmp_path: Path) -> None:
    data = _jpeg(300, 200)
    (tmp_path / "a.jpg").write_bytes(data)
    expected = resize(decode(data, at_least=160), 160)
    for source in (data, tmp_path / "a.jpg"):
        np.testing.assert_array_equal(Preprocessing(160).prepare(source), expected)
    assert to_square(data, 160)[1] == (200, 300)


@pytest.mark.parametrize(("fraction", "at_least"), [(None, 100), (1.0, 100), (0.5, 200), (0.875, 115)])
def test_the_scale_of_a_jpeg_leaves_enough_pixels_inside_the_crop(fraction: float | None, at_least: int) -> None:
    data = _jpeg(500, 460)
    np.testing.assert_array_equal(
        Preprocessing(100, fraction).prepare(data), resize(decode(data, at_least=at_least), 100, fraction)
    )


def test_a_reduced_jpeg_looks_like_the_whole_one() -> None:
    data = _jpeg(1600, 1200)
    reduced, whole = Preprocessing(160).prepare(data), resize(decode(data), 160)
    assert decode(data, at_least=160).shape == (300, 400, 3)
    assert np.abs(reduced.astype(int) - whole).mean() < 1.5


def test_prepare_refuses_what_is_no_photo() -> None:
    with pytest.raises(ImageError, match="empty file"):
        Preprocessing(32).prepare(b"")


@given(
    st.builds(
        Preprocessing,
        st.integers(1, 4096),
        st.none() | st.floats(0, 1, exclude_min=True),
        st.tuples(*[st.floats(0, 255)] * 3),
        st.tuples(*[st.floats(1e-3, 1e6)] * 3),
    )
)
def test_json_brings_it_back(value: Preprocessing) -> None:
    assert Preprocessing.from_json(json.loads(json.dumps(value.to_json()))) == value


def test_the_default_maps_pixels_to_minus_one_and_one() -> None:
    value = Preprocessing(128)
    assert value.to_json() == {"resolution": 128, "crop_fraction": None, "mean": [127.5] * 3, "std": [127.5] * 3}
    with pytest.raises(FrozenInstanceError):
        value.resolution = 4  # type: ignore[misc]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resolution": 0}, "resolution 0 is not a whole number from 1 to 4096"),
        ({"resolution": 224.0}, "resolution 224.0 is not"),
        ({"resolution": True}, "resolution True is not"),
        ({"resolution": "224"}, "resolution '224' is not"),
        ({"resolution": 5000}, "resolution 5000 is not"),
        ({"crop_fraction": 0}, r"crop_fraction 0 is not in \(0, 1\]"),
        ({"crop_fraction": 1.5}, "crop_fraction 1.5"),
        ({"crop_fraction": float("nan")}, "crop_fraction nan"),
        ({"crop_fraction": "half"}, "crop_fraction 'half'"),
        ({"mean": [1, 2]}, r"mean \(1, 2\) is not three numbers from 0 to 255"),
        ({"mean": 5}, "mean 5 is not"),
        ({"mean": [1, 2, 300]}, "mean"),
        ({"mean": [1, 2, None]}, "mean"),
        ({"std": [1, 2, 0]}, r"std \(1, 2, 0\) is not three numbers above 0"),
        ({"std": [1, 2, float("inf")]}, "std"),
        ({"std": [1, [2], 3]}, "std"),
        ({"extra": 1}, r"missing: \[\]; unexpected: \['extra'\]"),
    ],
)
def test_nonsense_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=f"^preprocessing: {message}"):
        Preprocessing.from_json({**_GOOD, **change})


def test_what_is_no_object_or_lacks_a_field_is_refused() -> None:
    for value in (None, [], "x", 3):
        with pytest.raises(ModelError, match="preprocessing is not an object but"):
            Preprocessing.from_json(value)
    for field in _GOOD:
        with pytest.raises(ModelError, match=rf"missing: \['{field}'\]; unexpected: \[\]"):
            Preprocessing.from_json({key: item for key, item in _GOOD.items() if key != field})
    with pytest.raises(ConfigError, match="resolution -1 is not"):
        replace(Preprocessing(32), resolution=-1)
