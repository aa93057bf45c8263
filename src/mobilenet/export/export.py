"""From a model to verified files: the function behind `mobilenet export`."""

import json
import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.datasets.exclusions import read_exclusions
from mobilenet.datasets.photos import LeftOut, Photos
from mobilenet.errors import ConfigError, ModelError
from mobilenet.export.formats import WRITERS, write_beside
from mobilenet.export.photos import Chosen, apart_from, choose_photos, decode_photos
from mobilenet.export.proof.boxes import Suppressing
from mobilenet.export.proof.lost import costliest
from mobilenet.export.proof.resizing import ResizedPhotos, measure_resizing, resize_photos
from mobilenet.export.proof.verify import (
    OF_THE_FILE,
    Proof,
    Reference,
    Resized,
    agreement_between,
    goal_of,
    prove,
)
from mobilenet.files import atomic_write, check_writable, storage_errors
from mobilenet.model.arrays import read_arrays
from mobilenet.model.fold import build_graph
from mobilenet.model.graph import Graph, QuantizedGraph
from mobilenet.model.outputs import Outputs, shaped_outputs
from mobilenet.model.precision import PRECISIONS, Precision
from mobilenet.model.suppression import COUNT, SCORES, Suppression
from mobilenet.runs.origin import read_origin
from mobilenet.runtimes.batches import predict_batches
from mobilenet.runtimes.engines import ENGINES, FORMATS, PLANS, USUAL_FORMATS, Plan
from mobilenet.runtimes.predictor import Predictor, model_file, open_model
from mobilenet.tasks import annotated, task_of_model
from mobilenet.tasks.task import Goal

if TYPE_CHECKING:
    from mobilenet.quantize.calibrated import Calibrated, Distance

__all__ = ["ExportSettings", "Exported", "check_engines", "export"]


_LARGEST_BATCH = 1024

_TRIED_PHOTOS = 32
"""On which suppression is tried."""

_SOME_PHOTOS = 200
"""Enough to tell which part of a network has lost most."""


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """What to write and which photos to verify it on; `model` is a run folder or a model file, `out` a folder.
    ConfigError for values out of range.

    `validation` and `exclude` choose photos as in training: files are verified on `validation`, if given, and photos
    listed in `exclude` are skipped. `batch` is the batch size of ONNX files, None for any. `qat`: fine-tune 8-bit
    networks with rounding. `raw`: files return the network's outputs even where boxes could be decoded and suppressed
    inside. `must_be_faster`: an 8-bit file fails unless it is faster on this machine. `plan`: what C files are made
    for.
    """

    model: Path
    data: Path
    out: Path
    formats: tuple[str, ...] = USUAL_FORMATS
    precisions: tuple[Precision, ...] = PRECISIONS
    calibration_photos: int = 256
    proof_photos: int = 1000
    batch: int | None = None
    qat: bool = False
    seed: int = 0
    validation: Path | None = None
    exclude: Path | None = None
    must_be_faster: bool = True
    raw: bool = False
    plan: Plan = "speed"

    def __post_init__(self) -> None:
        for kind, chosen, known in (
            ("format", self.formats, tuple(FORMATS)),
            ("precision", self.precisions, PRECISIONS),
            ("plan", (self.plan,), PLANS),
        ):
            if unknown := [name for name in chosen if name not in known]:
                raise ConfigError(f"unknown {kind} {unknown[0]!r}; use {_either(known)}")
            if not chosen:
                raise ConfigError(f"no {kind} is given; use {_either(known)}")
        if self.batch is not None and not 1 <= self.batch <= _LARGEST_BATCH:
            raise ConfigError(f"batch size {self.batch} is out of range; use 1 to {_LARGEST_BATCH:,}")
        for name, value in (("calibration", self.calibration_photos), ("proof", self.proof_photos)):
            if not 8 <= value <= 100_000:
                raise ConfigError(f"{value} {name} photos are out of range; use 8 to 100,000")


