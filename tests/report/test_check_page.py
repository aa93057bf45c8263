"""The page of a check: every finding, its pictures, nothing from elsewhere."""

import os
import re
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from mobilenet.datasets.check.check import check
from mobilenet.report import check_page
from mobilenet.report.check_page import write_check_page
from mobilenet.tasks.classification import Classification


def _draw(path: Path, number: int, size: tuple[int, int] = (60, 45)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(number).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).save(path)


def _tree(root: Path) -> Path:
    for number in range(8):
        _draw(root / ("train" if number % 4 else "val") / "ab"[number // 4] / f"{number}.png", number)
    return root


def _page(data: Path, path: Path) -> str:
    write_check_page(check(data, Classification()), path)
    return path.read_text("utf-8")


def test_a_sound_data_set_has_a_page_too(tmp_path: Path) -> None:
    html = _page(_tree(tmp_path / "data"), tmp_path / "page.html")
    assert "Found nothing that affects results." in html
    assert html.count("<section") == 1
    assert "<img" not in html


def test_every_finding_is_on_the_page(tmp_path: Path) -> None:
    data = _tree(tmp_path / "data")
    shutil.copy(data / "train" / "a" / "1.png", data / "val" / "a" / "leak.png")
    shutil.copy(data / "train" / "a" / "2.png", data / "train" / "b" / "wrong.png")
    shutil.copy(data / "train" / "b" / "5.png", data / "train" / "b" / "again.png")
    (data / "train" / "a" / "<b>broken.jpg").touch()
    _draw(data / "train" / "a" / "TINY.png", 70, (20, 20))
    _draw(data / "train" / "a" / "tiny.png", 71, (21, 21))
    html = _page(data, tmp_path / "page.html")
    sections = {part.partition('"')[0]: part for part in html.split('<section id="')[1:]}
    assert list(sections) == ["broken", "leaks", "conflicts", "repeats", "classes", "odd", "names"]
    assert "train/a/&lt;b&gt;broken.jpg" in sections["broken"]
    assert "<b>broken" not in html
    for name, files in {
        "leaks": ["train/a/1.png", "val/a/leak.png"],
        "conflicts": ["train/a/2.png", "train/b/wrong.png"],
        "repeats": ["train/b/5.png", "train/b/again.png"],
        "odd": ["train/a/TINY.png", "train/a/tiny.png"],
    }.items():
        assert sorted(re.findall(r'class="file">([^<]*)<', sections[name])) == sorted(files)
        assert sections[name].count('<img src="data:image/jpeg;base64,') == 2
    assert "train/a/TINY.png = train/a/tiny.png" in sections["names"]


def test_the_page_needs_no_network(tmp_path: Path) -> None:
    data = _tree(tmp_path / "data")
    shutil.copy(data / "train" / "a" / "1.png", data / "val" / "a" / "leak.png")
    html = _page(data, tmp_path / "page.html")
    assert not re.search(r'(?:src|href)="(?!data:|#)', html)
    assert not re.search(r"https?:|url\(|@import|<script", html)


def test_long_lists_are_cut_and_say_so(tmp_path: Path) -> None:
    data = _tree(tmp_path / "data")
    for number in range(check_page._GROUPS + 2):
        for copy in range(check_page._SHOWN_OF_A_GROUP + 1):
            _draw(data / "train" / "a" / f"{number}-{copy}.png", 1000 + number)
    html = _page(data, tmp_path / "page.html")
    assert html.count('class="group"') == check_page._GROUPS
    assert f"Only the first {check_page._GROUPS} are shown." in html
    assert "identical files, 1 more" in html


def test_odd_names_do_not_stop_the_page(tmp_path: Path) -> None:
    data = _tree(tmp_path / "data")
    (data / "train" / "a" / os.fsdecode(b"caf\xe9\n.jpg")).touch()
    os.mkfifo(data / "train" / "a" / "pipe.jpg")
    assert "pipe.jpg" in _page(data, tmp_path / "page.html")


def test_folders_that_may_be_parts_and_files_that_are_not_read_are_on_the_page(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for number, part in enumerate(("main/a", "main/b", "<rest>/a", "<rest>/b")):
        for copy in range(3):
            _draw(data / part / f"{copy}.png", 10 * number + copy)
    for name in ("1.heic", "2.heic", "LICENSE"):
        (data / "main" / "a" / name).write_bytes(b"x")
    html = _page(data, tmp_path / "page.html")
    assert "&lt;rest&gt;/ contain the same classes (a, b)" in html
    assert "Files that are not read: 1 without an ending, 2 .heic." in html
    assert "2 photos are in formats that are not read (.heic)." in html
