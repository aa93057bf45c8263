"""Prior boxes that are made for a data set."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mobilenet.spec import mobilenet_v1
from mobilenet.tasks.detection.head import decoding_of, head_of
from mobilenet.tasks.detection.priors import FINE, SHAPES, default_shapes
from mobilenet.tasks.detection.shapes import SAMPLE, fitting, sample_of

_BODY = mobilenet_v1(0.25, 320, 0)


def _boxes(sides: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros_like(sides), sides], 1).astype(np.float32)


def test_small_boxes_get_priors_of_their_size() -> None:
    random = np.random.default_rng(0)
    sides = np.concatenate([random.normal(size, size / 50, (100, 2)) for size in (0.04, 0.06, 0.09)])
    usual = default_shapes(_BODY)
    fitted = fitting(_BODY, usual, sample_of(_boxes(sides)))
    np.testing.assert_allclose(fitted[0], [[0.04] * 2, [0.06] * 2, [0.09] * 2], rtol=0.03)
    assert fitted[1:] == usual[1:], "there is nothing to fit the other planes to"


def test_boxes_like_the_usual_priors_and_few_boxes_change_nothing() -> None:
    usual = default_shapes(_BODY)
    every = np.array([prior for priors in usual for prior in priors]).clip(0, 1)
    assert fitting(_BODY, usual, sample_of(_boxes(np.tile(every, (20, 1))))) is usual
    assert fitting(_BODY, usual, sample_of(_boxes(np.full((5, 2), 0.03)))) is usual
    assert fitting(_BODY, usual, {}) is usual
    assert fitting(_BODY, usual, sample_of(np.zeros((9, 4), np.float32))) is usual


def test_the_sample_is_the_same_in_any_order_and_bounded() -> None:
    random = np.random.default_rng(1)
    sides = random.uniform(0.01, 0.9, (5000, 2))
    one, other = sample_of(_boxes(sides)), sample_of(_boxes(random.permutation(sides)))
    assert one == other
    assert len(one[SAMPLE]) == 2000
    assert sample_of(np.zeros((0, 4), np.float32)) == {SAMPLE: []}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(0.001, 1), st.floats(0.001, 1)), min_size=1, max_size=300))
def test_priors_are_always_boxes_and_as_many(sides: list[tuple[float, float]]) -> None:
    usual = default_shapes(_BODY)
    fitted = fitting(_BODY, usual, sample_of(_boxes(np.array(sides))))
    assert [len(priors) for priors in fitted] == [len(priors) for priors in usual]
    assert all(0 < side <= 4 for priors in fitted for shape in priors for side in shape)


def test_small_boxes_get_a_finer_plane() -> None:
    """At 320 pixels a position of the usual finest plane is 16 pixels; so many of the boxes here are 20 pixels long."""
    for small, fine in ((24, False), (26, True)):
        sides = np.repeat([[20 / 320] * 2, [100 / 320] * 2], [small, 100 - small], 0)
        decoding = decoding_of(_BODY, sample_of(_boxes(sides)), None)
        assert decoding.get(FINE, False) == fine
        assert len(decoding[SHAPES]) == 6 + fine
        outputs = {output.name: output for output in head_of(_BODY, 3, decoding).outputs}
        assert outputs["boxes"].shape == (3 * 40**2 * fine + 3 * 20**2 + 6 * (10**2 + 5**2 + 3**2 + 2**2 + 1), 4)


def test_planes_can_be_chosen_and_go_on() -> None:
    small = sample_of(_boxes(np.full((50, 2), 0.05)))
    assert FINE not in decoding_of(_BODY, small, None, "usual")
    fine = decoding_of(_BODY, {}, None, "fine")
    assert fine[SHAPES] == default_shapes(_BODY, fine=True)
    assert decoding_of(_BODY, fine, None) == fine
    assert decoding_of(_BODY, fine, None, "usual")[SHAPES] == default_shapes(_BODY)
    assert decoding_of(mobilenet_v1(0.25, 96, 0), fine, None)[SHAPES] == default_shapes(
        mobilenet_v1(0.25, 96, 0), fine=True
    )
