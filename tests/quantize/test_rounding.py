"""8-bit filters, biases and ranges, by hand and by properties."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from mobilenet.images import Preprocessing
from mobilenet.model.graph import ConvNode, PoolNode, Quantization, QuantizedConv
from mobilenet.quantize.ranges import Observed, choose_ranges, quantization
from mobilenet.quantize.weights import on_pixels, pixel_quantization, quantized_node, restored

_INPUT, _OUTPUT = Quantization(0.02, -128), Quantization(0.05, -128)


def _conv(filters: list[float], bias: float) -> ConvNode:
    weights = np.array(filters, np.float32).reshape(1, 1, 1, -1)
    return ConvNode("conv", ("x",), weights, np.array([bias], np.float32), 1, 1, "valid", "relu")


def test_ranges_by_hand() -> None:
    assert quantization(0.0, 6.0) == Quantization(float(np.float32(6 / 255)), -128)
    # 256 steps from -1 to 3: 4 / 255 each, and 0 is 63.75 steps above -1
    assert quantization(-1.0, 3.0) == Quantization(float(np.float32(4 / 255)), -64)
    assert quantization(2.0, 5.0) == quantization(0.0, 5.0)
    assert quantization(0.0, 0.0) == Quantization(1.0, -128)


@given(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4))
def test_zero_is_a_step_and_the_range_is_covered_to_half_a_step(first: float, second: float) -> None:
    low, high = min(first, second, 0.0), max(first, second, 0.0)
    found = quantization(low, high)
    assert -128 <= found.zero_point <= 127
    if high - low > 1e-3:
        assert (-128 - found.zero_point) * found.scale <= low + 0.51 * found.scale
        assert (127 - found.zero_point) * found.scale >= high - 0.51 * found.scale


def test_filters_by_hand() -> None:
    node = quantized_node(_conv([1.27, -0.635, 0.0, 0.004], 0.1), _INPUT, _OUTPUT)
    assert isinstance(node, QuantizedConv)
    assert node.scales.tolist() == [pytest.approx(0.01)]
    assert node.filters.ravel().tolist() == [127, -64, 0, 0]  # -63.5 goes to the even number
    assert node.bias.tolist() == [500]  # 0.1 / (0.02 × 0.01)


@given(st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=9), st.floats(-50, 50, width=32))
def test_what_is_rounded_lies_within_half_a_step(filters: list[float], bias: float) -> None:
    node = _conv(filters, bias)
    whole = quantized_node(node, _INPUT, _OUTPUT)
    again = restored(whole, _INPUT)
    assert isinstance(again, ConvNode)
    assert isinstance(whole, QuantizedConv)
    assert np.abs(again.filters - node.filters).max() <= 0.5001 * whole.scales[0]
    assert abs(float(again.bias[0]) - bias) <= 0.5001 * _INPUT.scale * whole.scales[0] + 1e-6 * abs(bias)


def test_a_bias_beside_dead_filters_is_kept() -> None:
    again = restored(quantized_node(_conv([0.0, 1e-30], 0.7), _INPUT, _OUTPUT), _INPUT)
    assert isinstance(again, ConvNode)
    assert again.bias[0] == pytest.approx(0.7, rel=1e-4)


@given(
    st.tuples(*[st.floats(100, 140)] * 3),
    st.tuples(*[st.floats(50, 130)] * 3),
)
def test_a_stem_that_reads_pixels_gives_the_same_away_from_the_border(
    mean: tuple[float, float, float], std: tuple[float, float, float]
) -> None:
    pixels = Preprocessing(32, None, mean, std)
    random = np.random.default_rng(0)
    stem = ConvNode(
        "stem",
        ("input",),
        random.standard_normal((4, 3, 3, 3)).astype(np.float32),
        random.standard_normal(4).astype(np.float32),
        2,
        1,
        "valid",
        "none",
    )
    image = torch.from_numpy(random.integers(0, 256, (1, 3, 9, 9)).astype(np.float32))
    normal = (image - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    reading = on_pixels(stem, pixels)
    given_ = pixel_quantization(pixels)
    steps = (image - 128 - given_.zero_point) * given_.scale
    wanted = F.conv2d(normal, torch.from_numpy(stem.filters), torch.from_numpy(stem.bias), 2)
    found = F.conv2d(steps, torch.from_numpy(reading.filters), torch.from_numpy(reading.bias), 2)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_only_a_convolution_reads_pixels() -> None:
    with pytest.raises(TypeError, match="pool reads the photo, which only a convolution can"):
        on_pixels(PoolNode("pool", ("input",)), Preprocessing(32))


def _observed(values: np.ndarray) -> Observed:
    low, high = float(values.min()), float(values.max())
    counts = np.histogram(values, 4096, (low, high))[0].astype(np.float64)
    return Observed(low, high, counts, np.array([high], np.float32))


def _squared_error(values: np.ndarray, high: float) -> float:
    scale = high / 255
    return float(np.square(np.clip(np.round(values / scale), 0, 255) * scale - values).mean())


def test_least_squared_error_agrees_with_trying_all_ranges_on_the_values() -> None:
    values = np.abs(np.random.default_rng(0).standard_normal(200_000)) ** 2
    found = choose_ranges({"x": _observed(values)}, "mse")["x"].scale * 255
    tried = np.linspace(0.2, 1.0, 81) * values.max()
    best = min(_squared_error(values, high) for high in tried)
    assert _squared_error(values, found) <= 1.05 * best
    assert found < values.max()


def test_percentile_leaves_out_one_in_ten_thousand() -> None:
    values = np.concatenate([np.linspace(0, 1, 999_950), np.full(50, 100.0)])
    seen = {"x": _observed(values)}
    assert choose_ranges(seen, "min-max")["x"].scale == pytest.approx(100 / 255)
    assert choose_ranges(seen, "percentile")["x"].scale * 255 == pytest.approx(1, abs=100 / 4096)
    both = {
        "x": replace(
            seen["x"], low=-100.0, counts=np.concatenate([[0.5], np.zeros(2046), [9e5, 9e5], np.zeros(2046), [0.5]])
        )
    }
    assert choose_ranges(both, "percentile")["x"].scale * 255 < 1
