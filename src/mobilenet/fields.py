"""Validated access to JSON documents that may have been edited or damaged: values of the right type and in range."""

import reprlib
from collections.abc import Sequence
from typing import Any

__all__ = ["Fields"]

_LARGEST = 2.0**53
"""Integers up to this one are exact as floating-point numbers."""


class Fields:
    """One object of a document; `place` is its path, for messages.

    TypeError or ValueError for a value that is missing, of the wrong type or out of range.
    """

    def __init__(self, values: object, place: str = "") -> None:
        if not isinstance(values, dict):
            raise TypeError(f"{place or 'it'} is {_brief(values)} instead of an object")
        self._values: dict[str, Any] = values
        self.place = place

    def number(self, name: str, least: float = 0.0, most: float = _LARGEST) -> float:
        """A finite number from `least` to `most`."""
        return _number(self._value(name), self._name(name), least, most)

    def whole(self, name: str, least: int = 0, most: int = int(_LARGEST)) -> int:
        """A whole number from `least` to `most`."""
        return _whole(self._value(name), self._name(name), least, most)

    def optional_number(self, name: str, least: float = 0.0) -> float | None:
        """As `number`, or null."""
        return None if self._value(name) is None else self.number(name, least)

    def optional_whole(self, name: str, least: int = 0) -> int | None:
        """As `whole`, or null."""
        return None if self._value(name) is None else self.whole(name, least)

    def text(self, name: str, choices: Sequence[str] = ()) -> str:
        """A string; one of `choices`, if any are given."""
        value = self._value(name)
        if not isinstance(value, str) or (choices and value not in choices):
            wanted = " or ".join(choices) or "a string"
            raise ValueError(f"{self._name(name)} is {_brief(value)} instead of {wanted}")
        return value

    def optional_text(self, name: str) -> str | None:
        """As `text`, or null."""
        return None if self._value(name) is None else self.text(name)

    def numbers(self, name: str, least: float = 0.0, most: float = _LARGEST) -> tuple[float, ...]:
        """At least one number, each from `least` to `most`."""
        return tuple(_number(value, name, least, most) for value, name in self._list(name))

    def wholes(self, name: str, least: int = 0, most: int = int(_LARGEST)) -> tuple[int, ...]:
        """At least one whole number, each from `least` to `most`."""
        return tuple(_whole(value, name, least, most) for value, name in self._list(name))

    def optional_pair(self, name: str, least: float = 0.0) -> tuple[float, float] | None:
        """Two numbers, or null."""
        if (value := self._value(name)) is None:
            return None
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise ValueError(f"{self._name(name)} is {_brief(value)} instead of two numbers")
        first, second = self.numbers(name, least)
        return first, second

    def inside(self, name: str) -> "Fields":
        """The object with that name."""
        return Fields(self._value(name), self._name(name))

    def rows(self, name: str) -> tuple["Fields", ...]:
        """At least one object."""
        return tuple(Fields(value, place) for value, place in self._list(name))

    def texts(self, name: str) -> dict[str, str]:
        """An object of strings, which may be empty."""
        inside = self.inside(name)
        return {key: inside.text(key) for key in self._value(name)}

    def _list(self, name: str) -> list[tuple[Any, str]]:
        """The items of a list, each with its path."""
        values = self._value(name)
        if not isinstance(values, list | tuple) or not values:
            raise ValueError(f"{self._name(name)} is {_brief(values)} instead of a non-empty list")
        return [(value, f"{self._name(name)}[{number}]") for number, value in enumerate(values)]

    def _value(self, name: str) -> Any:
        if name not in self._values:
            raise ValueError(f"{self._name(name)} is missing")
        return self._values[name]

    def _name(self, name: str) -> str:
        return f"{self.place}.{name}" if self.place else name


def _number(value: object, name: str, least: float, most: float) -> float:
    # A bool is an int to Python.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is {_brief(value)} instead of a number")
    # NaN is not between any two numbers.
    if not least <= value <= most:
        raise ValueError(f"{name} is {_brief(value)} instead of a number from {least:g} to {most:g}")
    return float(value)


def _whole(value: object, name: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is {_brief(value)} instead of a whole number")
    if not least <= value <= most:
        raise ValueError(f"{name} is {_brief(value)} instead of a whole number from {least} to {most}")
    return value


def _brief(value: object) -> str:
    """A value on one short line."""
    return reprlib.repr(value)
