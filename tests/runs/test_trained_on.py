"""What a model file tells of its training photos."""

from base64 import b64encode
from hashlib import blake2b
from typing import Any

import pytest

from mobilenet.errors import ModelError
from mobilenet.images import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.runs.split import RecordedSplit
from mobilenet.runs.trained_on import TrainedOn, compact


def _photos(start: int, stop: int) -> list[bytes]:
    return [blake2b(str(number).encode(), digest_size=16).digest() for number in range(start, stop)]


def _card(said: Any) -> ModelCard:
    provenance = {"data": {"trained_on": said}}
    return ModelCard(
        "mobilenet_v1", 0.25, 32, ("a", "b"), Preprocessing(32), task="classification", provenance=provenance
    )


def _said_of(count: int) -> TrainedOn:
    found = TrainedOn.of_card(ModelCard.from_json(_card(compact(_photos(0, count))).to_json()))
    assert found is not None
    return found


def test_a_few_photos_are_all_known() -> None:
    unseen = _said_of(1000).unseen(_photos(900, 1100))
    assert unseen.mask.tolist() == [False] * 100 + [True] * 100
    assert unseen.note == "left out 100 of 200 photos that were trained on"


def test_of_many_photos_a_sample_is_known_and_the_rest_is_not_guessed() -> None:
    """40,000 photos: one in 16 is in the sample, about 2,500."""
    trained = _said_of(40_000)
    assert trained.one_in == 16
    assert 2300 < len(trained.keys) < 2700
    unseen = trained.unseen(_photos(30_000, 50_000))
    assert not unseen.mask[:10_000].any()
    assert 540 < unseen.mask[10_000:].sum() < 710
    assert unseen.trained + unseen.unknown + unseen.mask.sum() == 20_000
    assert 540 < unseen.trained < 710
    assert f", and {unseen.unknown:,} more that the model file cannot identify" in unseen.note


@pytest.mark.parametrize("count", [1, 4096, 4097, 100_000])
def test_what_is_said_is_small_and_does_not_depend_on_the_order(count: int) -> None:
    photos = _photos(0, count)
    said = compact(photos)
    assert len(said["digests"]) <= 22_000
    assert said == compact([*reversed(photos), photos[0]])


def test_other_photos_are_not_taken_for_training_photos() -> None:
    """By chance one in a million is: of 100,000 others none, unless in one case of ten."""
    unseen = _said_of(4096).unseen(_photos(10_000, 110_000))
    assert (unseen.mask.all(), unseen.note) == (True, "")


def test_a_run_knows_all_of_its_photos() -> None:
    split = RecordedSplit(frozenset(_photos(0, 10_000)), frozenset(_photos(9_999, 10_010)))
    unseen = TrainedOn.of_split(split).unseen(_photos(9_990, 10_020))
    assert unseen.mask.tolist() == [False] * 10 + [True] * 20
    assert split.judges(_photos(9_990, 10_020)) == list(range(10, 20))


def test_a_file_that_says_nothing_is_not_guessed_at() -> None:
    assert TrainedOn.of_card(_card(None)) is None
    assert (
        TrainedOn.of_card(ModelCard("mobilenet_v1", 0.25, 32, ("a", "b"), Preprocessing(32), task="classification"))
        is None
    )


@pytest.mark.parametrize(
    "said",
    [
        "everything",
        {},
        {"one_in": 1},
        {"one_in": 0, "digests": ""},
        {"one_in": True, "digests": ""},
        {"one_in": 1, "digests": "a"},
        {"one_in": 1, "digests": "ä"},
        {"one_in": 1, "digests": 7},
        {"one_in": 1, "digests": b64encode(b"12345").decode()},
        {"one_in": 2**33, "digests": ""},
    ],
)
def test_damage_is_one_line(said: Any) -> None:
    with pytest.raises(
        ModelError, match=r"^the model file's record of its training photos is damaged: [^\n]*; train again$"
    ):
        TrainedOn.of_card(_card(said))
