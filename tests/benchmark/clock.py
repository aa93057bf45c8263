"""A clock that stands still until a contender of known speed moves it."""

from collections.abc import Callable

__all__ = ["Clock"]


class Clock:
    """Seconds, or nanoseconds with `now_ns`."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s

    def now_ns(self) -> int:
        """The same time in whole nanoseconds."""
        return round(self.now_s * 1e9)

    def taking(self, *seconds: float) -> Callable[[], None]:
        """A contender that takes `seconds`, one after the other, and the last of them from then on."""
        left = list(seconds)

        def run() -> None:
            self.now_s += left.pop(0) if len(left) > 1 else left[0]

        return run
