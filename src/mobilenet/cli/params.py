"""Sizes, and several numbers at once, as people write them."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = ["Bytes", "Numbers"]

_Number = TypeVar("_Number", int, float)

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


class Bytes(click.ParamType[int]):
    """A size such as 8GB, 500 MB or a number of bytes."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The size in bytes."""
        text = str(value).strip().upper()
        number = text.rstrip("KMGTB ")
        unit = text[len(number) :].strip()
        try:
            return int(float(number) * _UNITS[unit])
        except (ValueError, KeyError, OverflowError):
            self.fail(f"{value!r} is not a size such as 8GB or 500MB", param, ctx)


class Numbers(click.ParamType[tuple[_Number, ...]]):
    """Numbers with commas between them, each once, read by `kind`."""

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
            self.fail(f"{value!r} is not a number or several with commas between them, {example}", param, ctx)
