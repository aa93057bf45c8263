"""Checking a data set before training on it: every photo is fully decoded; nothing is changed.

`check` examines everything; `quick_check` only what training has read anyway.
"""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobilenet.datasets.cache.load import CachedPhotos
from mobilenet.datasets.check.contradictions import Labels
from mobilenet.datasets.check.descriptors import thumbnail
from mobilenet.datasets.check.duplicates import Thumbnails, exact_copies, groups, near_copies
from mobilenet.datasets.check.findings import FEW_PHOTOS, Broken, Check, ClassSize, Copies, Member, Odd, Split
from mobilenet.datasets.dataset import Dataset, open_dataset
from mobilenet.datasets.digest import digest
from mobilenet.datasets.exclusions import NOTHING, Exclusions, prefix_below
from mobilenet.datasets.photos import Photos
from mobilenet.datasets.reader import Reader
from mobilenet.datasets.remote.urls import spelled
from mobilenet.datasets.sources.find import base_of
from mobilenet.datasets.targets import ManyLabels, Targets
from mobilenet.errors import ImageError
from mobilenet.images.decode import decode
from mobilenet.images.overlay import Mark
from mobilenet.model.vocabulary import Vocabulary
from mobilenet.parallel import in_order

__all__ = ["check", "quick_check"]

Progress = Callable[[str, int, int], None]
"""Called with the name of the step, the number done and the total."""

_SMALL_SIDE = 32
"""Pixels: anything smaller is a thumbnail, an icon or a mistake."""

_LONG_SIDES = 5
"""Aspect ratio above which a photo is a banner or a strip, and is badly distorted in the network input."""

_MOST_CROP = 0.25
"""Share of its sides that a near copy may have lost: more, and it is not found to be one."""

