"""What a teacher says of the crops that a student sees: computed once per photo and view, and kept on disk.

The teacher sees V random crops of each photo, its views; crops are fractions of the photo, and the teacher sees them at
its own resolution (a patient and consistent teacher: Beyer et al., 2021, arXiv 2106.05237). From the V-th epoch on, the
student sees new crops all the same, and what counts is the teacher's answer to the view that overlaps most with them: a
student that sees the same few crops again and again learns them by heart.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mobilenet.datasets.cache.load import CachedPhotos
from mobilenet.datasets.cache.row_file import RowFile
from mobilenet.datasets.cache.rows import RowCache
from mobilenet.errors import StorageError
from mobilenet.images.augment import Augmentation, Crops, draw_crops
from mobilenet.nn.objective import Objective
from mobilenet.training.system.processes import Processes
from mobilenet.training.teacher.alignment import AlignedTeacher
from mobilenet.training.teacher.objective import TEACHER, DistilledObjective
from mobilenet.training.teacher.settings import Teaching

__all__ = ["TeacherLessons"]

_AT_ONCE = 64
_BLOCK_PHOTOS, _BLOCK_BYTES = 1024, 64 * 2**20
"""Photos in a file of outputs: what a run that is stopped may have to compute again."""

IntArray = NDArray[np.int64]


class TeacherLessons:
    """The lessons of `teacher` on `photos`, images at least as large as its input needs for crops.

    `views` of each photo are drawn by `seed` with `augmentation`; if there are fewer than `epochs` of them, outputs are
    kept in `cache`, and what does not fit is computed at every step. `labelled`: share of the photos with a label.
    `progress(done, all)` hears of photos, `note` of what cannot be kept.
    """

    def __init__(
        self,
        teacher: AlignedTeacher,
        photos: CachedPhotos,
        teaching: Teaching,
        augmentation: Augmentation,
        *,
        seed: int,
        epochs: float,
        labelled: float,
        cache: RowCache,
        processes: Processes,
        device: torch.device,
        progress: Callable[[int, int], object],
        note: Callable[[str], object],
    ) -> None:
        self._teacher, self._photos, self._augmentation, self._seed = teacher, photos, augmentation, seed
        self._teaching, self._labelled = teaching, labelled
        self._views = teaching.views or 1
        self._reused = self._views < epochs
        self._cache: RowCache | None = cache if self._reused else None
        self._processes, self._device = processes, device
        self._progress, self._note = progress, note
        width = teacher.width
        self._block = int(np.clip(_BLOCK_BYTES // (4 * width), _AT_ONCE, _BLOCK_PHOTOS))
        self._files: dict[tuple[int, int], RowFile] = {}

    def wrapped(self, objective: Objective) -> Objective:
        """The task's objective with the teacher's outputs in its loss."""
        return DistilledObjective(objective, self._teaching.weight, self._teaching.temperature, self._labelled)

    def prepare(self, between: Callable[[], None]) -> None:
        """Before the first epoch, compute the outputs for all views, or find them in the cache."""
        if self._cache is None:
            return
        for view in range(self._views):
            self._prepare_view(view, self._cache, between)

    def outputs(self, samples: IntArray, crops: Crops) -> dict[str, Tensor]:
        """The teacher's outputs before their endings for the crops of the samples (B,), or for those of their photos'
        views that are most like them: (B, *shape) each."""
        photos = samples % len(self._photos)
        if self._cache is None:
            return self._by_name(torch.from_numpy(self._computed(photos, crops)))
        views = self._nearest(photos, crops)
        rows = np.empty((len(samples), self._teacher.width), np.float32)
        missing = []
        for row, (view, photo) in enumerate(zip(views.tolist(), photos.tolist(), strict=True)):
            file = self._files.get((view, photo // self._block))
            if file is None:
                missing.append(row)
            else:
                rows[row] = file.values[photo % self._block]
        if missing:
            chosen = np.array(missing)
            seen = draw_crops(self._augmentation, self._seed, views[chosen], photos[chosen])
            rows[chosen] = self._computed(photos[chosen], seen)
        return self._by_name(torch.from_numpy(rows))

    def _nearest(self, photos: IntArray, crops: Crops) -> IntArray:
        """The view (N,) of each of the photos (N,) that overlaps most with its crop."""
        views = np.repeat(np.arange(self._views), len(photos))
        boxes = draw_crops(self._augmentation, self._seed, views, np.tile(photos, self._views)).box
        overlaps = _overlap(np.tile(crops.box, (self._views, 1)), boxes)
        return overlaps.reshape(self._views, -1).argmax(0)

    def _prepare_view(self, view: int, cache: RowCache, between: Callable[[], None]) -> None:
        """Each process of a machine computes its share of the blocks of a view; all of them go through the same steps,
        because they talk to each other in between."""
        blocks = range(-(-len(self._photos) // self._block))
        if all((view, block) in self._files for block in blocks):
            return
        place, count = self._processes.local_rank, self._processes.local_count
        for start in range(0, int(self._processes.largest(len(blocks))), count):
            if start + place in blocks and not self._find(cache, view, start + place):
                self._compute(cache, view, start + place)
            self._progress(min(start + count, len(blocks)) * self._block, len(blocks) * self._block)
            between()
        self._processes.wait()
        for block in blocks:
            self._find(cache, view, block)

    def _find(self, cache: RowCache, view: int, block: int) -> bool:
        if (view, block) in self._files:
            return True
        photos = self._in_block(block)
        found = cache.find(self._key(view, photos), (len(photos), self._teacher.width))
        if found is not None:
            self._files[view, block] = found
        return found is not None

    def _compute(self, cache: RowCache, view: int, block: int) -> None:
        photos = self._in_block(block)
        if not cache.has_room((len(photos), self._teacher.width)):
            self._say(f"the cache in {cache.directory} is full at {cache.max_bytes:,} bytes")
            return
        crops = draw_crops(self._augmentation, self._seed, view, photos)
        try:
            if not cache.keep(self._key(view, photos), self._computed(photos, crops)):
                self._say(f"the cache in {cache.directory} is full at {cache.max_bytes:,} bytes")
        except StorageError as error:
            self._say(str(error))

    def _say(self, why: str) -> None:
        self._note(f"outputs of the teacher are not cached and are computed at every step: {why}")
        self._note = lambda _: None

    def _computed(self, photos: IntArray, crops: Crops) -> NDArray[np.float32]:
        """(N, width) the outputs for photos (N,) with these crops, one after another."""
        rows = np.empty((len(photos), self._teacher.width), np.float32)
        for start in range(0, len(photos), _AT_ONCE):
            part = np.arange(start, min(start + _AT_ONCE, len(photos)))
            some = crops.take(part)
            pixels = torch.from_numpy(self._photos.batch(photos[part], some.method))
            found = self._teacher.raw(pixels, some)
            rows[part] = torch.cat([values.flatten(1) for values in found.values()], 1).cpu().numpy()
        return rows

    def _by_name(self, rows: Tensor) -> dict[str, Tensor]:
        outputs = self._teacher.outputs
        parts = rows.to(self._device, non_blocking=True).split([output.size for output in outputs], 1)
        return {
            f"{TEACHER}{output.name}": part.reshape(-1, *output.shape)
            for output, part in zip(outputs, parts, strict=True)
        }

    def _in_block(self, block: int) -> IntArray:
        return np.arange(block * self._block, min((block + 1) * self._block, len(self._photos)), dtype=np.int64)

    def _key(self, view: int, photos: IntArray) -> str:
        """Of everything that the outputs of a block follow from; a crop follows from the photo's place in the list."""
        teacher = self._teacher
        about = {
            "teacher": teacher.teacher.digest,
            "outputs": [output.to_json() for output in teacher.outputs],
            "order": None if teacher.order is None else teacher.order.tolist(),
            "device": self._device.type,
            "side": self._photos.side,
            "augmentation": asdict(self._augmentation),
            "seed": self._seed,
            "view": view,
            "first": int(photos[0]),
        }
        key = hashlib.blake2b(json.dumps(about, sort_keys=True).encode(), digest_size=20)
        key.update(np.ascontiguousarray(self._photos.digests[photos]).tobytes())
        return key.hexdigest()


def _overlap(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of boxes (N, 4), each top, left, height, width: (N,)."""
    starts = np.maximum(one[:, :2], other[:, :2])
    ends = np.minimum(one[:, :2] + one[:, 2:], other[:, :2] + other[:, 2:])
    common = np.maximum(ends - starts, 0).prod(1)
    found: NDArray[np.float32] = common / (one[:, 2:].prod(1) + other[:, 2:].prod(1) - common)
    return found
