"""What a search is to look for, and who hears of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mobilenet.errors import ConfigError
from mobilenet.runtimes.engines import FORMATS
from mobilenet.search.budget import Limits
from mobilenet.training.resume.fingerprint import FREE_SETTINGS
from mobilenet.training.settings import TrainingSettings
from mobilenet.training.tracking.listener import Listener, Silence

__all__ = ["FitListener", "FitSettings", "Nobody"]


@dataclass(frozen=True, slots=True)
class FitSettings:
    """What to look for and how to train; `training` leaves width, resolution, weights and epochs open.

    `device`: a profile that `mobilenet benchmark --grid` wrote, on this device or on another one; None measures this
    one. `runtimes`: engines to choose from; none: all that can prove a file here. `widths` and `resolutions` (pixels):
    of the candidates; none: all those of the profile. `epochs`: of a full training, None as `mobilenet train` would.
    `exhaustive`: every candidate that no larger one replaces is trained in full; where an accuracy is the aim, every
    one. `renew_profile`: this machine is measured even if it was before; a search that has begun to train keeps its
    profile.
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
            raise ConfigError(f"{unknown[0]} cannot prove a file; use {' or '.join(proving)}")
        if self.renew_profile and self.device is not None:
            raise ConfigError(f"--renew-profile measures this machine, and --device gives {self.device}; leave out one")

    def to_json(self) -> dict[str, Any]:
        """What decides the result besides photos, weights and device, for the memory of a search."""
        training = {key: value for key, value in self.training.to_json().items() if key not in FREE_SETTINGS}
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
    """Hears how a search is going."""

    def training_of(self, name: str, epochs: int, /) -> Listener:
        """Who hears of the training of a candidate over so many epochs."""

    def say(self, text: str) -> None:
        """A step is done."""

    def working(self, what: str, done: int, total: int) -> None:
        """`done` of `total` parts of a step are."""


class Nobody:
    """Hears nothing."""

    def training_of(self, _name: str, _epochs: int) -> Listener:
        """Nobody does."""
        return Silence()

    def say(self, text: str) -> None:
        """Ignored."""

    def working(self, what: str, done: int, total: int) -> None:
        """Ignored."""
