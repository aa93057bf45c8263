"""A sealed file is told from one in which a single bit differs."""

from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mobilenet.errors import ModelError
from mobilenet.model.seal import UNSEALED, check_seal, has_seal, seal

_PATH = Path("model.tflite")


@given(st.binary(max_size=300), st.binary(max_size=300), st.integers(0), st.integers(0, 7))
def test_every_changed_bit_is_noticed(before: bytes, after: bytes, place: int, bit: int) -> None:
    assume(b"mobilenet-sha256:" not in before + after)
    data = bytearray(seal(before + UNSEALED.encode() + after))
    check_seal(bytes(data), _PATH)
    data[place % len(data)] ^= 1 << bit
    with pytest.raises(ModelError):
        check_seal(bytes(data), _PATH)


@given(st.integers(0, 299))
def test_every_cut_is_noticed(length: int) -> None:
    data = seal(100 * b"a" + UNSEALED.encode() + 200 * b"b")
    with pytest.raises(ModelError):
        check_seal(data[:length], _PATH)


def test_the_messages_say_which() -> None:
    with pytest.raises(ModelError, match=r"model.tflite was not written by this tool, or is damaged; write one with"):
        check_seal(b"something else", _PATH)
    changed = seal(UNSEALED.encode() + b"abc").replace(b"abc", b"abd")
    with pytest.raises(ModelError, match=r"model.tflite was damaged or changed after it was written; write it again"):
        check_seal(changed, _PATH)


@pytest.mark.parametrize("data", [b"", 2 * UNSEALED.encode()])
def test_a_file_to_be_sealed_holds_the_mark_once(data: bytes) -> None:
    with pytest.raises(ValueError, match="must contain UNSEALED once"):
        seal(data)


def test_a_seal_is_seen_even_where_it_does_not_fit() -> None:
    data = seal(UNSEALED.encode())
    assert has_seal(data + b"more")
    assert not has_seal(data[:-1])
