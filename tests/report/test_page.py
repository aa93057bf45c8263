"""The page as a browser would read it: complete, offline, and safe whatever a class is called."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mobilenet.errors import DataError, ModelError
from mobilenet.report import write_report

MakeRun = Callable[..., Path]

_EMPTY_ELEMENTS = {"meta", "img", "br", "link", "hr", "input"}
_URL_ATTRIBUTES = {"src", "href", "xlink:href", "action", "data", "srcset", "poster"}


class _Page(HTMLParser):
    """Elements with their attributes, text, and what is wrong with the nesting."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.faults: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _EMPTY_ELEMENTS:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def _written(run: Path) -> _Page:
    path = write_report(run)
    assert path == run / "report.html"
    return _Page(path.read_text("utf-8"))


def test_the_headline_figures(make_run: MakeRun) -> None:
    """Width 0.5 at 160 pixels is 76,524,800 mult-adds with 1000 classes: 512 × 998 fewer with two."""
    text = _written(make_run()).text
    assert "Top-1 accuracy 50.0 %" in text
    assert "95 % interval 9.5 to 90.5 %, on 2 photos" in text
    assert f"{76_524_800 - 512 * 998:,}" in text
    assert "Model file 1.50 MB" in text
    assert "Training time 19 s" in text


def test_every_section_is_there(make_run: MakeRun) -> None:
    page = _written(make_run())
    ids = [attributes["id"] for attributes in page.all("section")]
    assert ids == [
        "learning",
        "confusion",
        "mistakes",
        "calibration",
        "classes",
        "cost",
        "time",
        "photos",
        "reproduce",
    ]
    links = {attributes["href"] for attributes in page.all("a")}
    assert links == {f"#{name}" for name in ids}
    for words in (
        "grey.png",
        "empty file",
        "mobilenet train 'my photos' --width 0.5",
        "blake2b:0123",
    ):
        assert words in page.text


def test_nested_classes_have_a_section_of_their_levels(make_run: MakeRun) -> None:
    """Owl, apple and pear are one photo each; the last class, the pear, is taken for the first one."""
    page = _written(make_run(("fruit/apple", "owl", "fruit/pear"), ("a.jpg", "b.jpg", "c.jpg")))
    ids = [attributes["id"] for attributes in page.all("section")]
    assert ids[1:4] == ["confusion", "levels", "mistakes"]
    assert {"href": "#levels"} in page.all("a")
    assert "level 1 2 100.0\u202f%" in page.text.replace(" %", "\u202f%")
    assert "Inside fruit" in page.text
    assert "Parent Children Photos Another child Something else fruit 2 2 1 0" in page.text
    drawings = [drawing["aria-label"] for drawing in page.all("svg") if drawing.get("class") == "matrix"]
    assert len(drawings) == 2
    assert drawings[1].startswith("Inside fruit, 2 rows and columns")
    assert "1 of 2 lie on the diagonal" in drawings[1]
    assert not page.faults


def test_hostile_names_of_parents_are_text(make_run: MakeRun) -> None:
    parent = "<script>alert(1)<"
    page = _written(make_run((f"{parent}/a", "owl", f"{parent}/{{{{ 7 * 7 }}}}"), ("a.jpg", "b.jpg", "c.jpg")))
    assert f"Inside {parent}" in page.text
    assert not page.all("script")
    assert not page.faults


def test_photos_left_out_of_the_validation_alone_are_named_too(make_run: MakeRun) -> None:
    run = make_run()
    config = json.loads((run / "config.json").read_text())
    del config["data"]["left_out"]
    (run / "config.json").write_text(json.dumps(config))
    page = _written(run)
    assert "One photo could not be used" in page.text
    assert "broken.jpg truncated file" in page.text


def test_the_page_is_well_formed_and_its_ids_are_unique(make_run: MakeRun) -> None:
    page = _written(make_run())
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert not page.faults
    assert not page.open
    assert sorted(ids) == sorted(set(ids))


def test_nothing_is_fetched_and_nothing_runs(make_run: MakeRun) -> None:
    run = make_run()
    page = _written(run)
    html = (run / "report.html").read_text("utf-8")
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", html)
    for _, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in _URL_ATTRIBUTES:
                assert value.startswith(("#", "data:image/jpeg;base64,"))
    assert not page.all("script")
    policy = next(attributes for attributes in page.all("meta") if "http-equiv" in attributes)
    assert policy["content"].startswith("default-src 'none'")


def test_it_can_be_read_without_seeing_it(make_run: MakeRun) -> None:
    page = _written(make_run())
    assert all(image["alt"] for image in page.all("img"))
    assert all(drawing["aria-label"] for drawing in page.all("svg"))
    assert all(heading["scope"] in {"row", "col"} for heading in page.all("th"))
    assert page.all("html") == [{"lang": "en"}]


def test_the_mistake_is_shown_with_its_photo(make_run: MakeRun) -> None:
    page = _written(make_run())
    (image,) = page.all("img")
    assert image["alt"] == "A photo labelled dog; the model predicted cat"
    assert "cat 60 % labelled dog b.jpg" in page.text
    assert "1 of 2 predictions were wrong" in page.text


