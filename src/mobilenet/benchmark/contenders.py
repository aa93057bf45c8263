"""The engines, whether they are installed, and the contenders of a benchmark."""

from collections.abc import Sequence
from pathlib import Path

from mobilenet.benchmark.result import Contender
from mobilenet.errors import ConfigError
from mobilenet.runtimes.engines import ENGINES, MOST_THREADS, engines_of
from mobilenet.runtimes.predictor import model_file

__all__ = ["choose_contenders"]


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


def _check_engine(name: str) -> None:
    if name not in ENGINES:
        raise ConfigError(f"unknown runtime {name!r}; use one of {', '.join(ENGINES)}")
    if not ENGINES[name].installed:
        raise ConfigError(f"{name} is not installed; {ENGINES[name].remedy}")


def _engines_of(file: Path, wanted: Sequence[str]) -> list[str]:
    able = engines_of(model_file(file).suffix.lower())
    chosen = [name for name in wanted if name in able] if wanted else [name for name in able if ENGINES[name].installed]
    if not chosen and wanted:
        raise ConfigError(f"{file} does not run on {' or '.join(wanted)}; use --runtime {','.join(able)}")
    if not chosen:
        raise ConfigError(f"{file} needs {' or '.join(able)}; {ENGINES[able[0]].remedy}")
    return chosen
