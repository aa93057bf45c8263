"""The detectors' tables against the paper's Table 13 and a count by hand."""

import pytest

from mobilenet.errors import SpecError
from mobilenet.spec import ConvStyle, mobilenet_v1
from mobilenet.spec.cost import cost
from mobilenet.spec.mobilenet import mobilenet_v1_standard
from mobilenet.spec.shapes import output_shapes
from mobilenet.spec.ssd import PRIORS, detection_rows, mobilenet_v1_ssd, mobilenet_v1_ssdlite, planes


def test_the_papers_detector_costs_what_table_13_says() -> None:
    found = cost(mobilenet_v1_ssd())
    assert round(found.mult_adds / 1e9, 1) == 1.2
    assert round(found.to_json()["params"] / 1e6, 1) == 6.8


def test_separable_heads_cost_less() -> None:
    plain, separable = cost(mobilenet_v1_ssd(classes=90)), cost(mobilenet_v1_ssdlite(classes=90))
    assert separable.mult_adds < plain.mult_adds
    assert separable.to_json()["params"] < 0.8 * plain.to_json()["params"]


def test_at_300_pixels_there_are_1917_prior_boxes() -> None:
    sides = [(plane.height, plane.width) for plane in planes(mobilenet_v1(1.0, 300, 0))]
    assert sides == [(side, side) for side in (19, 10, 5, 3, 2, 1)]
    assert sum(height * width * priors for (height, width), priors in zip(sides, PRIORS, strict=True)) == 1917


@pytest.mark.parametrize("resolution", [96, 128, 160, 256, 300, 320, 512])
@pytest.mark.parametrize("separable", [True, False])
def test_the_rows_fit_together_at_every_resolution(resolution: int, *, separable: bool) -> None:
    network = (mobilenet_v1_ssdlite if separable else mobilenet_v1_ssd)(0.25, resolution, 3)
    shapes = output_shapes(network.rows, resolution)
    found = planes(mobilenet_v1(0.25, resolution, 0))
    for number, (plane, priors) in enumerate(zip(found, PRIORS, strict=False), 1):
        assert shapes[plane.row] == plane[1:]
        assert shapes[f"boxes{number}.prediction"] == (plane.height, plane.width, priors * 4)
        assert shapes[f"scores{number}.prediction"] == (plane.height, plane.width, priors * 3)
    assert found[-1].height == 1 or len(found) == 6


def test_a_fine_plane_comes_before_the_others_and_changes_none() -> None:
    body = mobilenet_v1(0.5, 300, 0)
    assert [plane.height for plane in planes(body, fine=True)] == [38, 19, 10, 5, 3, 2, 1]
    usual = detection_rows(body, 4, ConvStyle(), separable=True)
    fine = detection_rows(body, 4, ConvStyle(), separable=True, priors=(2, *PRIORS), fine=True)
    added = [row.name for row in fine if row not in usual]
    assert added == ["boxes0.depthwise", "boxes0.prediction", "scores0.depthwise", "scores0.prediction"]
    assert [row for row in fine if row in usual] == list(usual)
    assert output_shapes((*body.rows, *fine), 300)["scores0.prediction"] == (38, 38, 2 * 4)


def test_a_body_without_the_planes_is_refused() -> None:
    body = mobilenet_v1_standard(0.25, 96, 0)
    with pytest.raises(SpecError, match=r"has no row block11.pointwise, on which boxes are predicted"):
        detection_rows(body, 3, ConvStyle(), separable=True)
