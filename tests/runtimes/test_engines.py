"""The table of engines and formats, against the modules and packages that it names."""

from importlib import import_module

import pytest

from mobilenet.export.formats import WRITERS
from mobilenet.extras import EXTRAS
from mobilenet.runtimes.engines import ENGINES, FORMATS, Engine


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_what_the_table_names_is_there(engine: Engine) -> None:
    opened_by = getattr(import_module(engine.module), engine.predictor)
    assert callable(opened_by.open)
    assert engine.module == f"mobilenet.runtimes.{engine.name}"
    assert engine.package in EXTRAS
    assert engine.installed


def test_every_exported_format_has_a_writer_and_an_engine_that_proves_it() -> None:
    assert FORMATS.keys() == WRITERS.keys()
    assert {name: (kind.suffix, kind.runtime) for name, kind in FORMATS.items()} == {
        "onnx": (".onnx", "onnxruntime"),
        "litert": (".tflite", "litert"),
    }
    assert all(kind.package in EXTRAS for kind in FORMATS.values())
