"""A thinned network is compared with one whose other channels are zero: both must answer the same."""

from pathlib import Path

import numpy as np
import pytest

from mobilenet.errors import ConfigError
from mobilenet.images import Preprocessing
from mobilenet.model.arrays import read_arrays
from mobilenet.model.card import ModelCard
from mobilenet.model.fold import build_graph
from mobilenet.nn.network import TableNetwork
from mobilenet.weights.thin import thinned

_CARD = ModelCard("mobilenet_v1", 0.5, 32, ("cat", "dog", "owl"), Preprocessing(32), task="classification")


@pytest.fixture
def arrays() -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    state = TableNetwork(_CARD.network()).state_dict().items()
    return {name: values.numpy() for name, values in state if not name.endswith("num_batches_tracked")}


def test_channels_that_do_nothing_are_those_that_go(
    arrays: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]], tmp_path: Path
) -> None:
    """Every second channel of each layer is silenced; the network of half the width answers exactly as before."""
    for name, values in arrays.items():
        if name.endswith(("norm.weight", "norm.bias")):
            values[1::2] = 0
    card, made = thinned(_CARD, arrays, 0.25)
    assert card.width_multiplier == 0.25
    kept = made["stem.conv.weight"]
    np.testing.assert_array_equal(kept, arrays["stem.conv.weight"][::2][: len(kept)])
    np.testing.assert_array_equal(made["classifier.weight"], arrays["classifier.weight"][:, ::2])
    build_graph(card, made)
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    from mobilenet.model.arrays import write_arrays
    from mobilenet.runtimes import open_model

    answers = []
    for number, (own, values) in enumerate(((_CARD, arrays), (card, made))):
        path = tmp_path / f"{number}.safetensors"
        write_arrays(path, own, values)
        assert read_arrays(path)[0] == own
        answers.append(open_model(path).predict(images)["probabilities"])
    np.testing.assert_allclose(answers[1], answers[0], atol=1e-6)


def test_shapes_are_those_of_the_narrow_table(
    arrays: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]],
) -> None:
    card, made = thinned(_CARD, arrays, 0.375)
    wanted = {
        name: tuple(values.shape)
        for name, values in TableNetwork(card.network()).state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    assert {name: values.shape for name, values in made.items()} == wanted


def test_the_same_width_changes_nothing(
    arrays: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]],
) -> None:
    _, made = thinned(_CARD, arrays, 0.5)
    for name, values in arrays.items():
        np.testing.assert_array_equal(made[name], values)


def test_nothing_gets_wider(arrays: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]) -> None:
    with pytest.raises(ConfigError, match=r"width 0\.5 cannot become 0\.75"):
        thinned(_CARD, arrays, 0.75)
