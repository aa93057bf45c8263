"""Ctrl-C and SIGTERM: the first one lets a run save its state, the second one ends it on the spot."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

from mobilenet.errors import Interrupted

__all__ = ["TERMINATED", "Interruption"]

TERMINATED = signal.SIGTERM
"""What a process is told to have heard where it was another one of the run that heard it."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_ONE_PRESS_S = 3.0
"""torchrun passes on the Ctrl-C that the terminal has sent to its processes already: that is no second one."""


class Interruption:
    """Hears the signals while its context lasts. They are kept for `check`, or raised at once inside `immediately`."""

    def __init__(self) -> None:
        self._received: int | None = None
        self._received_s = 0.0
        self._at_once = False
        self._under_torchrun = "TORCHELASTIC_RUN_ID" in os.environ

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Hear signals; only Python's main thread can, so elsewhere this does nothing."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._hear) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def check(self) -> None:
        """Raise Interrupted if a signal has come."""
        if self._received is not None:
            raise Interrupted(self._received)

    @property
    def pending(self) -> bool:
        """Whether a signal has come."""
        return self._received is not None

    @contextlib.contextmanager
    def immediately(self) -> Iterator[None]:
        """Inside, a signal ends what is being done: for work that leaves the run's state alone."""
        self._at_once = True
        try:
            self.check()
            yield
        finally:
            self._at_once = False

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._received is None:
            self._received, self._received_s = number, now
        elif not (self._under_torchrun and now - self._received_s < _ONE_PRESS_S):
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        if self._at_once:
            self._at_once = False
            raise Interrupted(number)
