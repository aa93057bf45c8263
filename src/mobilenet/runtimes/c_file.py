"""What a C file says of itself: its header, the card and the sizes in that. Nothing is compiled to read them."""

import re
from dataclasses import dataclass
from pathlib import Path

from mobilenet.errors import ModelError
from mobilenet.model.card import ModelCard
from mobilenet.model.seal import check_seal, has_seal

__all__ = ["HEADER_END", "SUFFIX", "CFile", "bytes_on_device", "device_bytes", "header_of", "read_bytes", "read_c_file"]

SUFFIX = ".c"

HEADER_END = "#endif /* header */\n"
"""The last line of the header inside the file; the first `#ifndef` is its first line."""

_LARGEST_FILE = 2**31
_RUN = re.compile(r"^int (\w+)_run_in\(", re.MULTILINE)
_ESCAPE = re.compile(r'\\([0-7]{3}|["\\?])')


@dataclass(frozen=True, slots=True)
class CFile:
    """What a C file says: its `card`, what its names begin with, the bytes of working memory that it needs, and the
    bytes that it takes of a device's flash memory, code included."""

    card: ModelCard
    prefix: str
    arena_bytes: int
    flash_bytes: int


def read_c_file(data: bytes, path: Path) -> CFile:
    """What the bytes of a C file say; ModelError, naming `path`, unless they are bit for bit what this tool wrote."""
    if not has_seal(data):
        raise ModelError(f"{path} was not written by this tool, or is damaged; write one with mobilenet export MODEL")
    check_seal(data, path)
    try:
        header = header_of(data).decode("ascii")
        prefix = _RUN.findall(header)[0]
        arena, flash = (_number(header, name) for name in ("ARENA", "FLASH"))
        text = _card(header)
    except (ValueError, IndexError) as error:
        raise ModelError(f"{path} has no model card; write it again with mobilenet export") from error
    try:
        return CFile(ModelCard.from_json(text), prefix, arena, flash)
    except ModelError as error:
        raise ModelError(f"{path} {error}") from error


def header_of(data: bytes) -> bytes:
    """The header inside the bytes of a C file; ValueError if there is none."""
    start = data.index(b"#ifndef ")
    end = data.index(HEADER_END.encode(), start) + len(HEADER_END)
    return data[start:end]


def device_bytes(path: Path) -> int:
    """What a model file takes on the device that runs it: a C file what is compiled of it, any other its own size.
    ModelError for a C file of another tool or a damaged one."""
    return path.stat().st_size if path.suffix != SUFFIX else bytes_on_device(read_bytes(path), path)


def bytes_on_device(data: bytes, path: Path) -> int:
    """The same of the bytes that a file named `path` has or will have."""
    return len(data) if path.suffix != SUFFIX else read_c_file(data, path).flash_bytes


def read_bytes(path: Path) -> bytes:
    """The bytes of a C file; ModelError if it cannot be read."""
    try:
        size = path.stat().st_size
        if size > _LARGEST_FILE:
            raise ModelError(f"{path} has {size:,} bytes, more than any C file of this tool; use another file")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error


def _number(header: str, what: str) -> int:
    return int(re.findall(rf"^#define \w+_{what}_BYTES (\d+)$", header, re.MULTILINE)[0])


def _card(header: str) -> str:
    lines = header.split("_CARD \\\n", 1)[1].split("\n\n", 1)[0].splitlines()
    return "".join(_ESCAPE.sub(_unescaped, line.strip().removesuffix(" \\")[1:-1]) for line in lines)


def _unescaped(found: re.Match[str]) -> str:
    return chr(int(found[1], 8)) if found[1].isdigit() else found[1]