@dataclass(frozen=True, slots=True, eq=False)
class Exported:
    """The result of an export: a proof for each file, in the order of formats and precisions.

    `agreement` is the lowest agreement between the 8-bit files of two formats, 0…1, None if there is one format.
    `quantization` says how the 8-bit network was made; `goal` what the accuracies of its proofs are.
    """

    folder: Path
    proofs: tuple[Proof, ...]
    agreement: float | None
    says: str
    left_out: tuple[LeftOut, ...]
    quantization: dict[str, Any] | None
    goal: Goal

    @property
    def failures(self) -> tuple[str, ...]:
        """One line for each file that failed; none if files were written and all passed."""
        if not self.proofs:
            return ("no file was written; name a format and a precision",)
        return tuple(f"{Path(proof.file).name}: {'; '.join(proof.failures)}" for proof in self.proofs if proof.failures)

    def to_json(self) -> dict[str, Any]:
        """As a mapping for `json.dumps`."""
        return {
            "folder": str(self.folder),
            "passed": not self.failures,
            "photos": self.says,
            "left_out": [{"file": photo.file, "reason": photo.reason} for photo in self.left_out],
            "quantization": self.quantization,
            "int8_agreement": self.agreement,
            "files": [proof.to_json() for proof in self.proofs],
        }


@dataclass(slots=True)
class _Work:
    """The state of one export."""

    settings: ExportSettings
    name: str
    file: Path
    suppression: Suppression | None
    graph: Graph
    chosen: Chosen
    reference: Reference
    resized: ResizedPhotos
    progress: Callable[[str, int, int], object]
    left_out: list[LeftOut]
    quantization: dict[str, Any] | None = None
    answers: dict[str, Outputs] = field(default_factory=dict)


def export(settings: ExportSettings, progress: Callable[[str, int, int], object] | None = None) -> Exported:
    """Write every file that `settings` ask for and verify it; files that fail are kept as `NAME.failed.SUFFIX`.

    `progress(what, done, all)`. Errors in settings, model or data are raised before anything is written, ModelError for
    a model that is already exported or cannot be; failed gates are listed in `Exported.failures`. The result
    is also written to `out` as `export.json`.
    """
    check_engines(settings.formats)
    file = model_file(settings.model)
    if file.suffix != ".safetensors":
        raise ModelError(f"{file} is already exported; give the run folder or the .safetensors file it was made from")
    check_writable(settings.out)
    card, arrays = read_arrays(file)
    try:
        graph = build_graph(card, arrays)
    except ModelError as error:
        raise ModelError(f"{file}: {error}") from error
    work = _prepare(settings, _name(settings.model), file, graph, progress or (lambda *_: None))
    graphs: dict[Precision, Graph | QuantizedGraph] = {"float32": graph}
    if "int8" in settings.precisions:
        graphs["int8"] = _quantize(work)
    proofs = [proof for name in settings.formats for proof in _prove_format(work, name, graphs)]
    found = Exported(
        settings.out,
        tuple(proofs),
        _agreement(work),
        work.chosen.says,
        tuple(work.left_out),
        work.quantization,
        work.reference.task.goal,
    )
    with atomic_write(settings.out / "export.json") as sink:
        sink.write(json.dumps(found.to_json(), indent=1, allow_nan=False).encode())
    return found


def check_engines(formats: Sequence[str]) -> None:
    """Check before any work that the packages that write and run the files are installed; ConfigError where a C
    compiler is missing."""
    for name in formats:
        engine = ENGINES[FORMATS[name].runtime]
        import_module(f"mobilenet.export.{name}.model")
        import_module(engine.module)
        if engine.package is None and not engine.installed:
            raise ConfigError(
                f"a {name} file must be compiled to be proven, and no C compiler was found; {engine.remedy}"
            )


def _either(names: Sequence[str]) -> str:
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _name(model: Path) -> str:
    return (model.resolve().name if model.is_dir() else model.stem) or "model"


