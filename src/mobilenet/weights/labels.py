"""Files of class names, one per line, as other tools write them: some number the lines."""

import re
from pathlib import Path

from mobilenet.errors import ModelError

__all__ = ["read_labels", "without_numbers"]

_LONGEST_FILE = 2**24
"""Bytes."""

_NUMBERED = re.compile(r"(\d{1,6})(?:\s*[:.,;)\]|=-]\s*|\s+)(\S.*)")
"""`0 cat`, `0: cat`, `0,cat`, `[0] cat` without its first bracket."""


def read_labels(path: Path) -> tuple[str, ...]:
    """The lines of a UTF-8 file, stripped; ModelError if it cannot be read."""
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST_FILE + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise ModelError(f"the label file {path} cannot be read: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        raise ModelError(f"the label file {path} is not UTF-8; save it as UTF-8, one name per line") from error
    if len(content) > _LONGEST_FILE:
        raise ModelError(f"the label file {path} is larger than {_LONGEST_FILE:,} bytes; give one name per line")
    return tuple(line.strip() for line in text.strip().splitlines())


def without_numbers(names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names without the numbers in front of them, with a note, if those count the lines from 0 or from 1.

    Every line must have its number and a name of its own after it: `1 euro, 2 euros, 5 euros` are names, and so are
    `7 up` and `1 cent, 2 cents, 3 cents`.
    """
    found = [_NUMBERED.fullmatch(name.removeprefix("[")) for name in names]
    numbers = [int(match[1]) for match in found if match]
    rest = tuple(match[2] for match in found if match)
    first = numbers[0] if numbers else 0
    counted = first in {0, 1} and numbers == list(range(first, first + len(names)))
    if not counted or len(names) < 2 or len(set(rest)) < len(rest):
        return names, ()
    note = f"the class names are numbered from {first} to {numbers[-1]}; the numbers are not part of them"
    return rest, (note,)
