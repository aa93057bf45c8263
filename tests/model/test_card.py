"""A card says everything of a network: what it says comes back, and what says nonsense is one line."""

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobilenet.errors import ModelError
from mobilenet.images import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.model.head import Head
from mobilenet.model.outputs import Output
from mobilenet.spec import Concat, Conv, ConvStyle, GlobalPool, Linear, Pool, mobilenet_v1
from mobilenet.spec.cost import cost

_PLAIN = ModelCard(
    "mobilenet_v1",
    0.5,
    96,
    ("cat", "Hündchen"),
    Preprocessing(96, 0.875, (123.5, 116.0, 103.0), (58.0, 57.0, 57.5)),
    ConvStyle("tensorflow", "relu6", 0.001, batch_norm=False),
    task="classification",
    provenance={"data": {"hash": "01ab"}, "seed": 7},
)

_HEAD = Head(
    (
        Conv("boxes", 256, 12, (3, 1), padding="tensorflow", bias=True, inputs=("block13.pointwise",)),
        Pool("most", "max", 1, 1, inputs=("boxes",)),
        Concat("joined", ("boxes", "most")),
        GlobalPool("mean", inputs=("joined",)),
        Linear("flags", 24, 5, activation="relu"),
    ),
    (
        Output("boxes", ("boxes",), (3, 4)),
        Output("flags", ("flags",), (5,), "sigmoid"),
        Output("embedding", ("pool",), (256,), "l2"),
        Output("sorts", ("flags",), (5,), "softmax"),
    ),
)
_HEADED = ModelCard(
    "mobilenet_v1",
    0.25,
    32,
    ("left eye", "right eye"),
    Preprocessing(32),
    task="pose",
    head=_HEAD,
    decoding={"cells": [[0.5, 0.25]], "threshold": 0.5},
)


def test_the_card_of_a_plain_classifier_is_what_every_version_has_written() -> None:
    assert _PLAIN.to_json() == (
        '{"format": 1, "architecture": "mobilenet_v1", "width_multiplier": 0.5, "resolution": 96, "style": {"padding": '
        '"tensorflow", "activation": "relu6", "epsilon": 0.001, "batch_norm": false}, "task": "classification", '
        '"labels": ["cat", "H\\u00fcndchen"], "preprocessing": {"resolution": 96, "crop_fraction": 0.875, "mean": '
        '[123.5, 116.0, 103.0], "std": [58.0, 57.0, 57.5]}, "provenance": {"data": {"hash": "01ab"}, "seed": 7}}'
    )


def test_a_classifier_comes_back_and_answers_with_its_classes() -> None:
    card = ModelCard.from_json(_PLAIN.to_json())
    assert card == _PLAIN
    assert card.outputs == (Output("probabilities", ("classifier",), (2,), "softmax"),)
    assert card.network() == mobilenet_v1(0.5, 96, 2, _PLAIN.style)


def test_a_backbone_answers_with_nothing() -> None:
    card = ModelCard.from_json(replace(_PLAIN, labels=()).to_json())
    assert (card.outputs, card.network()) == ((), mobilenet_v1(0.5, 96, 0, _PLAIN.style))


def test_a_head_comes_back_with_its_rows_outputs_and_decoding() -> None:
    card = ModelCard.from_json(_HEADED.to_json())
    assert card == _HEADED
    assert card.outputs == _HEAD.outputs
    assert card.vocabulary.names == ("left eye", "right eye")
    assert card.vocabulary.fields == {"cells": [[0.5, 0.25]], "threshold": 0.5}
    body = mobilenet_v1(0.25, 32, 0)
    assert card.network().rows == (*body.rows, *_HEAD.rows)
    assert card.body() == body


def test_temperatures_come_back_and_cards_without_them_are_read() -> None:
    assert ModelCard.from_json(_PLAIN.to_json()).temperatures == {}
    for card, temperatures in ((_PLAIN, {"probabilities": 0.75}), (_HEADED, {"boxes": 2.0, "sorts": 0.1})):
        warm = replace(card, temperatures=temperatures)
        assert ModelCard.from_json(warm.to_json()) == warm


@pytest.mark.parametrize(
    ("temperatures", "message"),
    [
        ({"boxes": 2.0}, "temperature of an unknown output, 'boxes'; its outputs are ['probabilities']"),
        ({"probabilities": 0.0}, "temperature 0.0 of output probabilities is not a positive number"),
        ({"probabilities": -1}, "temperature -1.0 of output probabilities is not a positive number"),
        ({"probabilities": float("nan")}, "temperature nan of output probabilities is not a positive number"),
        ({"probabilities": "warm"}, "could not convert string to float: 'warm'"),
        ([2.0], "'list' object has no attribute 'items'"),
    ],
)
def test_temperatures_that_are_none_are_one_line(temperatures: object, message: str) -> None:
    document = json.loads(_PLAIN.to_json()) | {"temperatures": temperatures}
    with pytest.raises(ModelError) as error:
        ModelCard.from_json(json.dumps(document))
    assert str(error.value) == f"does not describe a network that can be run: {message}"


