"""The training loop: epochs of steps, timed by part."""

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mobilenet.datasets.cache.load import CachedPhotos
from mobilenet.errors import ConfigError, ProcessError
from mobilenet.images.augment import Crops, draw_crops, render, whole_photos
from mobilenet.nn.network import TableNetwork, place
from mobilenet.nn.objective import Objective
from mobilenet.nn.schedule import frozen_parts, learning_rate_factor
from mobilenet.training.optim.average import WeightAverage
from mobilenet.training.optim.optimizer import build_optimizer, parts
from mobilenet.training.recipe import Plan
from mobilenet.training.sampler import epoch_order, sample_numbers, steps_per_epoch
from mobilenet.training.settings import TrainingSettings
from mobilenet.training.system.processes import Processes, lost_process
from mobilenet.training.teacher.lessons import UNTAUGHT, Lessons
from mobilenet.training.twins import SAMPLES_PER_PAIR, TWINS_FROM, disagreement, twins

__all__ = ["EpochResult", "Stopwatch", "Trainer", "fill"]

_READ_AT_ONCE = 64
_DRAWN_AT_ONCE = 32
"""Batches whose random numbers are drawn together."""

_ALONE = Processes()

IntArray = npt.NDArray[np.int64]


class Stopwatch:
    """Seconds spent in each named part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the time spent inside to the part `name`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


@dataclass(frozen=True, slots=True)
class EpochResult:
    """The result of one epoch of training; `values` are what the objective reports by name, the loss first: means over
    the epoch's augmented photos, each taken before its step."""

    values: dict[str, float]
    learning_rate: float
    photos: int


