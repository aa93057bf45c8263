"""C text of arrays and tables."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.model.seal import UNSEALED

__all__ = ["array", "number", "pieces", "quoted", "table"]

_MOST = 4092
"""Bytes in a string literal: every compiler takes 4,095."""

_WIDTH = 116

_NAMED = {0x22: '\\"', 0x5C: "\\\\", 0x3F: "\\?"}
"""A quotation mark, a backslash, and a question mark, two of which may begin a trigraph."""

_MARK, _COLON = UNSEALED.rstrip("0"), "\\072"

_ESCAPES = [_NAMED.get(byte, chr(byte) if 0x20 <= byte < 0x7F else f"\\{byte:03o}") for byte in range(256)]


def quoted(data: bytes) -> str:
    """One string literal, without the mark of a file's seal."""
    text = "".join(map(_ESCAPES.__getitem__, data))
    return f'"{text.replace(_MARK, _MARK[:-1] + _COLON)}"'


def pieces(data: bytes) -> tuple[int, list[str]]:
    """String literals of as many bytes each, a multiple of 4, and how many; the last is filled up with zeros."""
    count = max(1, -(-len(data) // _MOST))
    size = max(4, -(-len(data) // count // 4) * 4)
    whole = data.ljust(size * count, b"\0")
    return size, [quoted(whole[start : start + size]) for start in range(0, len(whole), size)]


def number(value: float) -> str:
    """A float32 as a literal that reads back as the same bits; or a whole number."""
    if isinstance(value, int | np.integer):
        return str(int(value))
    text = f"{float(value):.9g}"
    return f"{text}f" if any(mark in text for mark in ".e") else f"{text}.0f"


def array(kind: str, name: str, values: NDArray[Any]) -> str:
    """`static const kind name[] = {…};` of `values` (N,), with a 0 where there are none: C has no empty arrays."""
    written = list(map(number, values.ravel())) or ["0"]
    return f"static const {kind} {name}[{len(written)}] = {{\n{_wrapped(written)}}};\n"


def table(kind: str, name: str, rows: Sequence[Sequence[int | float | str]]) -> str:
    """An array of structures."""
    lines = [f"    {{{', '.join(part if isinstance(part, str) else number(part) for part in row)}}},\n" for row in rows]
    return f"static const {kind} {name}[{len(rows)}] = {{\n{''.join(lines)}}};\n"


def _wrapped(words: Iterable[str]) -> str:
    lines, line = [], ""
    for word in words:
        if len(line) + len(word) + 2 > _WIDTH:
            lines.append(f"    {line.rstrip()}\n")
            line = ""
        line += f"{word}, "
    return "".join([*lines, f"    {line.rstrip()}\n"])
