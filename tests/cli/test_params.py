"""Quantities as people type them, against the units' own definitions."""

from collections.abc import Callable

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenet.cli.main import main
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
        ("500k", 500_000),
        ("8M", 8_000_000),
        ("8G", 8_000_000_000),
        ("2t", 2_000_000_000_000),
        ("500KiB", 512_000),
        ("500MiB", 524_288_000),
        ("1TiB", 1_099_511_627_776),
        ("0.57MB", 570_000),
    ],
)
def test_sizes_are_read_with_and_without_a_unit(text: str, size: int) -> None:
    assert Bytes("8GB").convert(text, None, None) == size


@given(st.sampled_from(sorted(SIZES)), st.integers(0, 10**6), st.sampled_from([str.lower, str.upper, str]))
def test_every_unit_is_read_in_any_case(unit: str, number: int, spelt: Callable[[str], str]) -> None:
    prefix, base = unit.rstrip("B").rstrip("i"), 1024 if "i" in unit else 1000
    expected = number * base ** ("KMGT".index(prefix.upper()) + 1 if prefix else 0)
    assert Bytes("8GB").convert(f"{number}{spelt(unit)}", None, None) == expected


@pytest.mark.parametrize("text", ["much", "8 gigabytes", "-1kB", "", "1e999", "nan"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a valid size; write"):
        Bytes("8GB").convert(text, None, None)


def test_a_refused_size_shows_the_units_and_an_example() -> None:
    with pytest.raises(
        click.BadParameter, match=r"^'500 cats' is not a valid size; .* unit \(B, k, kB, KiB, M.*500kB$"
    ):
        Bytes("500kB").convert("500 cats", None, None)


def test_a_latency_needs_its_unit() -> None:
    latency = Quantity("latency", "5ms", {"ms": 1.0, "µs": 1e-3})
    # With the micro sign, and with the Greek letter.
    assert latency.convert("5\u00b5s", None, None) == latency.convert("5 \u03bcs", None, None) == 0.005
    with pytest.raises(click.BadParameter, match=r"^'5' is not a valid latency; write a number and a unit \(ms, µs\)"):
        latency.convert("5", None, None)


@pytest.mark.parametrize("command", ["fit", "train", "pack"])
def test_the_help_says_how_to_write_a_size(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "1 kB is 1,000 bytes" in told
    assert "1 KiB is 1,024 bytes" in told


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
