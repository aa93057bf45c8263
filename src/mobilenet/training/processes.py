"""The processes that share a run: each trains on its part of every batch, and the first alone writes."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import distributed

__all__ = ["Processes", "current_processes"]


@dataclass(frozen=True, slots=True)
class Processes:
    """`rank` (0…count - 1) of this process among `count`."""

    rank: int = 0
    count: int = 1

    @property
    def writes(self) -> bool:
        """True for the one process that writes files and speaks to the user."""
        return self.rank == 0

    def share(self, batch: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """This process's samples of a whole batch; together the processes have each sample once."""
        return batch[self.rank :: self.count]


def current_processes() -> Processes:
    """This process's place in torch's process group; alone where there is none."""
    if distributed.is_available() and distributed.is_initialized():
        return Processes(distributed.get_rank(), distributed.get_world_size())
    return Processes()