def _prepare(
    settings: ExportSettings, name: str, file: Path, graph: Graph, progress: Callable[[str, int, int], object]
) -> _Work:
    card = graph.card
    task = task_of_model(card.task, file)
    suppression = task.suppression(card)
    if suppression is not None and settings.raw:
        name, suppression = f"{name}-raw", None
    unable = [one for one in settings.formats if suppression is not None and not FORMATS[one].suppresses]
    if unable:
        raise ConfigError(f"{unable[0]} files return the codes and scores of all prior boxes, not boxes; add --raw")
    chosen = choose_photos(
        settings.data,
        task,
        read_origin(settings.model, card),
        card.vocabulary,
        calibration=settings.calibration_photos,
        proof=settings.proof_photos,
        seed=settings.seed,
        validation=settings.validation,
        exclude=read_exclusions(settings.exclude),
        annotated=annotated(settings.data, task),
    )
    judges = decode_photos(chosen.proof, card.preprocessing, lambda *at: progress("reading photos", *at))
    network = open_model(file)
    if suppression is not None:
        seen = chosen.calibration.take(_spread(len(chosen.calibration)))
        network = Suppressing(network, suppression, replace(card, suppressed=suppression.most))
        suppression = _without_idle(suppression, network, seen)
    answers = predict_batches(network, judges.images, progress=lambda *at: progress("running the network", *at))
    reference = Reference(task, network.card, judges.images, answers, judges.targets if chosen.labelled else None)
    resized = resize_photos(
        chosen.proof,
        card.preprocessing,
        lambda *at: progress("shrinking photos", *at),
        labelled=chosen.labelled,
    )
    return _Work(settings, name, file, suppression, graph, chosen, reference, resized, progress, list(judges.left_out))


def _spread(photos: int) -> NDArray[np.int64]:
    """(K,) evenly spaced places of at most 32 photos."""
    return np.unique(np.linspace(0, photos - 1, min(photos, _TRIED_PHOTOS)).round().astype(np.int64))


def _without_idle(suppression: Suppression, network: Predictor, photos: Photos) -> Suppression:
    """With a least score that spares files the boxes which are never among a photo's best: where scores are seldom low,
    there are tens of thousands, and suppression takes longer than the network.

    It is half of the lowest score that is left in any of the photos, if all of them have as many boxes as they may.
    """
    if not len(photos):
        return suppression
    found = predict_batches(network, decode_photos(photos, network.preprocessing).images)
    if (found[COUNT] < suppression.most).any():
        return suppression
    return replace(suppression, least_score=max(suppression.least_score, float(found[SCORES].min()) / 2))


def _quantize(work: _Work) -> QuantizedGraph:
    from mobilenet.quantize.calibrate import calibrate

    preprocessing = work.graph.card.preprocessing
    seen = decode_photos(work.chosen.calibration, preprocessing, lambda *at: work.progress("reading photos", *at))
    work.left_out.extend(seen.left_out)
    found = calibrate(work.graph, seen.images, _distance(work), lambda *at: work.progress("calibrating", *at))
    work.quantization = {
        "calibration_photos": len(seen.images),
        "ranges": found.method,
        "equalised": found.equalised,
        "bias_corrected": found.corrected,
        "divergence": {name: error for name, error in found.errors.items() if math.isfinite(error)},
    }
    return _fine_tuned(work, found, seen.images) if work.settings.qat else found.graph


def _distance(work: _Work) -> "Distance":
    """The divergence of the 8-bit network from the float32 network."""
    return work.reference.task.objective(work.graph.card).distil


def _fine_tuned(work: _Work, found: "Calibrated", images: NDArray[np.uint8]) -> QuantizedGraph:
    """The 8-bit graph after fine-tuning with rounding, unless calibration alone was better on the held-out photos."""
    from mobilenet.quantize.calibrate import divergence
    from mobilenet.quantize.fine_tune import fine_tune, training_photos

    distance = _distance(work)
    unseen = apart_from(work.chosen.training, work.chosen.proof)
    photos = training_photos(unseen, work.graph.card.preprocessing)
    tuned = fine_tune(
        work.graph,
        found,
        photos,
        distance,
        seed=work.settings.seed,
        progress=lambda *at: work.progress("fine-tuning with rounding", *at),
    )
    before, after = (divergence(work.graph, graph, images[1::2], distance) for graph in (found.graph, tuned))
    if work.quantization is not None:
        if math.isfinite(after):
            work.quantization["divergence"] |= {"fine-tuned": after}
        work.quantization["fine_tuned"] = after < before
    return tuned if after < before else found.graph


