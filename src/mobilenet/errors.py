"""Every error that a user can cause, in one tree.

    MobilenetError          exit code 2: wrong usage or bad input
    ├── SpecError           a network that cannot be built: resolution 100, width 0, an unknown architecture
    ├── ImageError          a photo that cannot be decoded; the message reads well after the photo's name
    ├── DataError           a data set that cannot be used: a missing folder, no photos, one class
    ├── ModelError          a file that is damaged or is not one of our models
    ├── ConfigError         settings that contradict each other or the machine
    ├── StorageError        the disk is full, or a file cannot be written
    ├── ProcessError        one of the processes of a run has died
    └── GateError           exit code 1: the work is done but a gate failed (accuracy, parity, budget)

A message is one line: what is wrong, the value, the remedy. `Interrupted` is not an error: it is raised on Ctrl-C and
SIGTERM once work has been saved.
"""

import signal

__all__ = [
    "ConfigError",
    "DataError",
    "GateError",
    "ImageError",
    "Interrupted",
    "MobilenetError",
    "ModelError",
    "ProcessError",
    "SpecError",
    "StorageError",
]


class MobilenetError(Exception):
    """Base class of all errors that the tool raises on purpose; `exit_code` is the exit status of the command line."""

    exit_code = 2


class SpecError(MobilenetError):
    """A network that cannot be built."""


class ImageError(MobilenetError):
    """A photo that cannot be decoded; the message gives the reason without the file's name."""


class DataError(MobilenetError):
    """A data set that cannot be used."""


class ModelError(MobilenetError):
    """A model file that is missing, damaged or from another tool."""


class ConfigError(MobilenetError):
    """Settings that contradict each other, the data or the machine."""


class StorageError(MobilenetError):
    """A file that cannot be written."""


class GateError(MobilenetError):
    """The work is done and its results are kept, but a gate failed."""

    exit_code = 1


class ProcessError(MobilenetError):
    """One of the processes of a run has died."""


class Interrupted(KeyboardInterrupt):
    """A signal ended the work cleanly; `exit_code` is what a shell reports for it: 128 + the signal number."""

    def __init__(self, number: int) -> None:
        super().__init__("interrupted" if number == signal.SIGINT else f"stopped by {signal.Signals(number).name}")
        self.exit_code = 128 + number
