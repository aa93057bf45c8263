"""The results of a benchmark, as JSON and back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mobilenet.errors import DataError
from mobilenet.fields import Fields

__all__ = ["FORMAT", "Benchmark", "Contender", "Environment", "Timing", "read_environment"]

FORMAT = 1
"""Version of the document; other versions are rejected."""

_MUCH_WAITING = 0.03
"""A fraction of the time; on an idle device it is a thousandth."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A model file on one engine with a number of threads."""

    file: str
    runtime: str
    threads: int

    def __str__(self) -> str:
        plural = "" if self.threads == 1 else "s"
        return f"{self.file} on {self.runtime} with {self.threads} thread{plural}"


@dataclass(frozen=True, slots=True)
class Environment:
    """The device; None for what it does not report.

    `clocks_mhz` and `temperatures_c` are the highest of any core and of any sensor, before and after the measurement;
    `load` is the load average of the minute before it, without the benchmark.
    """

    processor: str
    cores: int
    memory_bytes: int | None
    system: str
    governor: str | None
    clocks_mhz: tuple[float, float] | None
    temperatures_c: tuple[float, float] | None
    load: float | None
    versions: dict[str, str]


@dataclass(frozen=True, slots=True)
class Timing:
    """One contender. Latencies are of single images, from uint8 pixels to probabilities, in milliseconds; of another
    tool's file, from its inputs to its outputs. `resolution` is None if those inputs are not one square photo.

    `images_per_second` is calls divided by their total time, one image after another. `quantiles_ms` are 0 %, 1 % …
    100 %. `processor_ms` is the CPU time per image over all threads: the median over rounds. It excludes time waiting
    for a core; `waited` is the fraction (0…1) of such time, 0 if the kernel does not count it. `ratio` is to the first
    contender: the median over rounds of the ratio of medians, and its lower and upper quartile. `opening_p50_ms` and
    `steady_p50_ms` are medians of the first minute and of the time after it; in a shorter run, of its first and last
    third. `drift` is their ratio minus 1 if the rounds of the two are clearly apart, else None.
    `import_ms` loads the engine itself, `load_ms` the file, `first_ms` is the first image. `engine_bytes` is the growth
    of the process with the engine, `peak_bytes` its peak on top of that with the model. `idles` is False if the
    engine's threads kept a core busy between turns. `remarks` are about the file.
    """

    contender: Contender
    resolution: int | None
    file_bytes: int
    calls: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    images_per_second: float
    processor_ms: float
    waited: float
    ratio: float
    ratio_quartiles: tuple[float, float]
    opening_p50_ms: float
    steady_p50_ms: float
    drift: float | None
    import_ms: float
    load_ms: float
    first_ms: float
    engine_bytes: int
    peak_bytes: int
    idles: bool
    quantiles_ms: tuple[float, ...]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Contenders that took turns in one run, `seconds` each; `photo` is the input (None: random pixels)."""

    seconds: float
    rounds: int
    photo: str | None
    environment: Environment
    timings: tuple[Timing, ...]

    def notes(self) -> tuple[str, ...]:
        """Warnings about the figures, one line each."""
        found = [f"{timing.contender.file} {remark}" for timing in self.timings for remark in timing.remarks]
        # Of a file on several engines, each remark is made once.
        found = [*dict.fromkeys(found), *_drift_notes(self.timings), *_waiting_notes(self.timings)]
        return (*found, *(line for timing in self.timings for line in _notes(timing, self.environment)))

    def to_json(self) -> str:
        """One JSON document; `from_json` is the inverse."""
        return json.dumps({"format": FORMAT, **asdict(self)}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Benchmark":
        """The inverse of `to_json`; DataError if `text` is not such a document."""
        try:
            fields = dict(json.loads(text, parse_constant=_refuse))
            if (version := fields.pop("format")) != FORMAT:
                raise DataError(f"a benchmark of format {version}, this version reads {FORMAT}; measure again")
            environment = read_environment(Fields(fields["environment"], "environment"))
            timings = tuple(_timing(row) for row in fields["timings"])
            return cls(**{**fields, "environment": environment, "timings": timings})
        except KeyError as error:
            raise DataError(f"not a benchmark: it lacks {error}; run mobilenet benchmark --json again") from error
        except (ValueError, TypeError) as error:
            raise DataError(f"not a benchmark: {error}; run mobilenet benchmark --json again") from error


def _drift_notes(timings: Sequence[Timing]) -> list[str]:
    """One line about the largest drift: as contenders take turns, what slows one usually slows all."""
    drifts = [(abs(timing.drift), timing) for timing in timings if timing.drift is not None]
    if not drifts:
        return []
    size, most = max(drifts, key=lambda item: item[0])
    word = "slower" if (most.drift or 0) > 0 else "faster"
    line = (
        f"{most.contender} became {100 * size:.0f} % {word} while it was measured ({most.opening_p50_ms:.3g} ms, then "
        f"{most.steady_p50_ms:.3g} ms): clock, heat or other load; measure longer, on an idle device"
    )
    return [line]


def _waiting_notes(timings: Sequence[Timing]) -> list[str]:
    """One line about the longest wait."""
    most = max(timings, key=lambda timing: timing.waited)
    if most.waited < _MUCH_WAITING:
        return []
    line = (
        f"{most.contender} waited {100 * most.waited:.0f} % of its time for a core: other programs are running, and "
        "latencies and ratios are those of a busy device; CPU ms excludes the waiting"
    )
    return [line]


def _notes(timing: Timing, environment: Environment) -> list[str]:
    name, found = timing.contender, []
    if not timing.idles:
        found.append(f"{name} kept a core busy while others had their turn and may have slowed them: measure it alone")
    if timing.calls < 100:
        found.append(f"{name} was called only {timing.calls} times: its p99 is unreliable; raise --seconds")
    if timing.contender.threads > environment.cores:
        found.append(f"{name} has more threads than the device has cores ({environment.cores})")
    return found


def _refuse(constant: str) -> float:
    raise ValueError(f"it contains {constant}")


def _timing(fields: Mapping[str, Any]) -> Timing:
    lower, upper = fields["ratio_quartiles"]
    nested = {
        "contender": Contender(**fields["contender"]),
        "ratio_quartiles": (lower, upper),
        "quantiles_ms": tuple(fields["quantiles_ms"]),
        "remarks": tuple(fields.get("remarks", ())),
    }
    return Timing(**{**fields, **nested})


def read_environment(fields: Fields) -> Environment:
    """The inverse of `asdict`; TypeError or ValueError for invalid fields."""
    return Environment(
        processor=fields.text("processor"),
        cores=fields.whole("cores", 1),
        memory_bytes=fields.optional_whole("memory_bytes"),
        system=fields.text("system"),
        governor=fields.optional_text("governor"),
        clocks_mhz=fields.optional_pair("clocks_mhz"),
        temperatures_c=fields.optional_pair("temperatures_c", least=-273.15),
        load=fields.optional_number("load"),
        versions=fields.texts("versions"),
    )
