"""The finished steps of a search, on disk, so that an interrupted search can be resumed."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mobilenet.errors import ConfigError, ModelError
from mobilenet.files import atomic_write
from mobilenet.runtimes.engines import FORMATS
from mobilenet.search.journal.fingerprint import json_digest

__all__ = ["Journal"]

Step = dict[str, Any]

_MADE = (
    "runs",
    "files",
    "device.json",
    "fit.json",
    "report.html",
    *(f"model{kind.suffix}" for kind in FORMATS.values()),
)
"""What a search writes besides its journal."""


class Journal:
    """The settings of a search and its steps by name, in one file that is written atomically after each step."""

    def __init__(self, path: Path, settings: Step, digests: dict[str, str]) -> None:
        """Open the journal of a search in its folder, or begin one there.

        `settings` are numbers and words by name, `digests` those of its inputs. ConfigError, naming the differences, if
        anything was trained with others, or if the folder has such files but no journal; ModelError for a damaged one.
        """
        self._path = path
        self._steps: dict[str, Step] = {}
        self._document = json.loads(json.dumps({"settings": settings, "digests": digests}))
        if path.is_file():
            before = self._read()
            if self.begun and (found := list(_differences(before, self._document))):
                raise ConfigError(f"{path.parent} contains another search: {'; '.join(found)}; choose another --out")
        elif foreign := [name for name in _MADE if (path.parent / name).exists()]:
            raise ConfigError(f"{path.parent} contains {' and '.join(foreign)} but no search; choose another --out")
        self._write()

    @property
    def begun(self) -> bool:
        """Whether this search has trained anything."""
        return bool(self._steps) or (self._path.parent / "runs").exists()

    def step(self, name: str, work: Callable[[], Step]) -> Step:
        """The result of `work`, or its recorded result from before the search was interrupted."""
        if name not in self._steps:
            self._steps[name] = work()
            self._write()
        return self._steps[name]

    def _write(self) -> None:
        document = {**self._document, "steps": self._steps}
        text = json.dumps({**document, "sha256": json_digest(document)}, indent=1, allow_nan=False)
        with atomic_write(self._path) as file:
            file.write(text.encode("ascii"))

    def _read(self) -> Step:
        try:
            document = json.loads(self._path.read_text("ascii"))
            digest, self._steps = document.pop("sha256"), document["steps"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"{self._path} is damaged: {error}; choose another --out") from error
        if digest != json_digest(document):
            raise ModelError(f"{self._path} is damaged: its checksum differs; choose another --out")
        return {name: document[name] for name in ("settings", "digests")}


def _differences(before: Step, now: Step) -> Iterator[str]:
    """In words, what was different when the search began."""
    then, today = before["settings"], now["settings"]
    for name in sorted({*then, *today}):
        if then.get(name) != today.get(name):
            yield f"{name.replace('_', ' ')} was {_said(then.get(name))} and is {_said(today.get(name))}"
    for name in sorted({*before["digests"], *now["digests"]}):
        if before["digests"].get(name) != now["digests"].get(name):
            yield f"it began with different {name}"


def _said(value: Any) -> str:
    return "none" if value in (None, []) else str(value)
