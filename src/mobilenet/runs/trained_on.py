"""The digests of a network's training photos: all of them, or a sample small enough for a model file.

A model file stores the first 4 bytes of the digest of each training photo in the sample. The sample is every photo up
to 4,096, then every second one, every fourth, and so on, selected by the last bytes of the digest, so that whether a
photo in the sample was trained on is known. One photo in a million is mistaken for a training photo (4,096 of 2**32).
That takes at most 22 KB, compared with 500 KB for an 8-bit network of width 0.25.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.errors import ModelError
from mobilenet.model.card import ModelCard
from mobilenet.runs.split import RecordedSplit

__all__ = ["TrainedOn", "Unseen", "compact"]

_PREFIX = 4
_MOST = 4096
_SPARSEST = 2**32
"""The sparsest sample has one photo in this many."""


@dataclass(frozen=True, slots=True, eq=False)
class Unseen:
    """`mask` (N,) is true for photos known not to have been trained on; `trained` is how many were, and `unknown` how
    many cannot be identified."""

    mask: NDArray[np.bool_]
    trained: int
    unknown: int

    @property
    def note(self) -> str:
        """One line on how many photos are left out; empty if none are."""
        if not self.trained:
            return ""
        told = len(self.mask) - self.unknown
        more = f", and {self.unknown:,} more that the model file cannot identify" if self.unknown else ""
        return f"left out {self.trained:,} of {told:,} photos that were trained on{more}"


@dataclass(frozen=True, slots=True)
class TrainedOn:
    """`keys` are the first `width` bytes of digests of training photos in the sample, one of every `one_in`."""

    keys: frozenset[bytes]
    width: int
    one_in: int

    @classmethod
    def of_split(cls, split: RecordedSplit) -> "TrainedOn":
        """All training photos of a recorded split, with whole digests."""
        return cls(split.training, len(next(iter(split.training))), 1)

    @classmethod
    def of_card(cls, card: ModelCard) -> "TrainedOn | None":
        """The sample in a model file, None if it has none; ModelError if it is damaged."""
        data = card.provenance.get("data")
        said = data.get("trained_on") if isinstance(data, dict) else None
        return None if said is None else _read(said)

    def unseen(self, digests: Sequence[bytes]) -> Unseen:
        """Which of these photos were not trained on: all of them if no photo in the sample was, else only the unseen
        ones in the sample."""
        known = np.fromiter((_in_sample(key, self.one_in) for key in digests), np.bool_, len(digests))
        seen = known & np.fromiter((key[: self.width] in self.keys for key in digests), np.bool_, len(digests))
        if not seen.any():
            return Unseen(np.ones(len(digests), np.bool_), 0, 0)
        return Unseen(known & ~seen, int(seen.sum()), int((~known).sum()))


def compact(digests: Sequence[bytes]) -> dict[str, Any]:
    """The entry of a model file on its training photos, for `TrainedOn.of_card`; independent of their order."""
    kept, one_in = set(digests), 1
    while len(kept) > _MOST:
        one_in *= 2
        kept = {key for key in kept if _in_sample(key, one_in)}
    prefixes = b"".join(sorted({key[:_PREFIX] for key in kept}))
    return {"one_in": one_in, "digests": base64.b64encode(prefixes).decode("ascii")}


def _in_sample(digest: bytes, one_in: int) -> bool:
    return int.from_bytes(digest[-_PREFIX:], "big") % one_in == 0


def _read(said: Mapping[str, Any]) -> TrainedOn:
    try:
        one_in, data = said["one_in"], base64.b64decode(said["digests"], validate=True)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(str(error)) from error
    if type(one_in) is not int or not 1 <= one_in <= _SPARSEST or len(data) % _PREFIX:
        raise _damaged(f"one in {one_in}, {len(data)} bytes")
    keys = frozenset(data[start : start + _PREFIX] for start in range(0, len(data), _PREFIX))
    return TrainedOn(keys, _PREFIX, one_in)


def _damaged(why: str) -> ModelError:
    return ModelError(f"the model file's record of its training photos is damaged: {why}; train again")