def _prove_format(work: _Work, name: str, graphs: dict[Precision, Graph | QuantizedGraph]) -> Iterator[Proof]:
    """A proof for each precision of one format; where it must be faster, an 8-bit file is timed against the float32
    one, wanted or not."""
    kind = FORMATS[name]
    with tempfile.TemporaryDirectory() as folder:
        rival = None
        if work.settings.must_be_faster and "int8" in work.settings.precisions:
            plain = Path(folder) / f"{work.name}{kind.suffix}"
            plain.write_bytes(_written(work, name, "float32", graphs["float32"]))
            rival = open_model(plain, kind.runtime, threads=1)
        for precision in work.settings.precisions:
            work.progress(f"proving {name} {precision}", 0, 1)
            yield _prove_file(work, name, precision, graphs[precision], rival if precision == "int8" else None)
            work.progress(f"proving {name} {precision}", 1, 1)


def _written(work: _Work, name: str, precision: Precision, graph: Graph | QuantizedGraph) -> bytes:
    settings = work.settings
    return WRITERS[name](graph, settings.batch, work.suppression, f"{work.name}-{precision}", settings.plan)


def _prove_file(
    work: _Work, name: str, precision: Precision, graph: Graph | QuantizedGraph, rival: Predictor | None
) -> Proof:
    data = _written(work, name, precision, graph)
    suffix, out = FORMATS[name].suffix, work.settings.out
    final, failed = (out / f"{work.name}-{precision}{mark}{suffix}" for mark in ("", ".failed"))
    with _unproven(out / f"{work.name}-{precision}.unproven{suffix}", data) as written:
        proof, found = prove(written, FORMATS[name].runtime, precision, work.reference, rival)
        proof = replace(proof, resized=_resized(work, written, proof.runtime))
        if any(gate.name not in OF_THE_FILE and not gate.passed for gate in proof.gates):
            proof = replace(proof, cause=_cause(work, name, graph, found))
        place = failed if proof.failures else final
        with storage_errors(place):
            written.replace(place)
            if place == final:
                failed.unlink(missing_ok=True)
                write_beside(final)
    if precision == "int8":
        work.answers[name] = found
    return replace(proof, file=str(place))


def _resized(work: _Work, file: Path, runtime: str) -> tuple[Resized, ...]:
    predictor = open_model(file, runtime)
    return measure_resizing(predictor, work.reference.task, work.reference.card, work.resized)


def _cause(work: _Work, name: str, graph: Graph | QuantizedGraph, found: Outputs) -> str | None:
    """Why outputs differ: a known mistake, or in 8 bits the part of the network that has lost most."""
    from mobilenet.export.diagnose import diagnose

    known = diagnose(work.graph, work.reference.images, found, work.suppression)
    return _lost(work, name, graph) if known is None and isinstance(graph, QuantizedGraph) else known


def _lost(work: _Work, name: str, graph: QuantizedGraph) -> str | None:
    """On some of the photos, by outputs before suppression."""
    reference, card, kind = work.reference, work.graph.card, FORMATS[name]
    images = reference.images[:_SOME_PHOTOS]
    network = predict_batches(open_model(work.file), images)
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / f"raw{kind.suffix}"
        raw.write_bytes(WRITERS[name](graph, work.settings.batch))
        coarse = predict_batches(open_model(raw, kind.runtime), images, check=shaped_outputs)
    task, targets = reference.task, reference.targets
    if targets is None:
        return costliest(
            network, coarse, card, lambda mixed: agreement_between(mixed, network, task, card), task.goal.agreement
        )
    some = targets.take(np.arange(len(images)))
    return costliest(network, coarse, card, lambda mixed: goal_of(mixed, some, task, card), task.goal.noun)


@contextmanager
def _unproven(path: Path, data: bytes) -> Iterator[Path]:
    """The file under a temporary name; removed at the end unless it was renamed."""
    try:
        with atomic_write(path) as file:
            file.write(data)
        yield path
    finally:
        path.unlink(missing_ok=True)


def _agreement(work: _Work) -> float | None:
    reference = work.reference
    pairs = combinations(work.answers.values(), 2)
    return min(
        (agreement_between(first, second, reference.task, reference.card) for first, second in pairs), default=None
    )