def test_a_photo_that_has_vanished_is_shown_as_missing(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    (tmp_path / "data" / "b.jpg").unlink()
    page = _written(run)
    assert not page.all("img")
    assert "photo missing" in page.text


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}",
    r"$\frac{1}{",
    "ünï 🐈 'x' &amp;",
)


def test_hostile_names_are_text(make_run: MakeRun) -> None:
    files = ("a.jpg", "b.jpg", "c.jpg", "d.jpg", '"><script>x</script>\udce9.jpg')
    page = _written(make_run(HOSTILE, files))
    assert not page.faults
    assert not page.all("script")
    assert not page.all("img")
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    for name in HOSTILE:
        assert name in page.text


def test_names_that_are_no_unicode_do_not_end_the_report(make_run: MakeRun) -> None:
    run = make_run()
    config = (run / "config.json").read_bytes()
    (run / "config.json").write_bytes(config.replace(b"grey.png", b"gr\xe9y.png"))
    assert "gr?y.png" in _written(run).text


def test_hostile_settings_are_text(make_run: MakeRun) -> None:
    run = make_run()
    config = json.loads((run / "config.json").read_text())
    for section in ("settings", "versions", "machine", "data"):
        config[section]["<b onclick=x>"] = "<script>"
    config["command"].append("</pre><script>")
    (run / "config.json").write_text(json.dumps(config))
    page = _written(run)
    assert not page.all("script")
    assert not page.all("b") or all(not attributes for attributes in page.all("b"))


@pytest.mark.parametrize("classes", [2, 33, 100, 201])
def test_any_number_of_classes(make_run: MakeRun, classes: int) -> None:
    labels = tuple(f"kind {number}" for number in range(classes))
    page = _written(make_run(labels, tuple(f"{number}.jpg" for number in range(classes))))
    drawn = [attributes for attributes in page.all("rect") if attributes.get("class") in {"right", "wrong"}]
    assert len(drawn) == (classes if classes <= 200 else 0)
    assert ("too many to draw" in page.text) == (classes > 200)
    assert not page.faults


def test_what_is_not_recorded_is_not_invented(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    page = _written(tmp_path)
    assert not page.faults
    for words in (
        "not evaluated",
        "No epochs were recorded",
        "does not record which network",
        "does not record its timings",
    ):
        assert words in page.text
    assert "0.0 %" not in page.text


@pytest.mark.parametrize("value", [None, [], "text", 3, {"root": [], "seed": {}, "total": "x", "classes": 5}])
def test_odd_values_do_not_end_the_report(make_run: MakeRun, value: object) -> None:
    run = make_run()
    sections = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(dict.fromkeys(sections, value)))
    assert not _written(run).faults


def test_it_is_the_same_when_written_again(make_run: MakeRun) -> None:
    run = make_run()
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first
    assert sorted(path.name for path in run.iterdir()) == [
        "config.json",
        "evaluation.json",
        "metrics.jsonl",
        "model.safetensors",
        "report.html",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": 5}, "not an evaluation: 'int' object is not iterable"),
        ({"top1_interval": 3}, "not an evaluation: cannot unpack"),
        ({"photos": "x"}, "not an evaluation: invalid literal"),
    ],
)
def test_figures_that_are_none_of_the_task_are_one_line(make_run: MakeRun, changes: object, message: str) -> None:
    run = make_run()
    path = run / "evaluation.json"
    fields = json.loads(path.read_text())
    path.write_text(json.dumps({**fields, **changes}))
    with pytest.raises(DataError, match=f"{message}.*; run mobilenet evaluate again"):
        write_report(run)
    del fields["levels"]
    path.write_text(json.dumps(fields))
    with pytest.raises(DataError, match="not an evaluation: it lacks 'levels'; run mobilenet evaluate again"):
        write_report(run)


def test_a_run_of_an_unknown_task_is_one_line(make_run: MakeRun) -> None:
    run = make_run()
    path = run / "evaluation.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "task": "dowsing"}))
    with pytest.raises(ModelError, match="is for the unknown task 'dowsing'"):
        write_report(run)


def test_the_cost_is_that_of_the_model_file(make_run: MakeRun, tiny_run: Path) -> None:
    """Width 0.25 has 470,072 parameters with 1000 classes, and 997 × 257 = 256,229 fewer with three."""
    run = make_run()
    (run / "model.safetensors").write_bytes((tiny_run / "model.safetensors").read_bytes())
    text = _written(run).text
    assert "Parameters 214 k" in text
    assert "213,843" in text


def test_a_network_that_the_run_does_not_describe_is_not_counted(make_run: MakeRun) -> None:
    """A head that a task made has other parameters than a classifier."""
    run = make_run()
    config = json.loads((run / "config.json").read_text())
    config["cost"] = {"mult_adds": 5_000, "params": 950}
    (run / "config.json").write_text(json.dumps(config))
    page = _written(run)
    assert "Parameters 950 " in page.text
    assert "does not record which network" in page.text


@pytest.mark.parametrize("text", ["", "[]", "{", "\x00"])
def test_a_damaged_run_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(DataError, match="the run is damaged"):
        write_report(tmp_path)


def test_a_folder_that_is_no_run_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"it has no config\.json"):
        write_report(tmp_path / "nowhere")
    assert not list(tmp_path.iterdir())