def _refusal(card: ModelCard, **changes: Any) -> str:
    """What is said of the card, some fields of whose first row or output are others."""
    document = json.loads(card.to_json())
    for part in ("rows", "outputs"):
        document["head"][part][0] |= changes.get(part, {})
    with pytest.raises(ModelError) as error:
        ModelCard.from_json(json.dumps(document))
    said = str(error.value)
    assert said.startswith("does not describe a network that can be run: ")
    assert "\n" not in said
    return said.removeprefix("does not describe a network that can be run: ")


def _with(*outputs: Output) -> ModelCard:
    return replace(_HEADED, head=Head(_HEAD.rows, outputs))


def test_a_row_that_is_not_known_is_one_line() -> None:
    assert _refusal(_HEADED, rows={"row": "Attention"}) == (
        "its head has a row of unknown kind 'Attention'; install a newer mobilenet"
    )
    assert _refusal(_HEADED, rows={"dilation": 2}) == (
        "row boxes has unknown fields ['dilation']; install a newer mobilenet"
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("padding", "mirror"),
        ("activation", "gelu"),
        ("name", "two words"),
        ("name", 7),
        ("inputs", "stem"),
        ("inputs", [7]),
        ("kernel_size", [3]),
        ("kernel_size", [3, 0]),
        ("kernel_size", "3"),
        ("out_channels", 12.0),
        ("out_channels", 10**30 * -1),
        ("stride", 0),
        ("groups", 0),
        ("groups", True),
        ("bias", 1),
        ("batch_norm", None),
        ("epsilon", 0.0),
        ("epsilon", float("nan")),
    ],
)
def test_a_row_with_a_value_that_it_cannot_have_is_one_line(field: str, value: object) -> None:
    said = _refusal(_HEADED, rows={field: value})
    named = "'boxes'" if field != "name" else repr(value)
    shown = repr(tuple(value)) if isinstance(value, list) else repr(value)
    assert said == f"row {named} has an unknown {field}, {shown}; install a newer mobilenet"


@settings(max_examples=300)
@given(st.data())
def test_whatever_a_row_says_the_card_is_read_or_refused(data: st.DataObject) -> None:
    document = json.loads(_HEADED.to_json())
    row = data.draw(st.sampled_from(document["head"]["rows"]))
    field = data.draw(st.sampled_from(sorted(row)))
    plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    row[field] = data.draw(plain | st.lists(plain, max_size=3) | st.sampled_from(["boxes", "pool", "input"]))
    with suppress(ModelError):
        card = ModelCard.from_json(json.dumps(document))
        assert ModelCard.from_json(card.to_json()) == card
        assert cost(card.network()).params > 0


def test_rows_that_do_not_fit_together_are_one_line() -> None:
    assert _refusal(_HEADED, rows={"in_channels": 8}) == "row boxes expects 8 channels but gets 256"
    assert "block99" in _refusal(_HEADED, rows={"inputs": ["block99"]})
    many = replace(_HEADED, head=Head(1001 * (_HEAD.rows[-1],), _HEAD.outputs))
    assert _refusal(many) == "its head has 1,001 rows; the limit is 1,000"


def test_an_output_of_a_shape_that_its_row_does_not_have_is_one_line() -> None:
    assert _refusal(_HEADED, outputs={"shape": [3, 5]}) == (
        "output boxes of shape (3, 5) does not match what its rows compute: boxes (1, 1, 12)"
    )
    assert _refusal(_with(Output("nothing", ("absent",), (4,)))) == (
        "output nothing of shape (4,) does not match what its rows compute: absent (0, 0, 0)"
    )
    for shape, said in (([], "()"), ([0], "(0,)"), ([-3, -4], "(-3, -4)")):
        assert _refusal(_HEADED, outputs={"shape": shape}) == (
            f"output boxes has shape {said}; every dimension must be at least 1"
        )


def test_two_outputs_of_one_name_are_one_line() -> None:
    first, second = _HEAD.outputs[:2]
    assert _refusal(_with(first, replace(second, name="boxes"))) == "two outputs have the same name: ['boxes', 'boxes']"


def test_an_ending_that_is_not_known_is_one_line() -> None:
    assert _refusal(_HEADED, outputs={"ending": "tanh"}) == (
        "output boxes has an unknown ending, 'tanh'; install a newer mobilenet"
    )
