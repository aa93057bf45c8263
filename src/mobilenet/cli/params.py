"""Quantities with units, and lists of numbers, as people write them."""

import math
import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = ["SIZES", "SIZE_HELP", "Bytes", "Named", "Numbers", "Quantity", "Share", "Triple"]

_Number = TypeVar("_Number", int, float)

_QUANTITY = re.compile(r"\s*([0-9]*[.]?[0-9]+(?:[eE][+-]?[0-9]+)?)\s*([^\s\d]*)\s*")

SIZES = {"": 1.0, "B": 1.0}
SIZES |= {"k": 1e3, "kB": 1e3, "KiB": 2.0**10, "M": 1e6, "MB": 1e6, "MiB": 2.0**20}
SIZES |= {"G": 1e9, "GB": 1e9, "GiB": 2.0**30, "T": 1e12, "TB": 1e12, "TiB": 2.0**40}
"""Bytes in each unit of size: k and kB are 1,000, KiB is 1,024; "" is a plain number of bytes."""

SIZE_HELP = (
    "SIZE is a number of bytes, or a number with a unit: k, M, G, T, or kB, MB, GB, TB (1 kB is 1,000 bytes), or KiB, "
    "MiB, GiB, TiB (1 KiB is 1,024 bytes)."
)
"""For the help of commands with a `Bytes` option."""


class Quantity(click.ParamType[float]):
    """A number with a unit, converted by the factors of `units`; case-insensitive."""

    def __init__(self, name: str, example: str, units: dict[str, float]) -> None:
        self.name = name
        self._example = example
        self._units = units

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        # Unlike lower(), casefold() takes the micro sign and the Greek letter for the same.
        found, units = _QUANTITY.fullmatch(str(value)), {name.casefold(): unit for name, unit in self._units.items()}
        if found is None or found[2].casefold() not in units:
            known = ", ".join(filter(None, self._units))
            line = f"{value!r} is not a valid {self.name}; write a number and a unit ({known}), such as {self._example}"
            self.fail(line, param, ctx)
        return float(found[1]) * units[found[2].casefold()]


class Share(click.ParamType[float]):
    """A share such as 0.6 or 60%, from 0 to 1."""

    def __init__(self, name: str, example: str) -> None:
        self.name = name
        self._quantity = Quantity(name, example, {"": 1.0, "%": 0.01})

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The share, 0…1."""
        found = self._quantity.convert(value, param, ctx)
        if not 0 <= found <= 1:
            self.fail(f"{value!r} is out of range; use 0 to 1, or 0% to 100%", param, ctx)
        return found


class Bytes(click.ParamType[int]):
    """A size in whole bytes, such as 8GB, 500 kB, 500k, 500KiB or 500000; the one parser of sizes."""

    name = "SIZE"

    def __init__(self, example: str) -> None:
        self._quantity = Quantity("size", example, SIZES)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The size in whole bytes."""
        found = self._quantity.convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value!r} is not a valid size; write a smaller one", param, ctx)
        return round(found)


class Numbers(click.ParamType[tuple[_Number, ...]]):
    """Comma-separated numbers without duplicates, each parsed by `kind`."""

    name = "numbers"

    def __init__(self, kind: Callable[[str], _Number], example: str) -> None:
        self._kind: Callable[[str], _Number] = kind
        self._example = example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[_Number, ...]:
        """The numbers in their order."""
        try:
            return tuple(dict.fromkeys(self._kind(word) for word in str(value).split(",")))
        except ValueError:
            example = f"such as {self._example}"
            self.fail(f"{value!r} is not a comma-separated list of numbers {example}", param, ctx)


class Named(click.ParamType[tuple[str, str]]):
    """A value with its name, such as loss=contrastive."""

    name = "NAME=VALUE"

    def __init__(self, example: str = "loss=contrastive") -> None:
        self._example = example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """The name and the value."""
        if isinstance(value, tuple):
            return value
        name, equals, text = str(value).partition("=")
        if not (name and equals and text):
            self.fail(f"{value!r} is not NAME=VALUE, such as {self._example}", param, ctx)
        return name.strip().replace("-", "_"), text.strip()


class Triple(click.ParamType[tuple[float, float, float]]):
    """Three comma-separated numbers in 0…255: one each for red, green and blue."""

    name = "R,G,B"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float, float]:
        """The three numbers."""
        try:
            red, green, blue = (float(word) for word in str(value).split(","))
        except ValueError:
            red = green = blue = math.nan
        if not all(0 <= number <= 255 for number in (red, green, blue)):
            self.fail(f"{value!r} is not three numbers from 0 to 255, such as 123.7,116.3,103.5", param, ctx)
        return red, green, blue
