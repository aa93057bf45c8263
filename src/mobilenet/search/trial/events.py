"""One training of a search, and what it tells of a longer one."""

from dataclasses import dataclass

from mobilenet.search.candidates import Candidate

__all__ = ["Trial"]


@dataclass(frozen=True, slots=True)
class Trial:
    """`accuracy` is the task's goal on the validation photos after so many epochs, `promise` what candidates are
    compared by.

    After a full training the two are the same. After a short one, `promise` is the mean of `accuracy` and of the same
    figure on the training photos in the last epoch, as they were cropped: validation photos are few, of two networks
    that differ by a point the worse one often answers more of them, and nothing has been learned by heart yet.
    """

    candidate: Candidate
    epochs: int
    accuracy: float
    promise: float
    seconds: float
