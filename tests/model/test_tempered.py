"""A temperature in the weights is a division of the raw values, and of nothing else."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mobilenet.errors import ModelError
from mobilenet.images import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.model.head import Head
from mobilenet.model.outputs import Output
from mobilenet.model.tempered import tempered
from mobilenet.nn.network import TableNetwork
from mobilenet.spec import Concat, Conv, GlobalPool, Linear, Row

_PLANE = "block13.pointwise"
"""Of 256 channels at width 0.25."""


def _card(*outputs: Output, rows: tuple[Row, ...] = ()) -> ModelCard:
    head = Head(rows, outputs) if outputs else None
    return ModelCard("mobilenet_v1", 0.25, 32, ("cat", "dog", "owl"), Preprocessing(32), task="pose", head=head)


_JOINED = _card(
    Output("scores", ("mean",), (10,), "sigmoid"),
    Output("places", ("places",), (2,)),
    rows=(
        Conv("plain", 256, 4, 1, bias=True, batch_norm=False, activation="none", inputs=(_PLANE,)),
        Conv("normed", 256, 6, 3, inputs=(_PLANE,)),
        Concat("joined", ("plain", "normed")),
        GlobalPool("mean", inputs=("joined",)),
        Linear("places", 256, 2, bias=False, inputs=("pool",)),
    ),
)


def _arrays(card: ModelCard) -> dict[str, Any]:
    torch.manual_seed(0)
    network = TableNetwork(card.network(), card.outputs)
    state = network.state_dict()
    for name, value in state.items():
        if not name.startswith(("stem", "block")):
            # Norms and biases begin as zeros and ones.
            value.add_(torch.rand_like(value) * 0.1)
    return {name: value.numpy() for name, value in state.items()}


def _raw(card: ModelCard, arrays: Mapping[str, Any]) -> dict[str, Any]:
    network = TableNetwork(card.network(), card.outputs).eval()
    network.load_state_dict({name: torch.from_numpy(values) for name, values in arrays.items()})
    pixels = torch.rand((2, 3, 32, 32), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        return {name: values.numpy() for name, values in network(pixels).items()}


@pytest.mark.parametrize(("card", "output"), [(_card(), "probabilities"), (_JOINED, "scores"), (_JOINED, "places")])
@pytest.mark.parametrize("temperature", [0.31, 2.0])
def test_the_raw_values_of_one_output_are_divided(card: ModelCard, output: str, temperature: float) -> None:
    arrays = _arrays(card)
    warm_card, warm = tempered(card, arrays, {output: temperature})
    before, after = _raw(card, arrays), _raw(warm_card, warm)
    for name, values in before.items():
        # Weights are rounded once to float32, and sums of 256 products are computed in it.
        largest = np.abs(values).max()
        assert largest > 0
        np.testing.assert_allclose(after[name] * (temperature if name == output else 1), values, atol=1e-5 * largest)
    assert warm_card.temperatures == {output: temperature}
    assert ModelCard.from_json(warm_card.to_json()) == warm_card


def test_a_power_of_two_is_exact_and_the_arrays_given_stay() -> None:
    card, arrays = _card(), _arrays(_card())
    copies = {name: values.copy() for name, values in arrays.items()}
    cold_card, cold = tempered(*tempered(card, arrays, {"probabilities": 4.0}), {"probabilities": 0.5})
    changed = {name for name, values in cold.items() if not np.array_equal(values, arrays[name])}
    assert changed == {"classifier.weight", "classifier.bias"}
    assert all(np.array_equal(cold[name] * 2, arrays[name]) for name in changed)
    assert cold_card.temperatures == {"probabilities": 2.0}
    assert all(np.array_equal(values, copies[name]) for name, values in arrays.items())


@settings(max_examples=50)
@given(st.floats(0.1, 10), st.integers(0, 10**6))
def test_the_likeliest_class_stays(temperature: float, seed: int) -> None:
    card = _card()
    random = np.random.default_rng(seed)
    arrays = {"classifier.weight": random.normal(size=(3, 256)), "classifier.bias": random.normal(size=3)}
    arrays = {name: values.astype(np.float32) for name, values in arrays.items()}
    _, warm = tempered(card, arrays, {"probabilities": temperature})
    features = random.normal(size=(20, 256)).astype(np.float32)
    cold_logits, warm_logits = (
        features @ given["classifier.weight"].T + given["classifier.bias"] for given in (arrays, warm)
    )
    chosen = np.take_along_axis(warm_logits, cold_logits.argmax(1)[:, None], 1)[:, 0]
    # Only a tie up to rounding may go the other way.
    assert (warm_logits.max(1) - chosen <= 1e-5 * np.abs(warm_logits).max()).all()


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_is_a_positive_number(temperature: float) -> None:
    with pytest.raises(ModelError, match=r"^temperature .* of output probabilities is invalid; use a positive number$"):
        tempered(_card(), _arrays(_card()), {"probabilities": temperature})


@pytest.mark.parametrize(
    ("card", "output", "message"),
    [
        (_card(), "boxes", "unknown output 'boxes'; the network has probabilities"),
        (
            _card(Output("one", ("pool",), (256,)), Output("two", ("pool",), (256,))),
            "one",
            "output one cannot have a temperature: two reads the same row; add a row",
        ),
        (
            _card(Output("first", ("first",), (4,)), rows=(Linear("first", 256, 4), Linear("second", 4, 2))),
            "first",
            "output first cannot have a temperature: second reads the same row; add a row",
        ),
        (
            _card(Output("cut", ("cut",), (4,)), rows=(Linear("cut", 256, 4, activation="relu6"),)),
            "cut",
            "output cut cannot have a temperature: row cut clips at 6; use relu",
        ),
        (
            _card(Output("colour", ("colour",), (3,)), rows=(GlobalPool("colour", inputs=("input",)),)),
            "colour",
            "output colour cannot have a temperature: no row with weights computes it",
        ),
    ],
)
def test_an_output_without_rows_of_its_own_is_refused(card: ModelCard, output: str, message: str) -> None:
    with pytest.raises(ModelError) as error:
        tempered(card, {}, {output: 2.0})
    assert str(error.value) == message
