"""The engines, whether they are installed, and the contenders of a benchmark."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mobilenet.benchmark.result import Contender
from mobilenet.errors import ConfigError
from mobilenet.extras import pip_install
from mobilenet.runtimes import RUNTIMES, model_file

__all__ = ["ENGINES", "MOST_THREADS", "Engine", "choose_contenders", "import_engine"]

MOST_THREADS = 1024


@dataclass(frozen=True, slots=True)
class Engine:
    """`module` opens files with the engine, `package` is the engine's own package."""

    module: str
    package: str

    @property
    def distribution(self) -> str:
        """The name of the package on PyPI."""
        return self.package.replace("_", "-")

    @property
    def installed(self) -> bool:
        """Whether it can be imported; does not import it."""
        return find_spec(self.package) is not None


ENGINES = {
    "torch": Engine("mobilenet.runtimes.torch", "torch"),
    "litert": Engine("mobilenet.runtimes.litert", "ai_edge_litert"),
    "onnxruntime": Engine("mobilenet.runtimes.onnxruntime", "onnxruntime"),
    "openvino": Engine("mobilenet.runtimes.openvino", "openvino"),
}
"""Engines by their names in `runtimes.RUNTIMES`."""


def choose_contenders(
    files: Sequence[Path], runtimes: Sequence[str] = (), threads: Sequence[int] = (1,)
) -> tuple[Contender, ...]:
    """Each file on each engine that runs it, with each number of threads, in that order.

    Without `runtimes`, every installed engine is used. ModelError for a file that is not a model; ConfigError for an
    engine that is unknown or not installed, a file that none of them runs, and numbers of threads out of range.
    """
    for name in runtimes:
        _check_engine(name)
    for number in threads:
        if not 1 <= number <= MOST_THREADS:
            raise ConfigError(f"{number} threads are out of range; use 1 to {MOST_THREADS}")
    return tuple(
        Contender(str(file), runtime, number)
        for file in files
        for runtime in _engines_of(file, runtimes)
        for number in threads
    )


def import_engine(runtime: str) -> None:
    """Import the engine's own package, as opening a file with it does."""
    importlib.import_module(ENGINES[runtime].module)


def _check_engine(name: str) -> None:
    if name not in ENGINES:
        raise ConfigError(f"unknown runtime {name!r}; use one of {', '.join(ENGINES)}")
    if not ENGINES[name].installed:
        raise ConfigError(f"{name} is not installed; {pip_install(ENGINES[name].package)}")


def _engines_of(file: Path, wanted: Sequence[str]) -> list[str]:
    able = list(RUNTIMES[model_file(file).suffix.lower()])
    chosen = [name for name in wanted if name in able] if wanted else [name for name in able if ENGINES[name].installed]
    if not chosen and wanted:
        raise ConfigError(f"{file} does not run on {' or '.join(wanted)}; use --runtime {','.join(able)}")
    if not chosen:
        raise ConfigError(f"{file} needs {' or '.join(able)}; {pip_install(ENGINES[able[0]].package)}")
    return chosen
