"""Sizes with units, as people write them."""

from typing import Any

import click

__all__ = ["Bytes"]

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


class Bytes(click.ParamType[int]):
    """A size such as 8GB or 500 MB, or a number of bytes."""

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
