"""Prior boxes against TensorFlow's for the paper's detector, codes against their inverse."""

import numpy as np
import pytest
import torch
from tests.tasks.detection.detector import card_of

from mobilenet.errors import ModelError
from mobilenet.model.suppression import corners, decoded
from mobilenet.nn.boxes import encode
from mobilenet.tasks.detection.priors import BOX_SCALES, default_shapes, prior_boxes


def test_the_papers_priors_are_tensorflows() -> None:
    """`create_ssd_anchors` for six layers, scales 0.2 to 0.95, its lowest layer reduced, as in its configuration."""
    priors = prior_boxes(card_of())
    assert priors.shape == (1917, 4)
    scales = [0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0]
    first = [(0.1, 1.0), (0.2, 2.0), (0.2, 0.5)]
    expected = []
    for layer, side in enumerate((19, 10, 5, 3, 2, 1)):
        between = float(np.sqrt(scales[layer] * scales[layer + 1]))
        later = [*((scales[layer], aspect) for aspect in (1.0, 2.0, 0.5, 3.0, 1 / 3)), (between, 1.0)]
        for row in range(side):
            for column in range(side):
                for scale, aspect in later if layer else first:
                    centre = (row + 0.5) / side, (column + 0.5) / side
                    expected.append((*centre, scale / aspect**0.5, scale * aspect**0.5))
    np.testing.assert_allclose(priors, np.array(expected), atol=1e-6)


@pytest.mark.parametrize("resolution", [96, 128, 256, 320, 512])
def test_every_resolution_has_priors_from_small_to_large(resolution: int) -> None:
    card = card_of(resolution)
    priors = prior_boxes(card)
    assert priors.shape == card.outputs[0].shape
    assert ((priors[:, :2] > 0) & (priors[:, :2] < 1)).all()
    assert priors[:, 2].min() < 0.15
    assert priors[:, 2].max() > 0.9
    assert len(default_shapes(card.body())) == len(card.outputs[0].rows)


def test_codes_stand_for_the_boxes_that_they_were_made_of() -> None:
    random = np.random.default_rng(1)
    centres, sides = random.uniform(0.3, 0.7, (500, 2)), random.uniform(0.05, 0.5, (500, 2))
    boxes = corners(np.concatenate([centres, sides], 1)).astype(np.float32)
    priors = np.concatenate([random.uniform(0.3, 0.7, (500, 2)), random.uniform(0.05, 0.6, (500, 2))], 1)
    priors = priors.astype(np.float32)
    codes = encode(torch.from_numpy(boxes), torch.from_numpy(priors)).numpy() * np.array(BOX_SCALES, np.float32)
    np.testing.assert_allclose(decoded(codes, priors, BOX_SCALES), boxes, atol=1e-5)


def test_a_card_whose_priors_are_not_its_own_is_refused() -> None:
    card = card_of()
    card.decoding["priors"][0].append([0.1, 0.1])
    with pytest.raises(ModelError, match=r"row boxes1.prediction has 12 channels for 4 prior boxes"):
        prior_boxes(card)
    card.decoding["priors"] = [[["a", 1]]]
    with pytest.raises(ModelError, match="are not pairs of height and width"):
        prior_boxes(card)
