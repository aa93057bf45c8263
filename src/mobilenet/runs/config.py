"""config.json: the configuration of a run. A value that is damaged, or missing in older runs, is read as None."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobilenet.errors import DataError
from mobilenet.runs.folder import RunFolder, open_run, write_json

__all__ = ["RunConfig", "finite", "parse_config", "read_config", "read_config_bytes", "write_config"]


@dataclass(frozen=True, slots=True)
class RunConfig:
    """`values` as in the file."""

    values: Mapping[str, Any]

    def section(self, name: str) -> Mapping[str, Any]:
        """An object of the configuration, such as `data`; empty if it is missing."""
        value = self.values.get(name)
        return value if isinstance(value, dict) else {}

    def text(self, section: str, name: str) -> str | None:
        """A string or number as text; None if it is missing."""
        value = self.section(section).get(name)
        return str(value) if isinstance(value, str | int | float) and value != "" else None

    def number(self, section: str, name: str) -> float | None:
        """A finite number; None if it is missing."""
        return finite(self.section(section).get(name))

    def path(self, section: str, name: str) -> Path | None:
        """A path; None if it is missing."""
        value = self.section(section).get(name)
        return Path(value) if isinstance(value, str) and value else None


def read_config(path: Path) -> RunConfig:
    """The configuration of the run folder at `path`; DataError if it is not one, or if the file is damaged."""
    return parse_config(read_config_bytes(path), path)


def read_config_bytes(path: Path) -> bytes:
    """The raw bytes of the file, for one process to send to others; DataError."""
    file = open_run(path).config
    try:
        return file.read_bytes()
    except OSError as error:
        raise _damaged(file, (error.strerror or str(error)).lower()) from error


def parse_config(data: bytes, path: Path) -> RunConfig:
    """The configuration in the bytes of the file in the run folder `path`; DataError."""
    file = RunFolder(path).config
    try:
        # File names may contain bytes that are not UTF-8.
        values = json.loads(data.decode("utf-8", "surrogateescape"))
    except ValueError as error:
        raise _damaged(file, str(error)) from error
    if not isinstance(values, dict):
        raise _damaged(file, "not a JSON object")
    return RunConfig(values)


def write_config(folder: RunFolder, values: Mapping[str, Any]) -> None:
    """Write the configuration of a run atomically; StorageError."""
    write_json(folder.config, values)


def finite(value: object) -> float | None:
    """`value` if it is a finite number, else None: JSON may contain anything."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _damaged(file: Path, why: str) -> DataError:
    return DataError(f"cannot read {file}: {why}; the run is damaged: restore the file, or start a new run")