class Trainer:
    """Network, weight average, optimiser and photos; `step` and `elapsed_s` say how far the run is.

    `photos` are images larger than the network input; random crops are taken from them. For the current epoch, `sums`
    holds what the objective reported at each step so far, and `frozen` is the number of frozen parts. `learned` is what
    the loss learns beside the network, if anything.
    """

    def __init__(
        self,
        network: TableNetwork,
        objective: Objective,
        photos: CachedPhotos,
        settings: TrainingSettings,
        plan: Plan,
        device: torch.device,
        dtype: torch.dtype,
        processes: Processes = _ALONE,
        lessons: Lessons = UNTAUGHT,
    ) -> None:
        self.network, self.objective = network, objective
        place(network, device)
        self.photos, self.settings, self.plan, self.device, self.dtype = photos, settings, plan, device, dtype
        self.steps_per_epoch = steps_per_epoch(len(photos), plan.batch_size)
        span = max(plan.average_epochs * self.steps_per_epoch, 1.0)
        self.average = WeightAverage(self.network, 1 - 1 / span)
        self.learned = objective.learned(photos.targets)
        if self.learned is not None:
            self.learned.to(device)
        self.optimizer = build_optimizer(self.network, settings.optimizer, plan, self.learned)
        self._parts = parts(self.network)
        self.step, self.elapsed_s = 0, 0.0
        self.sums: list[Tensor] = []
        self.frozen, self.learning_rate = 0, 0.0
        self._processes, self._lessons = processes, lessons
        self._forward: Callable[[Tensor], dict[str, Tensor]] | None = None
        self._strata = photos.targets.strata() if settings.class_balanced else None
        self._mean = torch.tensor(settings.mean, device=device)
        self._std = torch.tensor(settings.std, device=device)

    @property
    def progress(self) -> float:
        """Fraction of the run that is complete, 0…1, by epochs or by minutes, whichever is further."""
        return self._progress_at(self.step)

    @property
    def finished(self) -> bool:
        """True when nothing is left to do."""
        return self.progress >= 1.0

    def train_epoch(
        self,
        epoch: int,
        watch: Stopwatch,
        progress: Callable[[int, int], None] | None = None,
        after_step: Callable[[], None] | None = None,
    ) -> EpochResult:
        """Train on the photos of `epoch` (from 0) in its order, from the current step to the end of the epoch or of the
        run; ConfigError if the loss diverges.

        Between two steps the state is consistent: `after_step` may save it or raise.
        """
        self._thaw()
        order = epoch_order(len(self.photos), self.settings.seed, epoch, self._strata)
        samples = sample_numbers(order)
        size = self.plan.batch_size
        self._prepare(watch, after_step)
        drawn: list[Crops] = []
        for number in range(self.step - epoch * self.steps_per_epoch, self.steps_per_epoch):
            if self.finished:
                break
            start = time.perf_counter()
            self._set_learning_rate()
            with watch.part("input"):
                drawn = drawn or self._draw(epoch, samples[number * size : (number + _DRAWN_AT_ONCE) * size])
                batch, crops = self._processes.share(samples[number * size : (number + 1) * size]), drawn.pop(0)
                consistency = self._consistency(len(batch))
                if consistency:
                    batch, crops = twins(batch, crops)
                inputs, targets = self._input(batch, crops)
            with watch.part("step"):
                self.sums.append(self._train_step(inputs, targets, len(batch), consistency))
            self.step += 1
            self._add_time(time.perf_counter() - start)
            if progress is not None:
                progress(number + 1, self.steps_per_epoch)
            if after_step is not None:
                after_step()
        values = torch.stack(self.sums).cpu().double().mean(0).tolist()
        if not math.isfinite(loss := values[0]):
            raise ConfigError(
                f"the loss became {loss} in epoch {epoch + 1} at learning rate {self.learning_rate:.3g}; "
                f"try --learning-rate {self.plan.learning_rate / 3:.2g}"
            )
        named = dict(zip(self.objective.names, values, strict=True))
        return EpochResult(named, self.learning_rate, len(self.sums) * size)

    def zero_head(self) -> None:
        """Set what the objective says to zero, as training from pretrained weights starts."""
        fill(self.network, dict.fromkeys(self.objective.zero_start, 0.0))
        self.average.restart()

    def whole_photos(self, indices: IntArray) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        """The photos at `indices` (N,) in batches, uncropped as in evaluation: network input (B, 3, R, R) and
        targets by name."""
        for chosen in np.split(indices, range(_READ_AT_ONCE, len(indices), _READ_AT_ONCE)):
            pixels = torch.from_numpy(self.photos.batch(chosen)).to(self.device)
            crops = whole_photos(len(chosen))
            inputs = render(pixels, crops, self.settings.side, self._mean, self._std, self.dtype)
            yield inputs, self._targets(chosen, crops)

    def _prepare(self, watch: Stopwatch, after_step: Callable[[], None] | None) -> None:
        """Get what is learned from besides targets; a run limited by time spends some of it on that."""
        if self._lessons is UNTAUGHT:
            return
        start = time.perf_counter()
        with watch.part("teacher"):
            self._lessons.prepare(after_step or (lambda: None))
        self._add_time(time.perf_counter() - start)

    def _progress_at(self, step: int) -> float:
        if not self.plan.epochs:
            return 1.0
        by_steps = step / (self.plan.epochs * self.steps_per_epoch)
        minutes = self.settings.minutes
        by_time = 0.0 if minutes is None else self.elapsed_s / (60 * minutes)
        return min(max(by_steps, by_time), 1.0)

    def _add_time(self, seconds: float) -> None:
        """In a run limited by time, all processes use the same clock."""
        self.elapsed_s += seconds
        if self.settings.minutes is not None:
            self.elapsed_s = self._processes.largest(self.elapsed_s)

    def _set_learning_rate(self) -> None:
        limit = self.plan.epochs
        warmup = 0.05 if math.isinf(limit) else min(self.plan.warmup_epochs / limit, 0.5)
        rate = self.plan.learning_rate * learning_rate_factor(self._progress_at(self.step + 1), warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        self.learning_rate = rate

    def _thaw(self) -> None:
        """Unfreeze the parts that are due, one after another from the top; from `unfreeze` on, all of them train.

        A frozen part keeps the statistics of its norms and needs no gradients. Nothing changes in the middle of an
        epoch.
        """
        before = self.frozen
        if not self.sums:
            self.frozen = frozen_parts(self.progress, self.plan.unfreeze, len(self._parts))
        for number, part in enumerate(self._parts):
            part.train(mode=number >= self.frozen)
            part.requires_grad_(requires_grad=number >= self.frozen)
        if self._forward is None or self.frozen != before:
            trained = self.network if self.learned is None else _WithLearned(self.network, self.learned)
            shared = self._processes.wrap(trained, self.device)
            self._forward = torch.compile(shared) if self.settings.compile else shared

    def _draw(self, epoch: int, samples: IntArray) -> list[Crops]:
        """Crops for the next batches, drawn together because NumPy is slow on arrays as small as one batch."""
        size = self.plan.batch_size
        parts = [self._processes.share(samples[start : start + size]) for start in range(0, len(samples), size)]
        crops = draw_crops(self.plan.augmentation, self.settings.seed, epoch, np.concatenate(parts))
        return crops.split(len(parts[0]))

    def _input(self, samples: IntArray, crops: Crops) -> tuple[Tensor, dict[str, Tensor]]:
        indices = samples % len(self.photos)
        pixels = torch.from_numpy(self.photos.batch(indices, crops.method)).to(self.device, non_blocking=True)
        targets = self._targets(indices, crops) | self._lessons.outputs(samples, crops)
        return render(pixels, crops, self.plan.training_resolution, self._mean, self._std, self.dtype), targets

    def _targets(self, indices: IntArray, crops: Crops) -> dict[str, Tensor]:
        arrays = self.objective.batch(self.photos.targets, indices, crops)
        return {name: torch.from_numpy(array).to(self.device, non_blocking=True) for name, array in arrays.items()}

    def _consistency(self, photos: int) -> float:
        """The weight of the difference between twins in the loss of this step; 0 if there are none."""
        plan = self.plan
        paired = plan.augmentation.aliasing > 0 and photos >= SAMPLES_PER_PAIR and self.progress >= TWINS_FROM
        return plan.consistency if paired else 0.0

    def _train_step(self, inputs: Tensor, targets: dict[str, Tensor], photos: int, consistency: float = 0.0) -> Tensor:
        """Take one step on this process's share of a batch, of twins if `consistency` is not 0; returns what the
        objective reports for the whole batch."""
        with self._undone_if_lost():
            outputs = self._network_of_all()(inputs)
            values = self.objective(outputs, targets)
            loss = values[0] + consistency * disagreement(self.objective, outputs) if consistency else values[0]
            self.optimizer.zero_grad(set_to_none=True)
            # Gradients are averaged over processes, so shares are weighted by their size.
            share = photos / self.plan.batch_size
            (loss * (share * self._processes.count)).backward()
            result = self._processes.total(values.detach() * share)
        if self.plan.clip_norm:
            trained = itertools.chain(
                self.network.parameters(), () if self.learned is None else self.learned.parameters()
            )
            torch.nn.utils.clip_grad_norm_(trained, self.plan.clip_norm)
        self.optimizer.step()
        self.average.update()
        return result

    def _network_of_all(self) -> Callable[[Tensor], dict[str, Tensor]]:
        if self._forward is None:
            raise RuntimeError("a step can only be taken within an epoch")
        return self._forward

    @contextmanager
    def _undone_if_lost(self) -> Iterator[None]:
        """If another process is lost in the middle of a step, restore the state from before it, norms included."""
        if self._processes.count == 1:
            yield
            return
        before = [buffer.clone() for buffer in self.network.buffers()]
        try:
            with lost_process():
                yield
        except ProcessError:
            for buffer, value in zip(self.network.buffers(), before, strict=True):
                buffer.copy_(value)
            raise


def fill(network: TableNetwork, numbers: Mapping[str, float]) -> None:
    """Set each of these parameters, by its name in the network, to one number."""
    own = network.state_dict()
    for name, number in numbers.items():
        own[name].fill_(number)


class _WithLearned(nn.Module):
    """A network beside what the loss learns: processes that share a run average the gradients of both."""

    def __init__(self, network: TableNetwork, learned: nn.Module) -> None:
        super().__init__()
        self.network, self.learned = network, learned

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        found: dict[str, Tensor] = self.network(x)
        return found
