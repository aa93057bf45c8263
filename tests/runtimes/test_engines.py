"""The table of engines and formats, against the modules and packages that it names."""

from importlib import import_module
from pathlib import Path

import pytest

from mobilenet.export.formats import WRITERS
from mobilenet.extras import EXTRAS
from mobilenet.runtimes.engines import ENGINES, FORMATS, USUAL_FORMATS, Engine, c_compiler


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_what_the_table_names_is_there(engine: Engine) -> None:
    opened_by = getattr(import_module(engine.module), engine.predictor)
    assert callable(opened_by.open)
    assert engine.module == f"mobilenet.runtimes.{engine.name}"
    if engine.package is None:
        assert engine.installed == (c_compiler() is not None)
    else:
        assert engine.package in EXTRAS
        assert engine.installed


def test_every_exported_format_has_a_writer_and_an_engine_that_proves_it() -> None:
    assert FORMATS.keys() == WRITERS.keys()
    assert {name: (kind.suffix, kind.runtime) for name, kind in FORMATS.items()} == {
        "onnx": (".onnx", "onnxruntime"),
        "litert": (".tflite", "litert"),
        "c": (".c", "c"),
    }
    assert USUAL_FORMATS == ("onnx", "litert")
    assert all(kind.package in EXTRAS for kind in FORMATS.values() if kind.package is not None)


def test_the_compiler_is_the_one_that_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = tmp_path / "own-cc"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o700)
    monkeypatch.setenv("CC", str(own))
    assert c_compiler() == str(own)
    monkeypatch.setenv("CC", "no-such-compiler")
    assert c_compiler() is None
    assert not ENGINES["c"].installed
    assert ENGINES["c"].remedy.startswith("install a C compiler, such as gcc or clang")
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert c_compiler() is None
    own.rename(tmp_path / "clang")
    assert c_compiler() == str(tmp_path / "clang")
