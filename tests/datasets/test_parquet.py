"""Parquet files as the datasets library writes them, and other ones."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pyarrow = pytest.importorskip("pyarrow", reason="the extra hub is not installed")

from pyarrow import parquet  # noqa: E402

from mobilenet.datasets.cache import load as cache  # noqa: E402
from mobilenet.datasets.sources import parquet as reader  # noqa: E402
from mobilenet.errors import DataError, ImageError  # noqa: E402
from mobilenet.tasks import open_dataset  # noqa: E402


def _png(number: int) -> bytes:
    noise = np.random.default_rng(number).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    return buffer.getvalue()


def _write(path: Path, columns: dict[str, list[Any]], features: dict[str, Any] | None = None, rows: int = 3) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pyarrow.table(columns)
    if features is not None:
        said = {"info": {"features": features}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(said)})
    parquet.write_table(table, path, row_group_size=rows)
    return path


def _images(*numbers: int) -> list[dict[str, Any]]:
    return [{"bytes": _png(number), "path": f"{number}.png"} for number in numbers]


_FEATURES = {"picture": {"_type": "Image"}, "kind": {"_type": "ClassLabel", "names": ["cat", "dog"]}}


def test_a_set_as_the_hub_has_it(tmp_path: Path) -> None:
    columns = {"kind": [0, 1, 0, 1, -1, None, 1], "picture": _images(*range(7))}
    _write(tmp_path / "data" / "train-00000-of-00001.parquet", columns, _FEATURES)
    _write(tmp_path / "data" / "test-00000-of-00001.parquet", {"kind": [1], "picture": _images(9)}, _FEATURES)
    (tmp_path / "README.md").write_text("a card")
    dataset = open_dataset(tmp_path)
    assert (dataset.classes, dataset.split) == (("cat", "dog"), "given: test/")
    assert dataset.notes == (f"{tmp_path / 'train'}: photos without a class are not used: 2",)
    assert dataset.train.files == tuple(f"train-00000-of-00001.parquet/{row:08}" for row in (0, 1, 2, 3, 6))
    assert [dataset.train.read(index) for index in range(5)] == [_png(number) for number in (0, 1, 2, 3, 6)]
    assert dataset.train.targets.numbers.tolist() == [0, 1, 0, 1, 1]
    cached = cache.load(dataset.train, 7, directory=tmp_path / "cache")
    whole = np.stack([np.asarray(Image.open(io.BytesIO(_png(n))).convert("RGB")) for n in (0, 1, 2, 3, 6)])
    assert cached.sizes.tolist() == [[9, 7]] * 5
    assert cached.batch(range(5)).shape == (5, 7, 7, 3)
    assert abs(float(cached.batch(range(5)).mean()) - float(whole.mean())) < 2


def test_names_and_numbers_without_a_card_and_bytes_alone(tmp_path: Path) -> None:
    _write(tmp_path / "x.parquet", {"label": ["Äpfel", "b", "b"] * 4, "image": [_png(n) for n in range(12)]})
    assert open_dataset(tmp_path / "x.parquet").classes == ("b", "Äpfel")
    _write(tmp_path / "y.parquet", {"label": [3, 12, 3, 12], "image": _images(1, 2, 3, 4)})
    assert open_dataset(tmp_path / "y.parquet").classes == ("12", "3")


def test_files_of_one_name_in_two_folders_are_two_files(tmp_path: Path) -> None:
    for folder, first in (("a", 0), ("b", 10)):
        _write(tmp_path / folder / "0.parquet", {"label": [0, 1] * 3, "image": _images(*range(first, first + 6))})
    dataset = open_dataset(tmp_path / "{a,b}" / "0.parquet")
    photos = [part.read(i) for part in (dataset.train, dataset.validation) for i in range(len(part))]
    assert sorted(photos) == sorted(_png(n) for n in (*range(6), *range(10, 16)))


def test_rows_without_bytes_are_left_out(tmp_path: Path) -> None:
    images = [*_images(*range(8)), {"bytes": None, "path": "/etc/passwd"}]
    _write(tmp_path / "x.parquet", {"label": [0, 1] * 4 + [0], "image": images})
    dataset = open_dataset(tmp_path / "x.parquet", seed=3)
    photos, index = next(
        (part, part.files.index("x.parquet/00000008"))
        for part in (dataset.train, dataset.validation)
        if "x.parquet/00000008" in part.files
    )
    with pytest.raises(ImageError, match="its row contains no bytes"):
        photos.read(index)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"label": [1, 2]}, "has no column of images; it has: label"),
        ({"image": [b"x", b"y"], "text": ["a", "b"]}, "has no column of labels; it has: image, text"),
        ({"image": [b"x", b"y"], "label": [0.5, 1.5]}, "column label contains neither class names nor class numbers"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, columns: dict[str, list[Any]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_dataset(_write(tmp_path / "x.parquet", columns))


def test_damage_is_one_line(tmp_path: Path) -> None:
    data = _write(tmp_path / "x.parquet", {"label": [0, 1] * 6, "image": _images(*range(12))}).read_bytes()
    random = np.random.default_rng(0)
    damaged = [b"", b"PAR1", data[: len(data) // 2], data[:-1]]
    for bit in random.integers(0, len(data) * 8, 150).tolist():
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        damaged.append(bytes(flipped))
    for number, content in enumerate(damaged):
        (tmp_path / "x.parquet").write_bytes(content)
        try:
            dataset = open_dataset(tmp_path / "x.parquet")
            cache.load(dataset.train, 8, directory=tmp_path / "cache", workers=0)
        except DataError:
            continue
        assert number >= 4


def test_a_row_group_that_would_not_fit_into_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_MOST_GROUP_BYTES", 1000)
    _write(tmp_path / "x.parquet", {"label": [0, 1] * 6, "image": _images(*range(12))}, rows=12)
    with pytest.raises(
        DataError, match=r"has a row group of [\d,]+ bytes, which is read as a whole .* about 100 photos"
    ):
        open_dataset(tmp_path / "x.parquet")


def test_no_more_row_groups_are_kept_than_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_BYTES_KEPT", 1000)
    _write(tmp_path / "x.parquet", {"label": [0, 1] * 15, "image": _images(*range(30))})
    rows = reader.read_parquet([str(tmp_path / "x.parquet")]).members
    assert isinstance(rows, reader._Rows)
    for number in range(30):
        assert rows.read(f"x.parquet/{number:08}") == _png(number)
        assert len(rows._groups) == 1
