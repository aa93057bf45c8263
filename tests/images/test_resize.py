"""The methods of apps, each against another implementation of it; and which of them see a photo at full size."""

import io

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from PIL import Image
from torch.nn.functional import interpolate

from mobilenet.errors import ConfigError
from mobilenet.images import RESIZE_METHODS, ResizeMethod, check_resize_method, decode, resize, to_square, to_squares

_SHAPES = pytest.mark.parametrize(
    ("height", "width"), [(480, 361), (97, 97), (194, 291), (20, 25), (33, 31), (1, 1), (2, 300)]
)
_SIDES = pytest.mark.parametrize("side", [1, 32, 97])

_HALF = 0.5 + 1e-4
"""Rounding to whole values, and the float32 arithmetic before it."""


def _noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _torch(image: NDArray[np.uint8], side: int, **how: object) -> NDArray[np.float64]:
    planes = torch.from_numpy(image).permute(2, 0, 1)[None].double()
    return np.asarray(interpolate(planes, size=(side, side), **how)[0].permute(1, 2, 0))  # type: ignore[arg-type]


@_SHAPES
@_SIDES
def test_bilinear_is_that_of_torch_without_antialiasing(height: int, width: int, side: int) -> None:
    image = _noise(height, width)
    want = _torch(image, side, mode="bilinear", align_corners=False, antialias=False)
    assert np.abs(resize(image, side, method="bilinear") - want).max() <= _HALF


@_SHAPES
@_SIDES
def test_nearest_is_that_of_torch(height: int, width: int, side: int) -> None:
    image = _noise(height, width)
    np.testing.assert_array_equal(resize(image, side, method="nearest"), _torch(image, side, mode="nearest"))


@_SHAPES
@_SIDES
def test_asymmetric_is_that_of_onnx(height: int, width: int, side: int) -> None:
    image = _noise(height, width)
    shape = helper.make_node(
        "Resize", ["x", "", "", "sizes"], ["y"], mode="linear", coordinate_transformation_mode="asymmetric"
    )
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, height, width])
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, side, side])
    sizes = helper.make_tensor("sizes", TensorProto.INT64, [4], [1, 3, side, side])
    model = helper.make_model(
        helper.make_graph([shape], "resize", [given], [made], [sizes]), opset_imports=[helper.make_opsetid("", 13)]
    )
    model.ir_version = 8
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (planes,) = session.run(None, {"x": image.transpose(2, 0, 1)[None].astype(np.float32)})
    # ONNX Runtime's positions are float32: on 480 pixels off by up to 480 / 2**24 of a step of at most 255.
    assert np.abs(resize(image, side, method="asymmetric") - planes[0].transpose(1, 2, 0)).max() <= 0.51


@pytest.mark.parametrize("method", RESIZE_METHODS)
def test_the_same_size_keeps_the_pixels(method: ResizeMethod) -> None:
    np.testing.assert_array_equal(resize(_noise(31, 31), 31, method=method), _noise(31, 31))


@pytest.mark.parametrize("method", ["bilinear", "asymmetric", "nearest"])
def test_a_crop_is_the_middle_of_the_photo(method: ResizeMethod) -> None:
    """A quarter of 64 pixels is 24 … 40. Only the last of the interpolated pixels looks beyond the crop."""
    image = _noise(64, 80)
    found = resize(image, 8, 0.25, method)
    np.testing.assert_array_equal(found, resize(image[24:40, 32:48], 8, method=method))


def test_fine_stripes_vanish_by_area_and_alias_otherwise() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    # At the border the filter is cut off within a stripe.
    assert np.unique(resize(stripes, 16)[:, 1:-1]).tolist() == [128]
    assert np.unique(resize(stripes, 16, method="nearest")).tolist() == [255]
    assert np.unique(resize(stripes, 16, method="asymmetric")).tolist() == [255]
    # Half a pixel on, every point is between a white and a black one.
    assert np.unique(resize(stripes, 16, method="bilinear")).tolist() == [128]


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_methods_of_apps_see_the_photo_at_full_size(kind: str) -> None:
    file = io.BytesIO()
    Image.fromarray(_noise(256, 320)).resize((640, 512)).save(file, kind)
    squares, size = to_squares(file.getvalue(), 48, None, RESIZE_METHODS)
    assert size == (512, 640)
    backwards, _ = to_squares(file.getvalue(), 48, None, RESIZE_METHODS[::-1])
    np.testing.assert_array_equal(backwards[::-1], squares)
    whole = decode(file.getvalue())
    for method, square in zip(RESIZE_METHODS, squares, strict=True):
        alone, its_size = to_square(file.getvalue(), 48, None, method)
        np.testing.assert_array_equal(square, alone)
        assert its_size == size
        seen = decode(file.getvalue(), at_least=48) if method == "area" else whole
        np.testing.assert_array_equal(square, resize(seen, 48, method=method))


@pytest.mark.parametrize(("width", "decoded"), [(200, 200), (380, 380), (400, 200), (1600, 200), (1500, 375)])
def test_aliased_is_nearest_from_four_pixels_each(width: int, decoded: int) -> None:
    """For 48 pixels, 192 are enough: at the smallest of 1, 1/2, 1/4 and 1/8 of the size that has them."""
    file = io.BytesIO()
    Image.fromarray(_noise(width, width)).save(file, "JPEG")
    (area, square), size = to_squares(file.getvalue(), 48, None, ("area", "aliased"))
    assert size == (width, width)
    seen = decode(file.getvalue(), at_least=192)
    assert seen.shape == (decoded, decoded, 3)
    np.testing.assert_array_equal(square, resize(seen, 48, method="nearest"))
    np.testing.assert_array_equal(area, to_square(file.getvalue(), 48)[0])


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(ConfigError, match="unknown resize method 'cubic'; use area, bilinear, asymmetric or nearest"):
        check_resize_method("cubic")
