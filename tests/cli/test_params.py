"""Quantities as people type them, against the units' own definitions."""

import click
import pytest

from mobilenet.cli.params import SIZES, Bytes, Quantity, Share


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8GB", 8_000_000_000),
        ("500 MB", 500_000_000),
        ("200KB", 200_000),
        ("0.5kb", 500),
        ("2TB", 2_000_000_000_000),
        ("1.5KiB", 1536),
        ("3mib", 3_145_728),
        ("1GiB", 1_073_741_824),
        ("17B", 17),
        ("123456", 123_456),
    ],
)
def test_sizes_are_read_with_and_without_a_unit(text: str, size: int) -> None:
    assert Bytes().convert(text, None, None) == size


@pytest.mark.parametrize("text", ["much", "8 gigabytes", "-1kB", "", "1e999", "nan"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a valid size; write"):
        Bytes().convert(text, None, None)


def test_a_budget_needs_its_unit() -> None:
    assert Quantity("size", "500kB", SIZES).convert("564kB", None, None) == 564_000
    with pytest.raises(
        click.BadParameter, match=r"^'500' is not a valid size; write a number and a unit \(B, kB, .*500kB$"
    ):
        Quantity("size", "500kB", SIZES).convert("500", None, None)


@pytest.mark.parametrize(
    ("text", "share"), [("0.6", 0.6), ("60%", 0.6), ("60 %", 0.6), ("0", 0), ("1", 1), ("100%", 1)]
)
def test_shares_are_fractions_or_percentages(text: str, share: float) -> None:
    assert Share("confidence", "0.6 or 60%").convert(text, None, None) == pytest.approx(share)


@pytest.mark.parametrize("text", ["60", "1.01", "101%", "1e999"])
def test_shares_are_at_most_one(text: str) -> None:
    with pytest.raises(click.BadParameter, match=f"^'{text}' is out of range; use 0 to 1, or 0% to 100%$"):
        Share("confidence", "0.6 or 60%").convert(text, None, None)


@pytest.mark.parametrize("text", ["nan", "-0.1", "high", ""])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a valid confidence; write a number"):
        Share("confidence", "0.6 or 60%").convert(text, None, None)
