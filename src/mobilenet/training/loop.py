"""The training loop: epochs of steps, timed by part."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mobilenet.datasets.cache import CachedPhotos
from mobilenet.errors import ConfigError
from mobilenet.images import Preprocessing
from mobilenet.images.augment import draw_crops, render
from mobilenet.nn.losses import classification_loss
from mobilenet.nn.network import place
from mobilenet.training.average import WeightAverage
from mobilenet.training.optimizer import build_optimizer
from mobilenet.training.processes import current_processes
from mobilenet.training.sampler import epoch_order, sample_numbers, steps_per_epoch
from mobilenet.training.schedule import learning_rate_factor
from mobilenet.training.settings import TrainingSettings

__all__ = ["EpochResult", "Stopwatch", "Trainer"]

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
    """What one epoch of training came to; `loss` and `top1` are means over its augmented photos, before each step."""

    loss: float
    top1: float
    learning_rate: float
    photos: int


class Trainer:
    """Network, average, optimiser and photos; `step` and `elapsed_s` say how far the run is.

    `photos` are squares of more pixels than the network's input, which random crops are taken from.
    """

    def __init__(
        self,
        network: nn.Module,
        photos: CachedPhotos,
        settings: TrainingSettings,
        preprocessing: Preprocessing,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.network = place(network, device)
        self.photos, self.settings, self.device, self.dtype = photos, settings, device, dtype
        self.steps_per_epoch = steps_per_epoch(len(photos), settings.batch_size)
        span = max(settings.average_epochs * self.steps_per_epoch, 1.0)
        self.average = WeightAverage(self.network, 1 - 1 / span)
        self.optimizer = build_optimizer(self.network, settings)
        self.step, self.elapsed_s = 0, 0.0
        self._processes = current_processes()
        self._forward = torch.compile(self.network) if settings.compile else self.network
        self._mean = torch.tensor(preprocessing.mean, device=device)
        self._std = torch.tensor(preprocessing.std, device=device)

    @property
    def progress(self) -> float:
        """Share of the run that is done, 0…1, by epochs or by minutes, whichever is further."""
        return self._progress_at(self.step)

    @property
    def finished(self) -> bool:
        """True when nothing is left to do."""
        return self.progress >= 1.0

    def train_epoch(
        self, epoch: int, watch: Stopwatch, progress: Callable[[int, int], None] | None = None
    ) -> EpochResult:
        """Train on the photos of `epoch` (from 0) in its order, until its end or the run's; ConfigError when the loss
        diverges.
        """
        self.network.train()
        order = epoch_order(self.photos.labels, self.settings.seed, epoch, class_balanced=self.settings.class_balanced)
        samples = sample_numbers(order)
        size = self.settings.batch_size
        sums: list[Tensor] = []
        rate = 0.0
        for number in range(self.step - epoch * self.steps_per_epoch, self.steps_per_epoch):
            start = time.perf_counter()
            rate = self._set_learning_rate()
            with watch.part("input"):
                inputs, labels = self._input(epoch, self._processes.share(samples[number * size : (number + 1) * size]))
            with watch.part("step"):
                sums.append(self._train_step(inputs, labels))
            self.step += 1
            self.elapsed_s += time.perf_counter() - start
            if progress is not None:
                progress(number + 1, self.steps_per_epoch)
            if self.finished:
                break
        loss, correct = torch.stack(sums).cpu().double().mean(0).tolist()
        if not math.isfinite(loss):
            raise ConfigError(
                f"the loss became {loss} in epoch {epoch + 1} at learning rate {rate:.3g}; "
                f"try --learning-rate {self.settings.peak_learning_rate / 3:.2g}"
            )
        return EpochResult(loss, correct, rate, len(sums) * size)

    def _progress_at(self, step: int) -> float:
        by_steps = step / (self.settings.epoch_limit * self.steps_per_epoch)
        minutes = self.settings.minutes
        by_time = 0.0 if minutes is None else self.elapsed_s / (60 * minutes)
        return min(max(by_steps, by_time), 1.0)

    def _set_learning_rate(self) -> float:
        limit = self.settings.epoch_limit
        warmup = 0.05 if math.isinf(limit) else min(self.settings.warmup_epochs / limit, 0.5)
        rate = self.settings.peak_learning_rate * learning_rate_factor(self._progress_at(self.step + 1), warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def _input(self, epoch: int, samples: IntArray) -> tuple[Tensor, Tensor]:
        indices = samples % len(self.photos)
        pixels = torch.from_numpy(self.photos.batch(indices)).to(self.device, non_blocking=True)
        labels = torch.from_numpy(self.photos.labels[indices]).to(self.device, non_blocking=True)
        crops = draw_crops(self.settings.augmentation, self.settings.seed, epoch, samples)
        return render(pixels, crops, self.settings.resolution, self._mean, self._std, self.dtype), labels

    def _train_step(self, inputs: Tensor, labels: Tensor) -> Tensor:
        logits = self._forward(inputs)
        loss = classification_loss(logits, labels, self.settings.label_smoothing)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.average.update()
        correct = (logits.detach().argmax(1) == labels).float().mean()
        return torch.stack([loss.detach(), correct])
