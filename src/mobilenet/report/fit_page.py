"""What a search found -> one HTML file that needs nothing else."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobilenet import __version__
from mobilenet.architectures import build
from mobilenet.cost import Cost, cost
from mobilenet.files import atomic_write
from mobilenet.report import formats
from mobilenet.report.environment import environment
from mobilenet.search.candidates import Option
from mobilenet.search.files import MeasuredFile
from mobilenet.search.result import Fitted

__all__ = ["write_fit_page"]


@dataclass(frozen=True, slots=True)
class _Compared:
    """A network that the chosen one is compared with, and by how much it takes more."""

    name: str
    cost: Cost
    mult_adds_ratio: float
    params_ratio: float


def write_fit_page(found: Fitted, path: Path, command: Sequence[str] = ()) -> None:
    """Write the page of a search to `path`, whole or not at all; `command` made it and makes it again; StorageError."""
    html = environment().get_template("fit.html").render(_context(found, command))
    with atomic_write(path) as file:
        # names of files may hold bytes that are no UTF-8
        file.write(html.encode("utf-8", "replace"))


def _context(found: Fitted, command: Sequence[str]) -> dict[str, Any]:
    return {
        "found": found,
        "version": __version__,
        "title": found.data.resolve().name,
        "chosen": found.chosen,
        "chosen_file": Path(found.chosen.file).name if found.chosen else "",
        "headline": list(_headline(found)),
        "frontier": _frontier(found),
        "tried": [option for option in found.options if found.trials_of(option.candidate)],
        "others": [option for option in found.options if not found.trials_of(option.candidate)],
        "files": [(name, Path(file.file).name, file) for name, files in found.files.items() for file in files],
        "compared": list(_compared(found)),
        "command": shlex.join(command),
    }


def _headline(found: Fitted) -> Iterator[tuple[str, str, str]]:
    file = found.chosen
    if file is None:
        yield "Inside the budget", "nothing", "when measured as a file"
        return
    yield (
        "Top-1 accuracy",
        formats.percent(file.accuracy),
        f"of the file; the network's {formats.percent(file.network_accuracy)}",
    )
    yield "Latency", f"{file.p95_ms:.3g}\u202fms", f"95\u202f% of photos, {_threads(file)}, {file.runtime}"
    yield "Model file", formats.size(file.size_bytes), f"{file.precision}, {Path(file.file).suffix[1:]}"
    yield "Memory", formats.size(file.peak_bytes), "on top of the engine"
    yield "Same answer", formats.percent(file.agreement), "as the trained network"
    yield "Search", formats.duration(found.seconds), _effort(found)


def _threads(file: MeasuredFile) -> str:
    return "1 thread" if file.threads == 1 else f"{file.threads} threads"


def _effort(found: Fitted) -> str:
    whole = found.training_seconds
    return f"{found.seconds / whole:.1f} times one training of the winner" if whole else ""


def _frontier(found: Fitted) -> str:
    from mobilenet.report.plots import Dot, frontier

    by_size = found.limits.latency_ms is None and found.limits.size_bytes is not None
    dots = []
    for option in found.options:
        tried = found.trials_of(option.candidate)
        last = tried[-1] if tried else None
        dots.append(
            Dot(
                str(option.candidate),
                _takes(option, by_size),
                None if last is None else last.accuracy,
                full=last is not None and last.epochs == found.epochs,
                chosen=option.candidate == found.winner,
            )
        )
    label = "file, MB" if by_size else "ms an image at p95, estimated"
    limit = (found.limits.size_bytes or 0) / 1e6 if by_size else found.limits.latency_ms
    description = f"Accuracy against {label} of {len(dots)} candidates; chosen: {found.winner or 'none'}"
    return frontier("frontier", description, dots, x_label=label, limit=limit)


def _takes(option: Option, by_size: bool) -> float:  # noqa: FBT001
    return option.nearest.file_bytes / 1e6 if by_size else option.nearest.p95_ms


def _compared(found: Fitted) -> Iterator[_Compared]:
    """The chosen network, the same body of standard convolutions (Table 4), the network at full size, and VGG16."""
    if found.winner is None:
        return
    width, side = found.winner.width_multiplier, found.winner.resolution
    own = cost(build("mobilenet_v1", width, side, found.classes))
    others = (
        (f"MobileNet {found.winner}", own),
        (f"standard convolutions {found.winner}", cost(build("mobilenet_v1_standard", width, side, found.classes))),
        ("MobileNet 1-224", cost(build("mobilenet_v1", 1.0, 224, found.classes))),
        ("VGG16 at 224", cost(build("vgg16", classes=found.classes))),
    )
    for name, other in others:
        yield _Compared(name, other, other.mult_adds / own.mult_adds, other.params / own.params)
