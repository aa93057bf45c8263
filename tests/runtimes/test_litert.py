"""LiteRT is handed nothing but what was sealed; everything else is one line."""

import os
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
import tflite
from hypothesis import given
from hypothesis import strategies as st

from mobilenet.errors import ModelError
from mobilenet.export.litert import model
from mobilenet.export.litert.model import litert_model
from mobilenet.images import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.model.fold import build_graph
from mobilenet.model.graph import Graph, LinearNode, PoolNode
from mobilenet.model.seal import UNSEALED, seal
from mobilenet.model.tflite_card import pack_card, read_card
from mobilenet.runtimes import open_model
from mobilenet.runtimes.litert import LiteRTPredictor
from mobilenet.spec import Conv, ConvStyle, Linear

_SHARED = Path(__file__).parents[3] / "shared"
_FOREIGN = _SHARED / "weights" / "mobilenet_v1_0.25_128_quant.tflite"
_CARD = ModelCard(
    "mobilenet_v1",
    0.25,
    32,
    ("cat", "dog", "owl"),
    Preprocessing(32),
    ConvStyle("tensorflow", batch_norm=False),
    task="classification",
)


def _graph(card: ModelCard = _CARD) -> Graph:
    random = np.random.default_rng(0)
    arrays = {}
    for row in card.network().rows:
        if isinstance(row, Conv):
            arrays[f"{row.name}.conv.weight"] = random.standard_normal(
                (row.out_channels, row.in_channels // row.groups, *np.broadcast_to(row.kernel_size, 2))
            ).astype(np.float32)
            arrays[f"{row.name}.conv.bias"] = np.zeros(row.out_channels, np.float32)
        elif isinstance(row, Linear):
            shape = row.out_features, row.in_features
            arrays[f"{row.name}.weight"] = random.standard_normal(shape).astype(np.float32)
            arrays[f"{row.name}.bias"] = np.zeros(row.out_features, np.float32)
    return build_graph(card, arrays)


_DATA = litert_model(_graph())


def _refusal(data: bytes, path: Path) -> str:
    path.write_bytes(data)
    with pytest.raises(ModelError) as error:
        open_model(path)
    message = str(error.value)
    assert str(path) in message
    assert "\n" not in message
    return message


@given(st.integers(0, len(_DATA) - 1), st.integers(0, 7))
def test_a_file_in_which_one_bit_differs_is_refused(place: int, bit: int) -> None:
    data = bytearray(_DATA)
    data[place] ^= 1 << bit
    with pytest.raises(ModelError):
        read_card(bytes(data), Path("model.tflite"))


@given(st.integers(0, len(_DATA) - 1))
def test_a_file_that_is_cut_short_is_refused(length: int) -> None:
    with pytest.raises(ModelError):
        read_card(_DATA[:length], Path("model.tflite"))


@given(st.binary(max_size=200))
def test_what_only_begins_like_a_tflite_file_is_refused(rest: bytes) -> None:
    with pytest.raises(ModelError):
        read_card(rest[:4].ljust(4, b"\0") + b"TFL3" + rest[4:], Path("model.tflite"))


def test_the_messages_say_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    assert "is not a TFLite file, or is damaged; write one with mobilenet export" in _refusal(b"text", path)
    middle = len(_DATA) // 2
    changed = _DATA[:middle] + bytes([_DATA[middle] ^ 1]) + _DATA[middle + 1 :]
    for damaged in (changed, _DATA[:middle], _DATA + b"x"):
        assert "was damaged or changed after it was written" in _refusal(damaged, path)


def test_a_file_of_another_tool_is_sent_to_import(tmp_path: Path) -> None:
    builder = flatbuffers.Builder()
    tflite.ModelStart(builder)
    tflite.ModelAddVersion(builder, 3)
    builder.Finish(tflite.ModelEnd(builder), b"TFL3")
    path = tmp_path / "model.tflite"
    message = _refusal(bytes(builder.Output()), path)
    assert f"is a TFLite file of another tool, or is damaged; read its weights with mobilenet import {path}" in message


@pytest.mark.skipif(not _FOREIGN.is_file(), reason="the official files, ../shared/weights, are not here")
def test_an_official_file_is_sent_to_import() -> None:
    with pytest.raises(ModelError, match="read its weights with mobilenet import"):
        open_model(_FOREIGN)


def test_a_sealed_file_without_a_card_is_refused(tmp_path: Path) -> None:
    assert "has no model card" in _refusal(_sealed_anew(b"\0mobilenet\0", b"\0mobilenut\0"), tmp_path / "a.tflite")
    assert "has no model card" in _refusal(seal(b"\xff\xff\xff\xffTFL3" + UNSEALED.encode()), tmp_path / "b.tflite")


def _sealed_anew(old: bytes, new: bytes) -> bytes:
    """The file with some bytes in place of as many others, and a seal that fits."""
    assert len(old) == len(new)
    start = _DATA.index(b"mobilenet-sha256:") + len(b"mobilenet-sha256:")
    unsealed = _DATA[:start] + 64 * b"0" + _DATA[start + 64 :]
    assert unsealed.count(old) == 1
    return seal(unsealed.replace(old, new))


def test_a_card_that_is_no_card_is_refused_though_the_seal_fits(tmp_path: Path) -> None:
    packed, random = pack_card(_CARD), np.random.default_rng(0)
    assert "has a card that is not text" in _refusal(_sealed_anew(packed, bytes(len(packed))), tmp_path / "a.tflite")
    short = zlib.compress(b"{}").ljust(len(packed), b"\0")
    assert "does not describe a network" in _refusal(_sealed_anew(packed, short), tmp_path / "b.tflite")
    cut = zlib.compress(random.bytes(2 * len(packed)))[: len(packed)]
    assert "has a card that is not text" in _refusal(_sealed_anew(packed, cut), tmp_path / "c.tflite")
    cut = zlib.compress(b"ab" + 5000 * b"c", 0)[: len(packed)]
    assert "has a card that is truncated" in _refusal(_sealed_anew(packed, cut), tmp_path / "d.tflite")


def test_a_card_that_does_not_fit_its_graph_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = pack_card(replace(_CARD, labels=("cat", "dog")))
    monkeypatch.setattr(model, "pack_card", lambda _: told)
    message = _refusal(litert_model(_graph()), tmp_path / "model.tflite")
    outputs = "[('probabilities', 'float32', (1, 3))], but its card says [('probabilities', 'float32', (1, 2))]"
    assert f"its outputs are {outputs}" in message


def test_an_operator_that_does_not_fit_is_one_line(tmp_path: Path) -> None:
    graph = _graph()
    pool, classifier = graph.nodes[-2:]
    assert isinstance(pool, PoolNode)
    assert isinstance(classifier, LinearNode)
    wrong = replace(classifier, matrix=classifier.matrix[:, 1:])
    message = _refusal(litert_model(replace(graph, nodes=(*graph.nodes[:-1], wrong))), tmp_path / "model.tflite")
    assert message.startswith("LiteRT cannot run ")


def test_a_missing_file_and_a_folder_are_one_line(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.tflite", tmp_path):
        with pytest.raises(ModelError, match=r"cannot read .*: (no such file|is a directory)"):
            LiteRTPredictor.open(path)


def test_it_runs_without_torch_and_in_silence(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(_DATA)
    script = (
        "import sys, numpy; from pathlib import Path; from mobilenet.runtimes import open_model\n"
        "found = open_model(Path(sys.argv[1]), threads=2).predict(numpy.zeros((2, 32, 32, 3), numpy.uint8))\n"
        "print(found['probabilities'].shape, sorted({'torch', 'tflite', 'onnx'} & set(sys.modules)))\n"
        "print('still there', file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "(2, 3) []\n"
    assert done.stderr == "still there\n"


def test_a_process_without_stderr_can_open_a_file(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(_DATA)
    script = (
        "import os, sys; from pathlib import Path; from mobilenet.runtimes import open_model\n"
        "os.close(2); print(open_model(Path(sys.argv[1])).labels)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout == "('cat', 'dog', 'owl')\n"
