"""Which copies of a picture contradict each other by their labels; what nobody says contradicts nothing."""

import json
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.datasets.targets import Comparable, Located, Targets, known_labels, labelled_part
from mobilenet.images.overlay import Mark
from mobilenet.model.vocabulary import Vocabulary

__all__ = ["Labels"]


class Labels:
    """The labels of the photos of several `parts`, one part after another."""

    def __init__(self, parts: Sequence[Targets], vocabulary: Vocabulary) -> None:
        self._parts, self._vocabulary = [labelled_part(targets) for targets in parts], vocabulary
        self._located = all(isinstance(found, Located) for found, _ in self._parts)
        self._compared = all(isinstance(found, Comparable) for found, _ in self._parts)
        self._known = None if self._compared else _joined([known_labels(targets) for targets in parts])
        self._starts = np.cumsum([0, *(len(targets) for targets in parts)])
        self._given = parts

    def words(self, photo: int) -> str | None:
        """Those of a photo (its index) in one text, None for a photo without labels."""
        if not self._located:
            return self._texts[photo]
        counts = Counter(mark.text for mark in self.marks(photo))
        return ", ".join(name if count == 1 else f"{count} {name}" for name, count in sorted(counts.items())) or "none"

    @cached_property
    def _texts(self) -> list[str | None]:
        return [_text(line) for targets in self._given for line in targets.lines(self._vocabulary)]

    def contradict(self, photos: Sequence[int], crop: float = 0.0) -> bool:
        """Whether some of these photos (their indices) have a label that others of them have not; `crop` is the share
        of their sides that copies may have lost."""
        if self._compared:
            # Likeness within a tolerance is compared with one of them, or else the tolerance would add up.
            places = [place for place in map(self._place, photos) if place is not None]
            return any(places[0][0].contradict(places[0][1], *other, crop) for other in places[1:])
        if self._known is None:
            return len({self._texts[photo] for photo in photos} - {None}) > 1
        present, absent = (values[list(photos)].any(0) for values in self._known)
        return bool((present & absent).any())

    def marks(self, photo: int) -> tuple[Mark, ...]:
        """What can be drawn on a photo (its index); nothing where labels are about whole photos."""
        place = self._place(photo) if self._located else None
        return () if place is None else place[0].marks(place[1], self._vocabulary)

    def _place(self, photo: int) -> tuple[Any, int] | None:
        """The targets of a photo and its index in them, None for a photo without labels."""
        part = int(np.searchsorted(self._starts, photo, "right")) - 1
        found, rows = self._parts[part]
        row = int(rows[photo - self._starts[part]])
        return None if row < 0 else (found, row)


Known = tuple[NDArray[np.bool_], NDArray[np.bool_]]


def _joined(parts: Sequence[Known | None]) -> Known | None:
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    return np.concatenate([present for present, _ in known]), np.concatenate([absent for _, absent in known])


def _text(line: Any) -> str | None:
    return line if line is None or isinstance(line, str) else json.dumps(line)
