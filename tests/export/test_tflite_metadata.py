"""What other tools read in a `.tflite` file: normalisation and class names; read here by the reader of foreign files,
which knows nothing of the writer, by Python's zip archives and by LiteRT's own schema."""

import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from mobilenet.export.litert.metadata import attach_labels
from mobilenet.export.litert.model import litert_model
from mobilenet.model.graph import Graph
from mobilenet.model.seal import check_seal
from mobilenet.runtimes import open_model
from mobilenet.weights.tflite.metadata import Metadata, read_metadata

Make = Callable[..., Any]

_ODD = (
    "two\nlines",
    "a byte \udcff of Latin-1",
    "  spaces  ",
    "paragraph\u2029separator\x85\x0b",
    "Äpfel/日本 🍎",
    "back\\slash",
    "\t",
    " ",
    "mobilenet-sha256:" + 64 * "0",
)


def _entries(data: bytes) -> dict[bytes, NDArray[np.uint8]]:
    model = schema.ModelT.InitFromPackedBuf(data)
    return {entry.name: np.asarray(model.buffers[entry.buffer].data, np.uint8) for entry in model.metadata}


def _read(data: bytes) -> Metadata:
    return read_metadata(data, _entries(data))


def _labelled(graph: Graph, labels: tuple[str, ...]) -> Graph:
    return replace(graph, card=replace(graph.card, labels=labels))


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_class_names_come_back(example: Make, quantized: Make, precision: str) -> None:
    made = example(classes=5)
    found = _read(litert_model(made.graph if precision == "float32" else quantized(made)))
    assert found.labels == made.graph.card.labels
    assert not found.notes


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_normalising_and_quantising_as_tools_do_gives_the_pixel(example: Make, quantized: Make, precision: str) -> None:
    made = example(mean=(128.0, 128.0, 128.0), std=(64.0, 64.0, 64.0))
    data = litert_model(made.graph if precision == "float32" else quantized(made))
    normalization = _read(data).normalization
    assert normalization is not None
    pixels = schema.ModelT.InitFromPackedBuf(data).subgraphs[0].tensors[0]
    (scale,), (zero_point,) = pixels.quantization.scale, pixels.quantization.zeroPoint
    for pixel in (0, 1, 127, 128, 255):
        normalised = (pixel - normalization.mean[0]) / normalization.std[0]
        assert normalised / scale + zero_point == pytest.approx(pixel)


def test_fields_of_the_metadata_are_where_the_schema_has_them(example: Make) -> None:
    from flatbuffers.table import Table

    data = _entries(litert_model(example().graph))[b"TFLITE_METADATA"].tobytes()
    assert data[4:8] == b"M001"

    def follow(table: Table, field: int, item: int | None = None) -> Table:
        place = table.Offset(4 + 2 * field)
        assert place, f"field {field} is missing"
        start = table.Pos + place if item is None else table.Vector(place) + 4 * item
        return Table(table.Bytes, table.Indirect(start))

    def text(table: Table, field: int) -> str:
        return bytes(table.String(table.Pos + table.Offset(4 + 2 * field))).decode()

    def byte(table: Table, field: int) -> int:
        return int(table.Bytes[table.Pos + table.Offset(4 + 2 * field)])

    root = Table(data, int.from_bytes(data[:4], "little"))
    assert (text(root, 0), text(root, 7)) == ("mobilenet_v1", "1.0.0")
    graph = follow(root, 3, 0)
    image, answer = follow(graph, 2, 0), follow(graph, 3, 0)
    assert (text(image, 0), text(answer, 0)) == ("pixels", "probabilities")
    # ImageProperties in RGB, FeatureProperties; NormalizationOptions; TENSOR_AXIS_LABELS
    assert byte(follow(image, 3), 0) == 2
    assert byte(follow(follow(image, 3), 1), 0) == 1
    assert byte(follow(image, 4, 0), 0) == 1
    assert byte(follow(answer, 3), 0) == 1
    assert (text(follow(answer, 6, 0), 0), byte(follow(answer, 6, 0), 2)) == ("labels.txt", 2)


def test_odd_names_are_one_line_each_and_come_back_whole_from_the_card(example: Make, tmp_path: Path) -> None:
    data = litert_model(_labelled(example(classes=len(_ODD)).graph, _ODD))
    path = tmp_path / "model.tflite"
    path.write_bytes(data)
    assert open_model(path).labels == _ODD
    check_seal(data, path)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        lines = archive.read("labels.txt").decode("utf-8").splitlines()
    assert lines == [
        r"two\nlines",
        r"a byte \udcff of Latin-1",
        "spaces",
        r"paragraph\u2029separator\x85\x0b",
        "Äpfel/日本 🍎",
        "back\\slash",
        r"\t",
        "(no name)",
        r"mobilenet-sha256\x3a" + 64 * "0",
    ]
    assert _read(data).labels == tuple(lines)


def test_the_archive_is_stored_plainly_as_mediapipe_demands() -> None:
    data = attach_labels(b"in front", ("cat", "dog"))
    assert data.startswith(b"in front")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        (info,) = archive.infolist()
    assert (info.filename, info.compress_type, info.file_size) == ("labels.txt", zipfile.ZIP_STORED, len(b"cat\ndog\n"))
    assert b"cat\ndog\n" in data
    assert data == attach_labels(b"in front", ("cat", "dog"))
