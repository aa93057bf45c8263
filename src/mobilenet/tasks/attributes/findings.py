"""What is wrong with the columns of a table of attributes, and what is worth knowing of them."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mobilenet.model.vocabulary import listed
from mobilenet.tasks.attributes.targets import UNKNOWN

__all__ = ["doubtful", "peculiar"]

_FEWEST_SHARED = 10
"""Photos for which two attributes are known, below which it means little that they are equal."""

_MOST_PAIRS = 20


def doubtful(values: NDArray[np.int8], names: Sequence[str]) -> Iterator[str]:
    """(N, attributes) values -> a line on attributes of which nothing is known, on those that are always the same, and
    on tables that may write -1 for a no."""
    present, absent = (values == 1).any(0), (values == 0).any(0)
    if len(names) and present.any() and not absent.any() and (values == UNKNOWN).any():
        yield "no attribute is ever 0, and blank or -1 is unknown: write 0 where a photo does not have it"
        return
    for what, mask in (
        ("nothing is known of", ~present & ~absent),
        ("always 1 where known", present & ~absent),
        ("always 0 where known", absent & ~present),
    ):
        if mask.any():
            yield f"{what}: {listed([names[place] for place in np.flatnonzero(mask).tolist()])}"


def peculiar(values: NDArray[np.int8], names: Sequence[str], files: Sequence[str]) -> Iterator[str]:
    """(N, attributes) values -> a line on attributes that are always equal, on those that are always opposite, and on
    photos of which nothing is known."""
    equal, opposite = _pairs(values)
    for what, pairs in (("always equal", equal), ("always opposite", opposite)):
        if pairs:
            shown = [f"{names[one]} and {names[other]}" for one, other in pairs[:_MOST_PAIRS]]
            yield f"{what} where both are known: {', '.join(shown)}{', …' if len(pairs) > _MOST_PAIRS else ''}"
    silent = np.flatnonzero((values == UNKNOWN).all(1))
    if len(silent):
        some = ", ".join(files[row] for row in silent[:3].tolist())
        more = f" and {len(silent) - 3:,} more" if len(silent) > 3 else ""
        yield f"photos without any known attribute: {len(silent):,} ({some}{more})"


def _pairs(values: NDArray[np.int8]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """The pairs of attributes that are equal, and those that are opposite, on all photos for which both are known,
    among those that are not always the same."""
    yes, no = (values == 1).astype(np.float32), (values == 0).astype(np.float32)
    both_yes, both_no, mixed = yes.T @ yes, no.T @ no, yes.T @ no
    shared = both_yes + both_no + mixed + mixed.T
    enough = np.triu(shared >= _FEWEST_SHARED, 1)
    equal = enough & (mixed + mixed.T == 0) & (both_yes > 0) & (both_no > 0)
    opposite = enough & (both_yes + both_no == 0) & (mixed > 0) & (mixed.T > 0)
    return [(int(a), int(b)) for a, b in np.argwhere(equal)], [(int(a), int(b)) for a, b in np.argwhere(opposite)]
