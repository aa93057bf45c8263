"""Budgets in words."""

import pytest

from mobilenet.search.budget import Limits, shown_size


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (500, "500 bytes"),
        (564_193, "564 kB"),
        (999_499, "999 kB"),
        (999_999, "1 MB"),
        (3_280_000, "3.28 MB"),
        (8e9, "8 GB"),
        (1e12, "1 TB"),
    ],
)
def test_sizes_have_three_digits_and_no_exponent(size: float, words: str) -> None:
    assert shown_size(size) == words


def test_a_folder_is_named_after_its_budget() -> None:
    assert Limits(latency_ms=5.0, size_bytes=512_000, memory_bytes=2**30).name == "5ms-512kB-1.07GB-memory"
