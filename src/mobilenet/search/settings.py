"""The settings of a search, and listeners for its progress."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mobilenet.errors import ConfigError
from mobilenet.runtimes.engines import FORMATS, Plan
from mobilenet.search.budget import Limits
from mobilenet.training.resume.fingerprint import binding_settings
from mobilenet.training.settings import TrainingSettings
from mobilenet.training.tracking.listener import Listener, Silence

__all__ = ["FitListener", "FitSettings", "Nobody"]


@dataclass(frozen=True, slots=True)
class FitSettings:
    """What to search for and how to train; `training` leaves width, resolution, weights and epochs open. ConfigError
    for invalid values.

    `device`: a profile written by `mobilenet benchmark --grid`, on this device or another one; None measures this one.
    `runtimes`: engines to choose from; empty for all that can verify a file here. `epochs`: of a full training, None
    for the default of `mobilenet train`. `exhaustive`: train every candidate in full that is not dominated by a larger
    one; if an accuracy is required, every one. `renew_profile`: measure this machine again; a search that has begun to
    train keeps its profile.
    """

    training: TrainingSettings
    limits: Limits
    out: Path
    threads: int = 1
    runtimes: tuple[str, ...] = ()
    device: Path | None = None
    weights: tuple[str, ...] = ()
    widths: tuple[float, ...] = ()
    resolutions: tuple[int, ...] = ()
    epochs: int | None = None
    exhaustive: bool = False
    renew_profile: bool = False

    def __post_init__(self) -> None:
        proving = [kind.runtime for kind in FORMATS.values()]
        if unknown := [name for name in self.runtimes if name not in proving]:
            raise ConfigError(f"{unknown[0]} cannot verify a file; use {' or '.join(proving)}")
        if self.renew_profile and self.device is not None:
            raise ConfigError(f"--renew-profile measures this machine, and --device gives {self.device}; omit one")

    @property
    def plan(self) -> Plan:
        """What C files are made for: where memory is limited, to need little of it."""
        return "speed" if self.limits.memory_bytes is None else "small"

    def to_json(self) -> dict[str, Any]:
        """What determines the result besides photos, weights and device, for the journal of a search."""
        training = binding_settings(self.training.to_json())
        own = {"threads": self.threads, "runtimes": list(self.runtimes), "epochs": self.epochs}
        candidates = {"widths": sorted(self.widths), "resolutions": sorted(self.resolutions)}
        # Left out where they are not given, as in the journals of searches that could not be given any.
        return {
            **training,
            **self.limits.to_json(),
            **own,
            **{key: value for key, value in candidates.items() if value},
        }


class FitListener(Protocol):
    """Receives the progress of a search."""

    def training_of(self, name: str, epochs: int, /) -> Listener:
        """The listener for the training of candidate `name` for `epochs` epochs."""

    def say(self, text: str) -> None:
        """A message about the search."""

    def working(self, what: str, done: int, total: int) -> None:
        """`done` of `total` parts of the step `what` are complete."""


class Nobody:
    """A listener that ignores everything."""

    def training_of(self, _name: str, _epochs: int) -> Listener:
        """A listener that ignores everything."""
        return Silence()

    def say(self, text: str) -> None:
        """Ignored."""

    def working(self, what: str, done: int, total: int) -> None:
        """Ignored."""
