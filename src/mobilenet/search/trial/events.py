"""One training of a search, and its promise for a longer one."""

from dataclasses import dataclass

from mobilenet.search.candidates import Candidate

__all__ = ["Trial"]


@dataclass(frozen=True, slots=True)
class Trial:
    """`accuracy` is the task's goal on the validation photos after `epochs` epochs, `promise` is what candidates are
    compared by.

    After a full training the two are equal. After a short one, `promise` is the mean of `accuracy` and of the same
    figure on the augmented training photos of the last epoch: validation photos are few, so that of two networks that
    differ by a point the worse one often scores higher on them, and there is no overfitting yet.
    """

    candidate: Candidate
    epochs: int
    accuracy: float
    promise: float
    seconds: float
