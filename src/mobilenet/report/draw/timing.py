"""The time of a run by activity, from the `seconds` in its files."""

from collections import defaultdict
from dataclasses import dataclass

from mobilenet.report.run_facts import Run
from mobilenet.runs.config import finite

__all__ = ["Share", "shares", "training_seconds"]

_TOTALS = ("training", "total")
_NAMES = {
    "norms": "Norms fitted to the photos",
    "features": "Features of the photos",
    "head": "Head fitted to the features",
    "teacher": "Outputs of the teacher",
    "input": "Input (batches and augmentation)",
    "step": "Forward, backward, optimiser",
    "forward": "Forward",
    "backward": "Backward",
    "optimiser": "Optimiser",
    "optimizer": "Optimiser",
    "validation": "Validation",
    "checkpoint": "Checkpoints",
    "caching": "Decoding photos into the cache",
}


@dataclass(frozen=True, slots=True)
class Share:
    """One part of the time: `share` is its fraction (0…1) of the whole."""

    name: str
    seconds: float
    share: float


def shares(run: Run) -> tuple[Share, ...]:
    """The parts in order of occurrence; empty if the run recorded none."""
    seconds: dict[str, float] = defaultdict(float)
    for parts in (run.section("seconds"), *(epoch.get("seconds") for epoch in run.epochs)):
        for name, value in parts.items() if isinstance(parts, dict) else ():
            if name not in _TOTALS and (spent := finite(value)) is not None and spent > 0:
                seconds[name] += spent
    recorded = sum(seconds.values())
    total = run.number("seconds", "total")
    if recorded and total is not None and total > 1.01 * recorded:
        seconds["Everything else"] = total - recorded
    whole = sum(seconds.values())
    return tuple(Share(_NAMES.get(name, name), spent, spent / whole) for name, spent in seconds.items())


def training_seconds(run: Run) -> float | None:
    """Seconds of training, over all sessions of a resumed run; None if not recorded."""
    return run.number("seconds", "training")
