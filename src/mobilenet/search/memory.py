"""What a search has found out so far, on disk, so that one that was interrupted goes on where it stopped."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mobilenet.errors import ConfigError, ModelError
from mobilenet.files import atomic_write

__all__ = ["Memory"]

Step = dict[str, Any]


class Memory:
    """Steps by name, each a JSON object, in one file that is written whole after each of them."""

    def __init__(self, path: Path, settings: Step) -> None:
        """Open the memory of a search, or begin one; ConfigError where it is of a search with other `settings`."""
        self._path = path
        self._steps: dict[str, Step] = {}
        wanted = json.loads(json.dumps(settings))
        if path.is_file():
            found = self._read()
            if different := sorted(key for key in wanted if found.get(key) != wanted[key]):
                raise ConfigError(
                    f"{path.parent} holds a search with other settings ({', '.join(different)}); choose another --out, "
                    "or give the same ones to go on"
                )
        self._settings = wanted

    @property
    def under_way(self) -> bool:
        """Whether anything is done."""
        return bool(self._steps)

    def step(self, name: str, work: Callable[[], Step]) -> Step:
        """What `work` gives, or gave before the search was interrupted."""
        if name not in self._steps:
            self._steps[name] = work()
            document = json.dumps({"settings": self._settings, "steps": self._steps}, indent=1, allow_nan=False)
            with atomic_write(self._path) as file:
                file.write(document.encode("ascii"))
        return self._steps[name]

    def known(self, name: str) -> Step | None:
        """A step that is done."""
        return self._steps.get(name)

    def _read(self) -> Step:
        try:
            document = json.loads(self._path.read_text("ascii"))
            self._steps = dict(document["steps"])
            return dict(document["settings"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{self._path} is damaged: {error}; choose another --out") from error
