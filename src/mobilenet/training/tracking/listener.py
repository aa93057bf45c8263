"""Who hears how a run is going."""

from typing import Any, Protocol

__all__ = ["Listener", "Silence"]


class Listener(Protocol):
    """Hears how a run is going."""

    def caching(self, done: int, total: int) -> None:
        """`done` of `total` photos are decoded."""

    def reading(self, done: int, total: int) -> None:
        """The weights that the run starts from have seen `done` of `total` photos."""

    def stepping(self, done: int, total: int) -> None:
        """`done` of `total` steps of this epoch are made."""

    def epoch(self, line: dict[str, Any]) -> None:
        """An epoch is over; `line` is its line of metrics.jsonl."""

    def note(self, text: str) -> None:
        """Something the user should know."""


class Silence:
    """A listener that hears nothing."""

    def caching(self, done: int, total: int) -> None:
        """Ignored."""

    def reading(self, done: int, total: int) -> None:
        """Ignored."""

    def stepping(self, done: int, total: int) -> None:
        """Ignored."""

    def epoch(self, line: dict[str, Any]) -> None:
        """Ignored."""

    def note(self, text: str) -> None:
        """Ignored."""
