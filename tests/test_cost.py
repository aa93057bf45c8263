"""Every golden number of the paper, exact; the formula against one written by hand; bytes counted by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenet.errors import SpecError
from mobilenet.spec import (
    Concat,
    Conv,
    GlobalPool,
    Linear,
    Network,
    Pool,
    mobilenet_v1,
    mobilenet_v1_shallow,
    mobilenet_v1_standard,
)
from mobilenet.spec.architectures import build
from mobilenet.spec.cost import cost, layer_mult_adds, layer_params, layer_weights

_MULT_ADDS = {
    1.0: (568_740_352, 418_121_728, 290_675_200, 186_400_768),
    0.75: (325_400_448, 239_273_472, 166_396_800, 106_770_432),
    0.5: (149_497_088, 109_970_432, 76_524_800, 49_160_192),
    0.25: (41_030_272, 30_212_608, 21_059_200, 13_570_048),
}
_PARAMS = {1.0: 4_231_976, 0.75: 2_585_560, 0.5: 1_331_592, 0.25: 470_072}
_GRID = [
    (width, resolution, mult_adds)
    for width, row in _MULT_ADDS.items()
    for resolution, mult_adds in zip((224, 192, 160, 128), row, strict=True)
]

_WIDTHS = st.floats(0, 16, exclude_min=True)
_RESOLUTIONS = st.integers(1, 256).map(lambda count: 32 * count)


@pytest.mark.parametrize(("width", "resolution", "mult_adds"), _GRID)
def test_the_grid_of_tables_6_and_7(width: float, resolution: int, mult_adds: int) -> None:
    figures = cost(mobilenet_v1(width, resolution))
    assert (figures.mult_adds, figures.params) == (mult_adds, _PARAMS[width])


def test_the_standard_body_of_table_4() -> None:
    figures = cost(mobilenet_v1_standard())
    assert (figures.mult_adds, figures.weights) == (4_867_293_184, 29_281_120)
    assert figures.mult_adds - 1024 * 1000 == 4_866_269_184


def test_the_shallow_network_of_table_5() -> None:
    figures = cost(mobilenet_v1_shallow())
    assert (figures.mult_adds, figures.weights) == (307_323_392, 2_875_328)


def test_the_shares_of_table_2() -> None:
    shares = {
        kind.kind: (round(100 * kind.mult_adds_share, 2), round(100 * kind.weights_share, 2))
        for kind in cost(mobilenet_v1()).by_kind()
    }
    assert shares == {
        "pointwise": (94.86, 74.59),
        "depthwise": (3.06, 1.06),
        "standard": (1.91, 0.02),
        "linear": (0.18, 24.33),
    }


@pytest.mark.parametrize(
    ("channels", "side", "mult_adds", "weights"),
    [(512, 14, 52_283_392, 266_752), (384, 14, 29_578_752, 150_912), (384, 10, 15_091_200, 150_912)],
)
def test_the_separable_layers_of_table_3(channels: int, side: int, mult_adds: int, weights: int) -> None:
    pair = (Conv("d", channels, channels, groups=channels), Conv("p", channels, channels, 1))
    assert sum(layer_mult_adds(row, (side, side, channels)) for row in pair) == mult_adds
    assert sum(layer_weights(row) for row in pair) == weights


def test_the_standard_layer_of_table_3() -> None:
    row = Conv("s", 512, 512)
    assert layer_mult_adds(row, (14, 14, 512)) == 462_422_016
    assert layer_weights(row) == 2_359_296


@given(_WIDTHS, _RESOLUTIONS, st.integers(1, 100_000))
def test_any_mobilenet_agrees_with_the_sum_written_out(width: float, resolution: int, classes: int) -> None:
    figures = cost(mobilenet_v1(width, resolution, classes))
    c32, c64, c128, c256, c512, c1024 = (max(int(base * width), 8) for base in (32, 64, 128, 256, 512, 1024))
    q = resolution // 32
    assert figures.mult_adds == (
        (16 * q) ** 2 * (27 * c32 + 9 * c32 + c32 * c64)
        + (8 * q) ** 2 * (9 * c64 + c64 * c128 + 9 * c128 + c128 * c128)
        + (4 * q) ** 2 * (9 * c128 + c128 * c256 + 9 * c256 + c256 * c256)
        + (2 * q) ** 2 * (9 * c256 + c256 * c512 + 5 * (9 * c512 + c512 * c512))
        + q**2 * (9 * c512 + c512 * c1024 + 9 * c1024 + c1024 * c1024)
        + c1024 * classes
    )
    weights = (
        (27 + 9) * c32 + c32 * c64 + 9 * c64 + c64 * c128 + 9 * c128 + c128**2 + 9 * c128 + c128 * c256 + 9 * c256
        + c256**2 + 9 * c256 + c256 * c512 + 5 * (9 * c512 + c512**2) + 9 * c512 + c512 * c1024 + 9 * c1024 + c1024**2
        + c1024 * classes
    )  # fmt: skip
    outputs = 2 * c32 + 2 * c64 + 4 * c128 + 4 * c256 + 12 * c512 + 3 * c1024
    assert figures.weights == weights
    assert figures.params == weights + 2 * outputs + classes
    assert figures.weight_bytes_float32 == 4 * (weights + outputs + classes)
    assert figures.weight_bytes_int8 == weights + 8 * (outputs + classes)


@given(_WIDTHS, _WIDTHS, _RESOLUTIONS)
def test_a_wider_network_never_costs_less(one: float, other: float, resolution: int) -> None:
    narrow, wide = (cost(mobilenet_v1(width, resolution)) for width in sorted((one, other)))
    assert narrow.mult_adds <= wide.mult_adds
    assert narrow.params <= wide.params
    assert narrow.peak_activation_bytes_int8 <= wide.peak_activation_bytes_int8


@given(_WIDTHS, st.lists(_RESOLUTIONS, min_size=2, max_size=2, unique=True))
def test_more_pixels_always_cost_more_but_add_no_parameters(width: float, resolutions: list[int]) -> None:
    small, large = (cost(mobilenet_v1(width, resolution)) for resolution in sorted(resolutions))
    assert small.mult_adds < large.mult_adds
    assert small.params == large.params
    assert small.peak_activation_bytes_float32 < large.peak_activation_bytes_float32


def test_parameters_of_single_rows() -> None:
    assert layer_params(Conv("c", 4, 8, 3)) == 4 * 8 * 9 + 2 * 8
    assert layer_params(Conv("c", 4, 8, (1, 3), bias=True, batch_norm=False)) == 4 * 8 * 3 + 8
    assert layer_params(Conv("c", 4, 8, 3, groups=2, bias=True)) == 2 * 8 * 9 + 3 * 8
    assert layer_params(Linear("l", 10, 5)) == 55
    assert layer_params(Linear("l", 10, 5, bias=False)) == 50
    assert [layer_params(row) for row in (Pool("p", "max", 2, 2), GlobalPool("g"), Concat("c", ("a",)))] == [0, 0, 0]


def test_kinds_of_layers() -> None:
    rows = (
        Conv("grouped", 3, 12, 3, groups=3),
        Conv("multiplied", 12, 24, 3, groups=12),
        Conv("ones", 24, 24, 1, groups=2),
        Conv("tall", 24, 24, (3, 1)),
        Pool("pool", "max", 2, 2),
        Concat("joined", ("pool", "pool")),
        GlobalPool("mean"),
        Linear("classifier", 48, 2),
    )
    kinds = [layer.kind for layer in cost(Network("n", 8, 2, rows)).layers]
    assert kinds == ["depthwise", "depthwise", "pointwise", "standard", "pool", "concat", "pool", "linear"]


def test_one_channel_is_a_standard_convolution() -> None:
    rows = (Conv("grey", 3, 1, 1), Conv("blur", 1, 1, 3))
    assert cost(Network("n", 8, 1, rows)).layers[1].kind == "standard"


def test_bytes_alive_in_a_chain() -> None:
    rows = (Conv("a", 3, 2, 1), Conv("b", 2, 5, 1), GlobalPool("g"), Linear("l", 5, 7))
    layers = cost(Network("chain", 10, 7, rows)).layers
    # The image is 300 bytes in either column; a is 200 values, b 500, g 5, l 7.
    assert [layer.activation_bytes_float32 for layer in layers] == [300 + 800, 800 + 2000, 2000 + 20, 20 + 28]
    assert [layer.activation_bytes_int8 for layer in layers] == [300 + 200, 200 + 500, 500 + 5, 5 + 7]


def test_bytes_alive_in_branches() -> None:
    rows = (
        Conv("a", 3, 2, 1),
        Conv("left", 2, 1, 1),
        Conv("right", 2, 4, 1, inputs=("a",)),
        Conv("unread", 3, 1, 1, inputs=("input",)),
        Concat("joined", ("left", "right")),
    )
    figures = cost(Network("branches", 10, 5, rows))
    alive = [300 + 200, 300 + 200 + 100, 300 + 200 + 100 + 400, 300 + 100 + 400 + 100, 100 + 400 + 500]
    assert [layer.activation_bytes_int8 for layer in figures.layers] == alive
    assert figures.peak_activation_bytes_int8 == 1000


def test_the_peak_of_1_0_224_is_the_first_pointwise_layer() -> None:
    figures = cost(mobilenet_v1())
    assert figures.peak_activation_bytes_int8 == 112 * 112 * (32 + 64) == 1_204_224
    assert figures.peak_activation_bytes_float32 == 4 * 1_204_224


def test_a_batch_norm_folds_into_one_bias() -> None:
    (layer,) = cost(Network("n", 4, 1, (Conv("c", 3, 8, 1),))).layers
    assert (layer.weight_bytes_float32, layer.weight_bytes_int8) == (4 * (24 + 8), 24 + 4 * 8 + 4 * 8)
    (bare,) = cost(Network("n", 4, 1, (Conv("c", 3, 8, 1, batch_norm=False),))).layers
    assert (bare.weight_bytes_float32, bare.weight_bytes_int8) == (4 * 24, 24 + 4 * 8)


def test_totals_are_the_sums_of_the_layers() -> None:
    for name in ("inception_v3", "squeezenet_1_0", "mobilenet_v1"):
        figures = cost(build(name))
        assert sum(kind.mult_adds for kind in figures.by_kind()) == figures.mult_adds
        assert sum(kind.params for kind in figures.by_kind()) == figures.params
        assert sum(kind.weights_share for kind in figures.by_kind()) == pytest.approx(1)


def test_a_network_without_weights_costs_nothing() -> None:
    figures = cost(Network("mean", 8, 3, (GlobalPool("mean"),)))
    assert (figures.mult_adds, figures.params, figures.by_kind()) == (0, 0, ())


def test_the_document_begins_with_what_people_ask_for() -> None:
    document = cost(mobilenet_v1(0.5, 160)).to_json()
    assert list(document.items())[:2] == [("mult_adds", 76_524_800), ("params", 1_331_592)]
    assert document["by_kind"]
    layers = cost(mobilenet_v1(0.5, 160)).layers_to_json()
    assert layers[0]["name"] == "stem"
    assert sum(int(str(layer["mult_adds"])) for layer in layers) == 76_524_800


def test_rows_that_do_not_fit_are_not_costed() -> None:
    with pytest.raises(SpecError, match="row b expects 9 channels but gets 8"):
        cost(Network("n", 32, 1, (Conv("a", 3, 8), Conv("b", 9, 8))))
