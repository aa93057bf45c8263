"""The processes that share a run: each trains on its share of every batch, and only the first one writes.

They are started by torchrun, which gives each of them its rank. Gradients are averaged by torch's
DistributedDataParallel, over NCCL on GPUs, else over gloo, which carries everything else too.
"""

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from mobilenet.errors import ConfigError, ProcessError

__all__ = ["Processes", "joined", "lost_process", "torchrun_place"]

_STDOUT, _STDERR = 1, 2
_PATIENCE = timedelta(days=7)
"""The others wait while the first one decodes and evaluates; a process that ends is noticed at once."""

_GLOO_TRANSPORT = re.compile(r"(Gloo connectFullMesh failed with )?\[\S*/gloo/transport/\S+:\d+\] ")
"""How gloo's messages about a broken or silent connection begin; they are plain RuntimeErrors."""


@dataclass(frozen=True, slots=True)
class Processes:
    """`rank` (0…count - 1) of this process among `count`, and `local_rank` among the `local_count` of this machine."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1
    talk: distributed.ProcessGroup | None = field(default=None, compare=False, repr=False)
    gradients: distributed.ProcessGroup | None = field(default=None, compare=False, repr=False)

    @property
    def writes(self) -> bool:
        """True for the one process that writes files and speaks to the user."""
        return self.rank == 0

    def on(self, device: torch.device) -> "Processes":
        """The same processes for training on `device`: gradients on GPUs are averaged over NCCL."""
        if self.count == 1 or device.type != "cuda":
            return self
        with lost_process():
            return replace(self, gradients=distributed.new_group(backend="nccl"))

    def share(self, batch: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """This process's samples of a whole batch (B,); together the processes have each sample once."""
        return batch[self.rank :: self.count]

    def wait(self) -> None:
        """Wait until all processes have reached this point."""
        if self.count > 1:
            with lost_process():
                distributed.barrier(self.talk)

    @contextlib.contextmanager
    def first_alone(self) -> Iterator[None]:
        """The first process of each machine finishes what is inside before the others begin it."""
        if self.local_rank:
            self.wait()
        yield
        if not self.local_rank:
            self.wait()

    def largest(self, value: float) -> float:
        """The largest of all processes' values, on every process."""
        if self.count == 1:
            return value
        held = torch.tensor([value], dtype=torch.float64)
        with lost_process():
            distributed.all_reduce(held, distributed.ReduceOp.MAX, self.talk)
        return float(held)

    def total(self, values: Tensor) -> Tensor:
        """The sum of all processes' `values` (...,), on every process; changes them in place."""
        if self.count > 1:
            with lost_process():
                distributed.all_reduce(values, group=self.gradients)
        return values

    def said_by_the_first(self, data: bytes) -> bytes:
        """The first process's `data`, on every process."""
        if self.count == 1:
            return data
        length = torch.tensor([len(data)])
        with lost_process():
            distributed.broadcast(length, 0, self.talk)
            held = torch.zeros(int(length), dtype=torch.uint8)
            if self.writes:
                held = torch.frombuffer(bytearray(data or b"\0"), dtype=torch.uint8)[: len(data)]
            distributed.broadcast(held, 0, self.talk)
        return held.numpy().tobytes()

    def wrap(self, network: nn.Module, device: torch.device) -> nn.Module:
        """A network whose gradients are averaged over the processes, which all start with the first one's weights.

        Batch norm uses the statistics of each process's own share of a batch; the running averages, with which the
        network is evaluated, are those of the first one.
        """
        if self.count == 1 or not any(parameter.requires_grad for parameter in network.parameters()):
            return network
        devices = [device] if device.type == "cuda" else None
        with lost_process():
            return DistributedDataParallel(network, devices, process_group=self.gradients)


@contextlib.contextmanager
def lost_process() -> Iterator[None]:
    """Turn what torch raises when another process does not respond into ProcessError; other errors pass through."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, distributed.DistError) or _GLOO_TRANSPORT.match(str(error)):
            raise ProcessError("a process of this run has ended unexpectedly") from error
        raise


def torchrun_place() -> Processes:
    """The rank that torchrun gave this process; a single process without torchrun. ConfigError for invalid ranks."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    try:
        rank, count, local_rank, local_count = (int(os.environ.get(name, "0")) for name in names)
    except ValueError as error:
        raise ConfigError(f"{', '.join(names)} are not all integers: {error}; unset them") from error
    return Processes(rank, count, local_rank, max(local_count, local_rank + 1)) if count > 1 else Processes()


@contextlib.contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """In some versions of torch, gloo prints its connections to stdout, which is for results only."""
    sys.stdout.flush()
    kept = os.dup(_STDOUT)
    os.dup2(_STDERR, _STDOUT)
    try:
        yield
    finally:
        os.dup2(kept, _STDOUT)
        os.close(kept)


@contextlib.contextmanager
def joined() -> Iterator[Processes]:
    """Join the processes that torchrun has started, if any."""
    place = torchrun_place()
    if place.count == 1:
        yield place
        return
    with lost_process(), _stdout_to_stderr():
        distributed.init_process_group("gloo")
        talk = distributed.new_group(backend="gloo", timeout=_PATIENCE)
    try:
        yield replace(place, talk=talk)
    finally:
        distributed.destroy_process_group()
