"""C files as predictors: what they say of themselves, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from tests.export.c_files import needs_compiler

from mobilenet.benchmark.device.untrained import untrained
from mobilenet.errors import ModelError
from mobilenet.export.c.model import c_model, footprint
from mobilenet.images import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.model.seal import UNSEALED, seal
from mobilenet.runtimes import open_model
from mobilenet.runtimes.c_file import bytes_on_device, device_bytes, header_of, read_c_file

_LABELS = ('a "quoted" \\\\ name', "what??/", "mobilenet-sha256:0", "\udcff", "größer", "*/ end")
_CARD = ModelCard("mobilenet_v1", 0.25, 32, _LABELS, Preprocessing(32), task="classification")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file whose names and labels are as odd as they may be."""
    path = tmp_path_factory.mktemp("c") / "some-model.c"
    path.write_bytes(c_model(untrained(_CARD, "int8"), None, "some-model", "small"))
    return path


def test_a_file_says_what_it_is_without_a_compiler(file: Path) -> None:
    data = file.read_bytes()
    says = read_c_file(data, file)
    assert says.card == _CARD
    assert says.prefix == "some_model"
    assert (says.arena_bytes, says.flash_bytes) == footprint(untrained(_CARD, "int8"), "small")
    assert device_bytes(file) == bytes_on_device(data, file) == says.flash_bytes < len(data)
    assert bytes_on_device(b"12345", Path("model.onnx")) == 5
    assert header_of(data) in data


@needs_compiler
def test_it_predicts_one_photo_and_many(file: Path) -> None:
    predictor = open_model(file, "c", threads=3)
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    found = predictor.predict(images)["probabilities"]
    assert (found.shape, found.dtype) == ((3, 6), np.float32)
    assert found.sum(1) == pytest.approx(1, abs=1e-5)
    for number in range(3):
        np.testing.assert_array_equal(predictor.predict(images[number, None])["probabilities"][0], found[number])
    # Rows of another array, which are not beside each other.
    np.testing.assert_array_equal(predictor.predict(np.flip(images, 0)[::-1])["probabilities"], found)
    with pytest.raises(ValueError, match=r"images are uint8 \(1, 33, 32, 3\); uint8 \(N, 32, 32, 3\) expected"):
        predictor.predict(np.zeros((1, 33, 32, 3), np.uint8))


def test_a_damaged_or_foreign_file_is_refused(file: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.c"
    wrong.write_bytes(file.read_bytes().replace(b"run_layers", b"ruin_layer"))
    with pytest.raises(ModelError, match="was damaged or changed after it was written"):
        open_model(wrong)
    wrong.write_bytes(b"int main(void) { return 0; }")
    with pytest.raises(ModelError, match="was not written by this tool, or is damaged"):
        open_model(wrong)
    wrong.write_bytes(seal(b"/* " + UNSEALED.encode() + b" */ #ifndef A_H"))
    with pytest.raises(ModelError, match="has no model card; write it again with mobilenet export"):
        open_model(wrong)


def test_without_a_compiler_the_remedy_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    # A library that was built before is not built again.
    monkeypatch.setattr("mobilenet.runtimes.c._BUILT", {})
    with pytest.raises(ModelError, match=r"must be compiled to run, and no C compiler was found; install a C compiler"):
        open_model(file)


@needs_compiler
def test_a_compiler_that_fails_is_quoted(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "cc"
    broken.write_text("#!/bin/sh\necho 'network.c:1: error: out of luck' >&2\nexit 1\n")
    broken.chmod(0o700)
    monkeypatch.setenv("CC", str(broken))
    monkeypatch.setattr("mobilenet.runtimes.c._BUILT", {})
    with pytest.raises(
        ModelError, match=r"cannot compile .*some-model.c: network.c:1: error: out of luck; try another"
    ):
        open_model(file)
