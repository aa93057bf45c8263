"""Whether a resumed run is the one that was stopped, and if not, what differs."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mobilenet.errors import ConfigError
from mobilenet.runs.folder import RunFolder
from mobilenet.training.teacher import settings as teacher_settings

__all__ = ["binding_settings", "check_same", "check_settings"]

_FREE_SETTINGS = frozenset(
    {
        "cache_bytes",
        "checkpoint_minutes",
        "data",
        "device",
        "exclude",
        "keep_checkpoints",
        "task",
        "track",
        "validation",
        "weights",
        "workers",
    }
)
"""Settings that do not affect what is learned; changed photos are detected by their content, wherever they are."""

_MOST_NAMED = 3


def check_same(
    folder: Path, before: Mapping[str, Any], now: Mapping[str, Any], photos: Iterable[str]
) -> tuple[str, ...]:
    """ConfigError naming the first difference between the config.json of a run (`before`) and that of its resumption;
    `photos` are its current `runs.split.photo_lines`. Returns notes on differences that only affect the figures.
    """
    difference = (
        _names(now["data"]["noun"], before["data"]["classes"], now["data"]["classes"])
        or (before["data"]["hash"] != now["data"]["hash"] and _photos(RunFolder(folder).photos, photos))
        or _values(before["plan"], now["plan"])
        or _teacher(before.get("teacher"), now.get("teacher"))
    )
    if difference:
        raise ConfigError(f"{folder} was trained on something else: {difference}; restore it, or start a new run")
    others = [what for what in ("precision", "machine") if before[what] != now[what]]
    if not others:
        return ()
    return (f"resuming with another {others[0]}: the result will not be bit-identical to that of an uninterrupted run",)


def check_settings(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """ConfigError naming a setting that differs from those of the checkpoint in `folder`."""
    difference = _values(binding_settings(before), binding_settings(now))
    if difference:
        raise ConfigError(f"the checkpoint in {folder} was made with different settings: {difference}; start a new run")


def binding_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the settings, as JSON values, that affect what is learned."""
    kept = {key: value for key, value in settings.items() if key not in _FREE_SETTINGS}
    if teacher := kept.pop("teacher", None):
        kept["teacher"] = {key: value for key, value in teacher.items() if key not in teacher_settings.FREE}
    return kept


def _teacher(before: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> str | None:
    if (before or {}).get("digest") == (now or {}).get("digest"):
        return None
    return f"its teacher {(before or now or {}).get('name')} is not the same file or is used differently"


def _names(noun: str, before: Sequence[str], now: Sequence[str]) -> str | None:
    added, removed = ([*_without(now, before)], [*_without(before, now)])
    named = [f"{what} {_some(names)}" for what, names in (("without", removed), ("with", added)) if names]
    return f"its {noun} are now {' and '.join(named)}" if named else None


def _without(names: Iterable[str], others: Iterable[str]) -> Iterator[str]:
    known = set(others)
    return (name for name in names if name not in known)


def _values(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    # As JSON: tuples and lists are the same.
    then, today = (json.loads(json.dumps(values)) for values in (before, now))
    for key in sorted({*then, *today}):
        if then.get(key) != today.get(key):
            return f"{key.replace('_', ' ')} was {then.get(key)} and is {today.get(key)}"
    return None


def _photos(file: Path, now: Iterable[str]) -> str:
    """In words, which photos were added, removed or changed since `file` was written."""
    today = _by_file(now)
    try:
        then = _by_file(file.read_text("utf-8").splitlines())
    except (OSError, ValueError, TypeError):
        return "its photos have changed"
    kinds = {
        "added": [name for name in today if name not in then],
        "removed": [name for name in then if name not in today],
        "changed": [name for name in today if name in then and then[name][1] != today[name][1]],
        "relabelled": [name for name in today if name in then and then[name][0] != today[name][0]],
    }
    named = [f"{what}: {_some([file for _, file in names])}" for what, names in kinds.items() if names]
    return f"photos {'; '.join(named)}" if named else "the order of its photos has changed"


def _by_file(lines: Iterable[str]) -> dict[tuple[str, str], tuple[str, str]]:
    photos = {}
    for line in lines:
        split, file, label, digest = json.loads(line)
        photos[split, file] = (label, digest)
    return photos


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(map(repr, names[:_MOST_NAMED])) + more
