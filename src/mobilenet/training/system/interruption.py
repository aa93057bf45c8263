"""Ctrl-C and SIGTERM: the first one lets a run save its state, the second one ends it immediately."""

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
"""The signal to report if another process of the run received it."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_ONE_PRESS_S = 3.0
"""torchrun forwards a Ctrl-C that the terminal has already sent to its processes; it does not count as a second."""


class Interruption:
    """Handles the signals inside `heard`. They are kept for `check`, or raised at once inside `immediately`."""

    def __init__(self) -> None:
        self._received: int | None = None
        self._received_s = 0.0
        self._at_once = False
        self._under_torchrun = "TORCHELASTIC_RUN_ID" in os.environ

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Handle signals; only Python's main thread can, so elsewhere this does nothing."""
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
        """Raise Interrupted if a signal was received."""
        if self._received is not None:
            raise Interrupted(self._received)

    @property
    def pending(self) -> bool:
        """Whether a signal was received."""
        return self._received is not None

    @contextlib.contextmanager
    def immediately(self) -> Iterator[None]:
        """Inside, a signal interrupts at once: for work that does not change the state of the run."""
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
