"""Which photos a network was trained on, by their digests: exactly, or as a sample small enough for a model file.

A model file holds the first 4 bytes of the digest of each training photo in the sample. The sample is every photo up to
4,096 of them, then every second one, every fourth, and so on, by the last bytes of the digest, so that of any photo in
the sample it is known whether it was trained on. One photo in a million is taken for a training photo by mistake (4,096
of 2**32). That costs 22 KB at most, where an 8-bit network of width 0.25 has 500 KB.
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
"""A sample has one photo in so many, at least."""


@dataclass(frozen=True, slots=True, eq=False)
class Unseen:
    """Of N photos, `mask` (N,) those known not to have been trained on; `trained` how many of the others were, and
    `unknown` of how many it cannot be told."""

    mask: NDArray[np.bool_]
    trained: int
    unknown: int

    @property
    def note(self) -> str:
        """In one line, how many are left out; empty where none is."""
        if not self.trained:
            return ""
        told = len(self.mask) - self.unknown
        more = f"; so are {self.unknown:,} more, of which the model file cannot tell" if self.unknown else ""
        return f"{self.trained:,} of {told:,} photos were trained on; left out{more}"


@dataclass(frozen=True, slots=True)
class TrainedOn:
    """`keys` are the first `width` bytes of digests of training photos: of those in the sample, one of `one_in`."""

    keys: frozenset[bytes]
    width: int
    one_in: int

    @classmethod
    def of_split(cls, split: RecordedSplit) -> "TrainedOn":
        """What a run recorded: all of them, whole."""
        return cls(split.training, len(next(iter(split.training))), 1)

    @classmethod
    def of_card(cls, card: ModelCard) -> "TrainedOn | None":
        """What a model file says; None where it says nothing. ModelError where that is damaged."""
        data = card.provenance.get("data")
        said = data.get("trained_on") if isinstance(data, dict) else None
        return None if said is None else _read(said)

    def unseen(self, digests: Sequence[bytes]) -> Unseen:
        """Which of these photos were not trained on. Where none of them was, that is taken for all of them; else only
        for those of the sample."""
        known = np.fromiter((_in_sample(key, self.one_in) for key in digests), np.bool_, len(digests))
        seen = known & np.fromiter((key[: self.width] in self.keys for key in digests), np.bool_, len(digests))
        if not seen.any():
            return Unseen(np.ones(len(digests), np.bool_), 0, 0)
        return Unseen(known & ~seen, int(seen.sum()), int((~known).sum()))


def compact(digests: Sequence[bytes]) -> dict[str, Any]:
    """What a model file says of its training photos, for `TrainedOn.of_card`; the same whatever their order."""
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
    return ModelError(f"what the model file says of its training photos is damaged: {why}; train again")
