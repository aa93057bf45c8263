"""The one table of model files: the engines that run them, the kinds that are exported. It imports none."""

from dataclasses import dataclass
from importlib.util import find_spec

__all__ = ["ENGINES", "FORMATS", "FORMAT_OF", "MOST_THREADS", "SUFFIXES", "Engine", "Format", "engines_of"]

MOST_THREADS = 1024


@dataclass(frozen=True, slots=True)
class Engine:
    """What runs files of one suffix: `predictor`, a class of `module`, opens them; `package` is the engine's own."""

    name: str
    suffix: str
    module: str
    predictor: str
    package: str

    @property
    def distribution(self) -> str:
        """What pip calls the package."""
        return self.package.replace("_", "-")

    @property
    def installed(self) -> bool:
        """Whether it can be imported; it is not imported for that."""
        return find_spec(self.package) is not None


ENGINES = {
    engine.name: engine
    for engine in (
        Engine("torch", ".safetensors", "mobilenet.runtimes.torch", "TorchPredictor", "torch"),
        Engine("litert", ".tflite", "mobilenet.runtimes.litert", "LiteRTPredictor", "ai_edge_litert"),
        Engine("onnxruntime", ".onnx", "mobilenet.runtimes.onnxruntime", "OnnxRuntimePredictor", "onnxruntime"),
        Engine("openvino", ".onnx", "mobilenet.runtimes.openvino", "OpenVinoPredictor", "openvino"),
    )
}
"""By their names; of those that run files of one suffix, the first is taken where none is named."""

SUFFIXES = tuple(dict.fromkeys(engine.suffix for engine in ENGINES.values()))
"""How the names of model files end."""


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file that is exported: its suffix, and the package that writing needs."""

    suffix: str
    package: str

    @property
    def runtime(self) -> str:
        """The engine that proves it."""
        return engines_of(self.suffix)[0]

    @property
    def writable(self) -> bool:
        """Whether the package that writing needs is installed; it is not imported for that."""
        return find_spec(self.package) is not None


FORMATS = {"onnx": Format(".onnx", "onnx"), "litert": Format(".tflite", "tflite")}
"""By their names; `export.formats` writes them."""


def engines_of(suffix: str) -> tuple[str, ...]:
    """The names of the engines that run files of a suffix, none for one that is unknown."""
    return tuple(engine.name for engine in ENGINES.values() if engine.suffix == suffix)


FORMAT_OF = {runtime: name for name, kind in FORMATS.items() for runtime in engines_of(kind.suffix)}
"""The name of the format that an engine runs, of those that are exported."""
