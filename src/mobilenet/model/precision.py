"""The number formats in which a network is exported."""

from typing import Literal

__all__ = ["PRECISIONS", "Precision"]

Precision = Literal["float32", "int8"]

PRECISIONS: tuple[Precision, ...] = ("float32", "int8")