_ONE_COLOUR = 2.0
"""Standard deviation in grey levels below which a thumbnail counts as one colour."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """One photo: its (height, width), or why it could not be decoded."""

    key: bytes
    size: tuple[int, int]
    thumbnail: NDArray[np.uint8] | None
    reason: str | None = None


def check(
    data: Path,
    reader: Reader,
    *,
    validation: Path | None = None,
    seed: int = 0,
    exclude: Exclusions = NOTHING,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Check:
    """Decode every photo of `data` and compare all pairs; the split is that of `open_dataset`.

    `workers` threads decode (default: one per core). DataError if there is nothing to check.
    """
    dataset = open_dataset(data, reader, validation=validation, seed=seed, exclude=exclude)
    tell = progress or (lambda _what, _done, _total: None)
    with Thumbnails() as thumbnails:
        checking = _Checking(dataset, base_of(data), thumbnails)
        checking.decode(workers or os.cpu_count() or 1, lambda done, total: tell("decoding", done, total))
        copies = checking.copies(workers, lambda done, total: tell("comparing", done, total))
    return checking.result(spelled(data), copies, reader)


def quick_check(
    vocabulary: Vocabulary,
    training: CachedPhotos,
    validation: CachedPhotos,
    noun: str = "classes",
    contradiction: str = "two labels",
) -> str | None:
    """One line on problems visible in the digests and labels of cached photos; None if there are none.

    Exact copies across the split, exact copies with a `contradiction`, names of the vocabulary (plural `noun`) with
    few photos.
    """
    digests = np.concatenate([training.digests, validation.digests])
    labels = Labels((training.targets, validation.targets), vocabulary)
    _, picture = np.unique(digests, return_inverse=True)
    trained_on = np.unique(picture[: len(training)])
    leaks = int(np.isin(picture[len(training) :], trained_on).sum())
    conflicts = sum(labels.contradict(members) for members in exact_copies([key.tobytes() for key in digests]))
    counts = _counts(training.targets, vocabulary)
    few = [f"{name} ({count})" for name, count in zip(vocabulary.names, counts, strict=False) if count < FEW_PHOTOS]
    more = f" and {len(few) - 5} more" if len(few) > 5 else ""
    found = [
        f"copies of training photos in the validation split: {leaks:,}" if leaks else "",
        f"pictures with {contradiction}: {conflicts:,}" if conflicts else "",
        f"{noun} with fewer than {FEW_PHOTOS} training photos: {', '.join(few[:5])}{more}" if few else "",
    ]
    return "; ".join(filter(None, found)) or None


def _counts(targets: Targets, vocabulary: Vocabulary) -> list[int]:
    """The number of photos in each group, or with each label; empty if photos have neither."""
    if isinstance(targets, ManyLabels):
        found = targets.present().sum(0).tolist()
        # Targets may not know of names after the last that occurs.
        return [int(count) for count in found] + [0] * (len(vocabulary.names) - len(found))
    strata = targets.strata()
    if strata is None:
        return []
    counts: list[int] = np.bincount(strata[strata >= 0], minlength=len(vocabulary.names)).tolist()
    return counts


class _Checking:
    """The state of one check: each photo, training photos first; names are relative to `base`."""

    def __init__(self, dataset: Dataset, base: Path, thumbnails: Thumbnails) -> None:
        self._dataset = dataset
        self._parts: tuple[tuple[Split, Photos], ...] = (("train", dataset.train), ("validation", dataset.validation))
        self._prefixes = [prefix_below(base, photos.root) for _, photos in self._parts]
        self._total = sum(len(photos) for _, photos in self._parts)
        self._readable: list[int] = []
        self._digests: list[bytes] = []
        self._unlike: dict[bytes, int] = {}
        self._thumbnails = thumbnails
        self._broken: list[Broken] = []
        self._odd: list[Odd] = []
        self._marks: dict[str, tuple[Mark, ...]] = {}
        self._labels = Labels([photos.targets for _, photos in self._parts], dataset.vocabulary)

    def decode(self, workers: int, progress: Callable[[int, int], None]) -> None:
        """Decode every photo once."""
        for done, (index, seen) in enumerate(in_order(self._see, self._order(), workers), 1):
            if seen.thumbnail is None:
                self._broken.append(Broken(self._member(index), seen.reason or ""))
            else:
                self._take(index, seen, seen.thumbnail)
            progress(done, self._total)

    def copies(self, workers: int | None, progress: Callable[[int, int], None]) -> tuple[Copies, ...]:
        """Pictures that occur more than once, each with all its photos."""
        exact = exact_copies(self._digests)
        pairs = [(members[0], other) for members in exact for other in members[1:]]
        unlike = list(self._unlike.values())
        thumbnails = self._thumbnails.all()
        near = near_copies(thumbnails, lambda row: self._read(self._readable[unlike[row]]), progress, workers)
        pairs += [(unlike[one], unlike[other]) for one, other in near]
        return tuple(self._copies(members) for members in groups(len(self._readable), pairs))

    def result(self, data: str, copies: tuple[Copies, ...], reader: Reader) -> Check:
        """All findings."""
        dataset = self._dataset
        return Check(
            data=data,
            split=dataset.split,
            photos=self._total,
            classes=self._sizes(),
            broken=tuple(self._broken),
            copies=copies,
            odd=tuple(self._odd),
            empty=dataset.empty,
            clashes=_clashes(
                prefix + file
                for prefix, (_, photos) in zip(self._prefixes, self._parts, strict=True)
                for file in photos.files
            ),
            same_names=_clashes(dataset.classes),
            notes=dataset.notes,
            unread=dataset.unread,
            mixed=dataset.mixed,
            alike=dataset.alike,
            doubtful=dataset.doubtful,
            peculiar=dataset.peculiar,
            noun=reader.vocabulary_noun,
            contradiction=reader.contradiction,
            drawn=dataset.drawn,
            marks=self._marks,
        )

    def _take(self, index: int, seen: _Seen, small: NDArray[np.uint8]) -> None:
        if seen.key not in self._unlike:
            self._unlike[seen.key] = len(self._readable)
            self._thumbnails.add(small)
        self._readable.append(index)
        self._digests.append(seen.key)
        if reason := _oddity(seen.size, small):
            self._odd.append(Odd(self._member(index), seen.size[1], seen.size[0], reason))

    def _copies(self, members: list[int]) -> Copies:
        indices = [self._readable[member] for member in members]
        exact = len({self._digests[member] for member in members}) == 1
        found = tuple(map(self._member, indices))
        self._marks |= {
            member.file: marks
            for member, index in zip(found, indices, strict=True)
            if (marks := self._labels.marks(index))
        }
        return Copies(found, exact=exact, conflict=self._labels.contradict(indices, 0.0 if exact else _MOST_CROP))

    def _order(self) -> list[int]:
        train, validation = (photos.in_reading_order(range(len(photos))) for _, photos in self._parts)
        return train + [len(train) + row for row in validation]

    def _place(self, index: int) -> tuple[int, int]:
        first = len(self._parts[0][1])
        return (0, index) if index < first else (1, index - first)

    def _read(self, index: int) -> bytes:
        part, row = self._place(index)
        return self._parts[part][1].read(row)

    def _member(self, index: int) -> Member:
        part, row = self._place(index)
        split, photos = self._parts[part]
        return Member(self._prefixes[part] + photos.files[row], split, self._labels.words(index) or "")

    def _see(self, index: int) -> _Seen:
        """Runs in a thread."""
        try:
            data = self._read(index)
            pixels = decode(data)
        except ImageError as error:
            return _Seen(b"", (0, 0), None, str(error))
        return _Seen(digest(data), (pixels.shape[0], pixels.shape[1]), thumbnail(pixels))

    def _sizes(self) -> tuple[ClassSize, ...]:
        """The number of readable photos in each group, or with each label; empty if photos have neither, or groups have
        no names."""
        if not self._dataset.classes:
            return ()
        counts = np.zeros((2, len(self._dataset.classes)), dtype=np.int64)
        places = [self._place(index) for index in self._readable]
        for part, (_, photos) in enumerate(self._parts):
            rows = np.array([row for own, row in places if own == part], np.int64)
            counts[part] = _counts(photos.targets.take(rows), self._dataset.vocabulary) or 0
            if not isinstance(photos.targets, ManyLabels) and photos.targets.strata() is None:
                return ()
        return tuple(
            ClassSize(name, int(counts[0, label]), int(counts[1, label]))
            for label, name in enumerate(self._dataset.classes)
        )


def _oddity(size: tuple[int, int], small: NDArray[np.uint8]) -> str | None:
    short, long = sorted(size)
    if short < _SMALL_SIDE:
        return f"smaller than {_SMALL_SIDE} pixels"
    if long >= _LONG_SIDES * short:
        shape = "taller than wide" if size[0] > size[1] else "wider than tall"
        return f"{long / short:.0f} times {shape}"
    return "one colour" if float(small.std()) < _ONE_COLOUR else None


def _clashes(names: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Names that are equal if case and Unicode normalisation are ignored, as on most other systems."""
    alike: dict[str, list[str]] = defaultdict(list)
    for name in names:
        alike[unicodedata.normalize("NFC", name).casefold()].append(name)
    return tuple(tuple(sorted(group)) for group in alike.values() if len(group) > 1)
