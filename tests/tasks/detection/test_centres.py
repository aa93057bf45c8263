"""Prior boxes are those that the card says, in the order of the outputs."""

from dataclasses import replace

import numpy as np
import pytest

from mobilenet.errors import ModelError
from mobilenet.images.preprocessing import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.model.ssd import ssd_head
from mobilenet.spec.rows import ConvStyle
from mobilenet.tasks.detection.priors import default_shapes, prior_boxes


def _card() -> ModelCard:
    style = ConvStyle("tensorflow", "relu6")
    card = ModelCard("mobilenet_v1", 0.25, 96, ("cat", "dog"), Preprocessing(96), style, task="detection")
    head = ssd_head(card.body(), 2, style, (3, 6, 6, 6), separable=True)
    shapes = default_shapes(card.body())
    return replace(card, head=head, decoding={"priors": shapes, "box_scales": [10.0, 10.0, 5.0, 5.0]})


def test_priors_go_plane_by_plane_and_row_by_row() -> None:
    card = _card()
    found, shapes = prior_boxes(card), card.decoding["priors"]
    expected = [
        [(row + 0.5) / side, (column + 0.5) / side, height, width]
        for side, priors in zip((6, 3, 2, 1), shapes, strict=True)
        for row in range(side)
        for column in range(side)
        for height, width in priors
    ]
    assert np.allclose(found, expected, atol=1e-6)


def test_centres_that_a_file_rounded_stay_rounded() -> None:
    card = _card()
    centres = [[0.1, 0.25, 0.4, 0.6, 0.75, 0.9], [0.2, 0.5, 0.8], [0.25, 0.75], [0.5]]
    found = prior_boxes(replace(card, decoding={**card.decoding, "centres": centres}))
    plain = prior_boxes(card)
    assert (found[:, 2:] == plain[:, 2:]).all()
    assert np.allclose(found[3 * 6 : 3 * 12 : 3, :2], [[0.25, column] for column in centres[0]])
    assert np.allclose(found[-6:, :2], 0.5)


@pytest.mark.parametrize("centres", [[], [[0.5]] * 3, [["a"]] * 4, [[2.0]] * 4, [[0.5]] * 4])
def test_centres_of_other_planes_are_refused(centres: list[object]) -> None:
    card = _card()
    with pytest.raises(ModelError, match=r"centres of positions"):
        prior_boxes(replace(card, decoding={**card.decoding, "centres": centres}))
