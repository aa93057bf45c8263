"""The header of a C file: what callers see of the network, and what the file says of itself."""

import re
from importlib.resources import files

from mobilenet.export.c.text import quoted
from mobilenet.model.card import ModelCard
from mobilenet.runtimes.c_file import HEADER_END

__all__ = ["arguments", "header", "identifiers", "prefix_of"]

_KEYWORDS = (
    "alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl const constexpr continue "
    "default delete do double dynamic_cast else enum explicit export extern false float for friend goto if inline int "
    "long mutable namespace new not not_eq nullptr operator or or_eq private protected public register "
    "reinterpret_cast restrict return short signed sizeof static struct switch template this throw true try typedef "
    "typeid typename typeof union unsigned using virtual void volatile while xor xor_eq arena rgb values "
    "resolution labels card arena_bytes flash_bytes h no_arena"
)
"""Words of C and C++, of the functions' own parameters, and of the other macros."""

_CARD_LINE = 80
"""Bytes of the card in a line."""


def prefix_of(name: str) -> str:
    """A name as C allows it: letters, digits and underscores, no digit first."""
    prefix = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_") or "network"
    return f"m{prefix}" if prefix[0].isdigit() else prefix


def arguments(card: ModelCard) -> str:
    """The parameters of a function that runs the network, behind those for its memory."""
    return ", ".join(["const uint8_t *rgb", *(f"float *{name}" for name in identifiers(card))])


def identifiers(card: ModelCard) -> list[str]:
    """What the outputs of a card are called in C: their names as far as C allows, and no word that means something
    else in the file."""
    taken = _reserved()
    found: list[str] = []
    for output in card.outputs:
        name = prefix_of(output.name).lower()
        while name in taken:
            name += "_out"
        taken.add(name)
        found.append(name)
    return found


def _reserved() -> set[str]:
    kernels = files("mobilenet.export.c") / "kernels"
    words = {word for file in kernels.iterdir() for word in re.findall(r"[a-z]\w*", file.read_text("ascii"))}
    return words | set(_KEYWORDS.split())


def header(card: ModelCard, prefix: str, arena_bytes: int, flash_bytes: int) -> str:
    """The text of the header, whose macros begin with `prefix` in capitals."""
    upper = prefix.upper()
    sizes = "".join(
        f"#define {upper}_{name.upper()} {output.size}\n"
        for name, output in zip(identifiers(card), card.outputs, strict=True)
    )
    labels = ", ".join(quoted(label.encode("utf-8", "surrogateescape")) for label in card.labels)
    text = card.to_json().encode("ascii")
    document = " \\\n".join(
        f"    {quoted(text[start : start + _CARD_LINE])}" for start in range(0, len(text), _CARD_LINE)
    )
    return f"""#ifndef {upper}_H
#define {upper}_H

#include <stdint.h>

/* {_sentence(card)} */

/* Pixels on each side of the photo, rows from the top, pixels from the left, red, green and blue of each. */
#define {upper}_RESOLUTION {card.resolution}

/* Numbers in each output. */
{sizes}
/* Names of classes, for an array of them: static const char *const labels[] = {upper}_LABELS; */
#define {upper}_LABELS {{ {labels} }}

/* Working memory of one run, and constants and code in flash memory, in bytes. */
#define {upper}_ARENA_BYTES {arena_bytes}
#define {upper}_FLASH_BYTES {flash_bytes}

/* All that is known of the network, as JSON. */
#define {upper}_CARD \\
{document}

#ifdef __cplusplus
extern "C" {{
#endif

/* Runs the network on the bytes of a photo and writes its outputs. Returns 0, or -1 for a null pointer. One call at a
 * time: its memory is static. Defined unless {upper}_NO_ARENA is. */
int {prefix}_run({arguments(card)});

/* The same in the memory at `arena`, {upper}_ARENA_BYTES bytes that are aligned to 16, else it returns -1. Calls with
 * different memory may run at once. */
int {prefix}_run_in(void *arena, {arguments(card)});

#ifdef __cplusplus
}}
#endif

{HEADER_END}"""


def _sentence(card: ModelCard) -> str:
    body = f"{card.architecture} of width {card.width_multiplier:g}, {card.resolution} x {card.resolution} pixels"
    return f"A network for {re.sub('[^a-z]', '', card.task)}: {body}."
