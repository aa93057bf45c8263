"""Whether a run has learned anything: its training loss compared with that of guessing.

The files of a run folder are enough to tell: `config` is its config.json, `lines` are those of its metrics.jsonl, in
order.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["new_plateau_note", "plateau_note"]

_FAIR_SHARE = 0.25
"""Fraction of a run to wait for; warm-up takes a sixth at most."""

_FAIR_STEPS = 100
"""Steps to wait for; fewer say little, unless the run has no more."""

_FAIR_EPOCHS = 3
"""Epochs to wait for in a run of fewer steps, whose first epochs show the loss of random weights."""

_WHOLE = 0.95
"""Fraction at which a run counts as complete: timed parts do not add up to the exact time limit."""

_CLEARLY = 0.03
"""Fraction of the way from guessing to perfect answers that counts as having learned something."""

_UNTRAINED = frozenset({"checkpoint", "validation"})

Json = Mapping[str, Any]


def plateau_note(config: Json, lines: Sequence[Json]) -> str | None:
    """One line about a run whose training loss has never been clearly below that of guessing, and what to try; None
    while it is too early to tell, or if the files do not say.

    A quarter of the run and 100 steps must be complete, or a whole run of at least three epochs. Once the loss has been
    lower, the answer is always None.
    """
    losses = [loss for line in lines if (loss := _number(line, "train_loss")) is not None]
    chance, perfect = (_number(config, "loss_range", name) for name in ("chance", "perfect"))
    if not losses or chance is None or perfect is None or chance - perfect < 1e-6:
        return None
    if min(losses) < chance - _CLEARLY * (chance - perfect) or not _told_enough(config, lines):
        return None
    limit = _number(config, "plan", "epochs")
    epochs = f"{len(losses)} epochs" if limit is None else f"{len(losses)} of {limit:g} epochs"
    return (
        f"after {epochs} the training loss is {losses[-1]:.3f}, no better than {_guessing(config)} ({chance:.3f}): "
        f"{_remedy(config, lines)}"
    )


def new_plateau_note(config: Json, lines: Sequence[Json]) -> str | None:
    """`plateau_note` if the last of `lines` is the first that it applies to: a note to give once per run."""
    note = plateau_note(config, lines)
    return note if note and plateau_note(config, lines[:-1]) is None else None


def _guessing(config: Json) -> str:
    data = config.get("data")
    found = data if isinstance(data, Mapping) else {}
    # Runs of earlier versions do not say what their classes are.
    names, noun = found.get("classes"), found.get("noun", "classes")
    return f"guessing among {len(names)} {noun}" if isinstance(names, list) else "guessing"


def _remedy(config: Json, lines: Sequence[Json]) -> str:
    steps, rate = _steps(config, lines), _number(config, "plan", "learning_rate")
    if steps is not None and steps < _FAIR_STEPS:
        return f"{steps} steps may be too few; try more --epochs or a smaller --batch-size"
    if rate is None:
        return "try another --learning-rate"
    if _number(config, "settings", "learning_rate") is not None:
        return f"the learning rate of {rate:.2g} is probably wrong; omit --learning-rate to use the default"
    return f"the learning rate of {rate:.2g} is probably too high; try --learning-rate {rate / 10:.2g}"


def _told_enough(config: Json, lines: Sequence[Json]) -> bool:
    share, steps = _share(config, lines), _steps(config, lines)
    if steps is None or steps >= _FAIR_STEPS:
        return share >= _FAIR_SHARE
    return share >= _WHOLE and _epoch(lines) >= _FAIR_EPOCHS


def _share(config: Json, lines: Sequence[Json]) -> float:
    """Fraction of the run that is complete, by epochs or by minutes, whichever is further; 0 if neither is known."""
    epochs, minutes = _number(config, "plan", "epochs"), _number(config, "settings", "minutes")
    by_epochs = _epoch(lines) / epochs if epochs else 0.0
    by_time = sum(map(_trained_s, lines)) / (60 * minutes) if minutes else 0.0
    return max(by_epochs, by_time)


def _steps(config: Json, lines: Sequence[Json]) -> int | None:
    """Steps up to the last of `lines`; None if photos or batch size are not recorded."""
    photos, batch = _number(config, "data", "train_photos"), _number(config, "plan", "batch_size")
    return int(_epoch(lines) * (photos // batch)) if photos and batch else None


def _epoch(lines: Sequence[Json]) -> float:
    return _number(lines[-1], "epoch") or 0.0


def _trained_s(line: Json) -> float:
    seconds = line.get("seconds")
    parts = seconds if isinstance(seconds, Mapping) else {}
    return sum(_number(parts, name) or 0.0 for name in parts if name not in _UNTRAINED)


def _number(document: Json, *path: str) -> float | None:
    """The finite number at `path`; None for anything else, since files may hold anything."""
    value: Any = document
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
