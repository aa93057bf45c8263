"""Listeners for the progress of a run."""

from typing import Any, Protocol

__all__ = ["Listener", "Silence"]


class Listener(Protocol):
    """Receives the progress of a run."""

    def caching(self, done: int, total: int) -> None:
        """`done` of `total` photos are decoded."""

    def reading(self, done: int, total: int) -> None:
        """`done` of `total` photos have passed through the weights that the run starts from, or through its teacher."""

    def stepping(self, done: int, total: int) -> None:
        """`done` of `total` steps of this epoch are complete."""

    def epoch(self, line: dict[str, Any]) -> None:
        """An epoch has ended; `line` is its line of metrics.jsonl."""

    def note(self, text: str) -> None:
        """Something the user should know."""


class Silence:
    """A listener that ignores everything."""

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
