"""The one table of model files: the engines that run them, the kinds that are exported. It imports none."""

import os
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal, get_args

from mobilenet.extras import pip_install

__all__ = [
    "ENGINES",
    "FORMATS",
    "FORMAT_OF",
    "MOST_THREADS",
    "PLANS",
    "SUFFIXES",
    "USUAL_FORMATS",
    "Engine",
    "Format",
    "Plan",
    "c_compiler",
    "engines_of",
]

MOST_THREADS = 1024

Plan = Literal["speed", "small"]
"""What a C file is made for: to be fast, or to need little working memory."""

PLANS: tuple[Plan, ...] = get_args(Plan)


@dataclass(frozen=True, slots=True)
class Engine:
    """What runs files of one suffix: `predictor`, a class of `module`, opens them; `package` is the engine's own, None
    where files need no engine but a C compiler."""

    name: str
    suffix: str
    module: str
    predictor: str
    package: str | None

    @property
    def distributions(self) -> tuple[str, ...]:
        """What pip calls the package; none for a compiler."""
        return () if self.package is None else (self.package.replace("_", "-"),)

    @property
    def installed(self) -> bool:
        """Whether it can be imported, or the compiler is there; nothing is imported for that."""
        return c_compiler() is not None if self.package is None else find_spec(self.package) is not None

    @property
    def remedy(self) -> str:
        """How to install it, to end a message."""
        return _INSTALL_COMPILER if self.package is None else pip_install(self.package)


_COMPILERS = ("cc", "gcc", "clang")
_INSTALL_COMPILER = "install a C compiler, such as gcc or clang, or name one in the environment variable CC"


def c_compiler() -> str | None:
    """The path of the C compiler: that of the environment variable CC, else the first of cc, gcc and clang."""
    named = os.environ.get("CC", "").strip()
    return next((path for name in ((named,) if named else _COMPILERS) if (path := shutil.which(name))), None)


ENGINES = {
    engine.name: engine
    for engine in (
        Engine("torch", ".safetensors", "mobilenet.runtimes.torch", "TorchPredictor", "torch"),
        Engine("litert", ".tflite", "mobilenet.runtimes.litert", "LiteRTPredictor", "ai_edge_litert"),
        Engine("onnxruntime", ".onnx", "mobilenet.runtimes.onnxruntime", "OnnxRuntimePredictor", "onnxruntime"),
        Engine("openvino", ".onnx", "mobilenet.runtimes.openvino", "OpenVinoPredictor", "openvino"),
        Engine("c", ".c", "mobilenet.runtimes.c", "CPredictor", None),
    )
}
"""By their names; of those that run files of one suffix, the first is taken where none is named."""

SUFFIXES = tuple(dict.fromkeys(engine.suffix for engine in ENGINES.values()))
"""How the names of model files end."""


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file that is exported: its suffix, and the package that writing needs, if any. One that is not `usual`
    is written only where it is asked for. `suppresses`: it can contain the suppression of boxes."""

    suffix: str
    package: str | None
    usual: bool = True
    suppresses: bool = True

    @property
    def runtime(self) -> str:
        """The engine that proves it."""
        return engines_of(self.suffix)[0]

    @property
    def writable(self) -> bool:
        """Whether the package that writing needs is installed; it is not imported for that."""
        return self.package is None or find_spec(self.package) is not None


FORMATS = {
    "onnx": Format(".onnx", "onnx"),
    "litert": Format(".tflite", "tflite"),
    "c": Format(".c", None, usual=False, suppresses=False),
}
"""By their names; `export.formats` writes them."""

USUAL_FORMATS = tuple(name for name, kind in FORMATS.items() if kind.usual)
"""Those that are written where none is named."""


def engines_of(suffix: str) -> tuple[str, ...]:
    """The names of the engines that run files of a suffix, none for one that is unknown."""
    return tuple(engine.name for engine in ENGINES.values() if engine.suffix == suffix)


FORMAT_OF = {runtime: name for name, kind in FORMATS.items() for runtime in engines_of(kind.suffix)}
"""The name of the format that an engine runs, of those that are exported."""
