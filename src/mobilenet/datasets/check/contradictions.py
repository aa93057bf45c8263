"""Which copies of a picture contradict each other by their labels; what nobody says contradicts nothing."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.datasets.targets import Targets, known_labels
from mobilenet.model.vocabulary import Vocabulary

__all__ = ["Labels"]


class Labels:
    """The labels of the photos of several `parts`, one part after another; `words` (N) are each photo's in one text,
    None for a photo without labels."""

    def __init__(self, parts: Sequence[Targets], vocabulary: Vocabulary) -> None:
        self.words = [_text(line) for targets in parts for line in targets.lines(vocabulary)]
        self._known = _joined([known_labels(targets) for targets in parts])

    def contradict(self, photos: Sequence[int]) -> bool:
        """Whether some of these photos (their indices) have a label that others of them have not."""
        if self._known is None:
            return len({self.words[photo] for photo in photos} - {None}) > 1
        present, absent = (values[list(photos)].any(0) for values in self._known)
        return bool((present & absent).any())


Known = tuple[NDArray[np.bool_], NDArray[np.bool_]]


def _joined(parts: Sequence[Known | None]) -> Known | None:
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    return np.concatenate([present for present, _ in known]), np.concatenate([absent for _, absent in known])


def _text(line: Any) -> str | None:
    return line if line is None or isinstance(line, str) else json.dumps(line)
