"""The confusion matrix of an evaluation: the pairs of classes that occur, since with many classes nearly none does."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mobilenet.errors import DataError

__all__ = ["Cell", "cells", "columns"]

Cell = tuple[int, int, int]
"""Index of the true class, index of the predicted class, number of photos (1 or more)."""


def columns(matrix: ArrayLike) -> dict[str, list[int]]:
    """(classes, classes) counts, row = true class -> the cells that are not zero, row by row, as columns of JSON:
    `photos[i]` photos of class `true[i]` were predicted as `predicted[i]`."""
    counts = np.asarray(matrix)
    true, predicted = np.nonzero(counts)
    return {
        "true": true.tolist(),
        "predicted": predicted.tolist(),
        "photos": counts[true, predicted].tolist(),
    }


def cells(confusion: Any, classes: int) -> tuple[Cell, ...]:
    """The cells that are not zero, row by row, from `columns` or, in evaluations of earlier versions, from the rows of
    the whole matrix; DataError if it is neither, or not of that many classes."""
    try:
        found = sorted(_columns(confusion) if isinstance(confusion, Mapping) else _rows(confusion))
        sound = all(
            0 <= true < classes and 0 <= predicted < classes and photos > 0 for true, predicted, photos in found
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged() from error
    if not sound:
        raise _damaged()
    return tuple(found)


def _columns(confusion: Mapping[str, Any]) -> list[Cell]:
    return list(zip(confusion["true"], confusion["predicted"], confusion["photos"], strict=True))


def _rows(confusion: Any) -> list[Cell]:
    return [
        (true, predicted, photos)
        for true, row in enumerate(confusion)
        for predicted, photos in enumerate(row)
        if photos
    ]


def _damaged() -> DataError:
    return DataError("the confusion matrix of the evaluation is damaged; run mobilenet evaluate again")
