"""The page and the table of a search, made up so that every figure is known."""

import html
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mobilenet.benchmark.device.profile import DeviceProfile, Estimate, Variant
from mobilenet.benchmark.result import Environment
from mobilenet.cli.fit.table import print_fitted
from mobilenet.report.draw.fit_plot import fit_plot
from mobilenet.report.draw.formats import epochs, known, spaced
from mobilenet.report.draw.frontier import Dot, Lines, frontier
from mobilenet.report.draw.labels import Box, place
from mobilenet.report.fit_page import write_fit_page
from mobilenet.search.budget import Limits
from mobilenet.search.candidates import Candidate, Option
from mobilenet.search.result import Fitted
from mobilenet.search.trial.events import Trial
from mobilenet.search.trial.files import MeasuredFile
from mobilenet.tasks.task import Goal

_WIDE, _FINE, _SMALL, _LARGE = Candidate(1.0, 96), Candidate(0.25, 224), Candidate(0.25, 96), Candidate(1.0, 224)
_ADVICE = "another first answer on 30 of 400 photos; try --qat or more --calibration-photos, else use the float32 file"


def _estimate(precision: Any, p95_ms: float, file_bytes: int, peak_bytes: int = 8_000_000) -> Estimate:
    return Estimate(
        Variant("litert", precision, 1), p95_ms * 0.9, p95_ms, peak_bytes, file_bytes, error=0.02, memory_error=0.02
    )


def _option(candidate: Candidate, *inside: Estimate, why_not: str = "") -> Option:
    nearest = inside[0] if inside else _estimate("int8", 4.0, 3_300_000)
    return Option(candidate, () if why_not else inside, nearest, native=True, why_not=why_not)


def _file(candidate: Candidate, **changes: Any) -> MeasuredFile:
    plain = MeasuredFile(
        file=f"{candidate}-int8.tflite",
        runtime="litert",
        precision="int8",
        threads=1,
        accuracy=0.875,
        network_accuracy=0.88,
        agreement=0.99,
        size_bytes=900_000,
        p50_ms=0.7,
        p95_ms=0.8,
        peak_bytes=9_000_000,
        waited=0.0,
        estimated=False,
        failures=(),
        over=(),
        proof={"photos": 400},
    )
    return replace(plain, **changes)


_OPTIONS = (
    _option(_SMALL, _estimate("int8", 0.2, 260_000)),
    _option(_FINE, _estimate("int8", 0.81, 261_000), _estimate("float32", 0.85, 870_000)),
    _option(_WIDE, _estimate("int8", 0.7, 3_300_000)),
    _option(_LARGE, why_not="over budget: 4 ms at p95, as int8 on litert with 1 thread"),
)


def _found(
    limits: Limits,
    trials: Sequence[Trial],
    files: Mapping[Candidate, MeasuredFile],
    chosen: Candidate | None,
    options: Sequence[Option] = _OPTIONS,
) -> Fitted:
    device = Environment("ARM Cortex-A53", 4, None, "Linux", None, None, None, None, {})
    return Fitted(
        folder=Path("fits/photos"),
        data=Path("photos"),
        limits=limits,
        classes=10,
        epochs=12,
        options=tuple(options),
        trials=tuple(trials),
        files={str(candidate): (file,) for candidate, file in files.items()},
        winner=chosen,
        chosen=None if chosen is None else files[chosen],
        seconds=240.0,
        profile=DeviceProfile(device, 10, (0.25, 1.0), (96, 224), 1.0, ()),
        goal=Goal("top1", "top-1", "accuracy", "top-1 agreement"),
    )


@pytest.fixture
def halved() -> Fitted:
    """0.25-224 led in the short round and failed as a file; 1-96 won, in float32."""
    trials = (
        Trial(_FINE, 1, 0.70, 0.69, 5.0),
        Trial(_WIDE, 1, 0.60, 0.58, 5.0),
        Trial(Candidate(0.5, 160), 1, 0.55, 0.52, 5.0),
        Trial(_FINE, 12, 0.90, 0.90, 60.0),
        Trial(_WIDE, 12, 0.88, 0.88, 60.0),
    )
    chosen = _file(_WIDE, file="1-96-float32.tflite", precision="float32", size_bytes=13_000_000)
    files = {_FINE: _file(_FINE, accuracy=0.895, p95_ms=1.25, over=("1.25 ms at p95",)), _WIDE: chosen}
    options = (*_OPTIONS, _option(Candidate(0.5, 160), _estimate("int8", 0.75, 900_000)))
    return _found(Limits(latency_ms=1.0, reserve=0.25), trials, files, _WIDE, options)


def _by_name(found: Fitted) -> dict[str, Option]:
    return {str(option.candidate): option for option in found.options}


def _page(found: Fitted, path: Path, command: Sequence[str] = ()) -> str:
    write_fit_page(found, path, command)
    return html.unescape(path.read_text("utf-8")).replace("\u202f", " ")


def _rows(page: str, label: str) -> dict[str, list[str]]:
    (body,) = re.findall(rf'aria-label="{label}">.*?<tbody>(.*?)</tbody>', page, re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in body.split("<tr>")[1:]]
    return {name: rest for name, *rest in cells}


def _uses(svg: str, kind: str) -> list[tuple[float, float]]:
    """Where the dots of a kind stand in the SVG, from left and from above."""
    _, _, rest = svg.partition(f'id="frontier-{kind}"')
    part, _, _ = rest.partition("\n   </g>")
    uses = [(float(x), float(y)) for x, y in re.findall(r'<use [^>]*x="([\d.]+)" y="([\d.]+)"', part)]
    if uses:
        return uses
    # A single ring is an outline without a name.
    across, up = zip(*((float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+) \n", part)), strict=True)
    return [((min(across) + max(across)) / 2, (min(up) + max(up)) / 2)]


def _line(svg: str, name: str) -> tuple[float, float]:
    x, y = re.search(rf'id="frontier-{name}">\s*<path d="M ([\d.]+) ([\d.]+)', svg).groups()  # type: ignore[union-attr]
    return float(x), float(y)


def test_a_row_shows_the_file_that_was_chosen(halved: Fitted, tmp_path: Path) -> None:
    """1-96 was chosen in float32, its profile speaks of 3.3 MB in 8 bits."""
    rows = _rows(_page(halved, tmp_path / "page.html"), "Candidates that were trained")
    assert rows["1-96"][1:5] == ["float32 on litert", "0.8 ms", "13.0 MB", "9.00 MB"]
    assert rows["0.25-224"][2] == "1.25 ms"
    assert rows["0.5-160"][1:5] == ["int8 on litert", "≈ 0.75 ms", "≈ 900 kB", "≈ 8.00 MB"]
    assert rows["1-96"][5:] == ["60.0 % (1)\n88.0 % (12)\nfile 87.5 %", "58.0 % (1)"]


def test_without_a_file_the_estimate_that_suits_the_budget_is_shown() -> None:
    float32, int8 = _estimate("float32", 0.5, 870_000), _estimate("int8", 0.6, 260_000)
    options = (_option(_FINE, float32, int8),)
    for limits, variant in (
        (Limits(latency_ms=1.0), "float32 on litert"),
        (Limits(size_bytes=1e6), "int8 on litert"),
        (Limits(accuracy=0.9), "int8 on litert"),
        (Limits(accuracy=0.9, latency_ms=1.0), "int8 on litert"),
    ):
        figures = _found(limits, (), {}, None, options).figures(options[0])
        assert (figures.variant, figures.measured) == (variant, False)
    outside = _OPTIONS[3]
    assert _found(Limits(latency_ms=1.0), (), {}, None).figures(outside).p95_ms == outside.nearest.p95_ms


def test_who_lost_is_compared_with_the_winner(halved: Fitted) -> None:
    """0.5-160 was behind 0.25-224 too, which lost itself."""
    verdicts = {name: halved.verdict(option) for name, option in _by_name(halved).items()}
    assert verdicts["0.5-160"] == "promise 52.0% after 1 epoch, behind 1-96 with 58.0%"
    assert verdicts["0.25-224"] == "as a file: 1.25 ms at p95"
    assert verdicts["1-96"] == "chosen"
    assert verdicts["1-224"] == "over budget: 4 ms at p95, as int8 on litert with 1 thread"
    assert verdicts["0.25-96"] == "dominated by larger ones: 0.25-224, 1-96, 0.5-160"


def test_files_are_compared_where_all_were_trained_in_full() -> None:
    """The network of 0.25-224 is the better one, its file is not."""
    trials = (Trial(_FINE, 12, 0.90, 0.90, 60.0), Trial(_WIDE, 12, 0.88, 0.88, 60.0))
    files = {_FINE: _file(_FINE, accuracy=0.87), _WIDE: _file(_WIDE)}
    found = _found(Limits(latency_ms=1.0), trials, files, _WIDE)
    assert found.verdict(_by_name(found)["0.25-224"]) == "87.0% as a file, behind 1-96 with 87.5%"
    equal = _found(Limits(latency_ms=1.0), trials, {**files, _FINE: _file(_FINE, p95_ms=0.9)}, _WIDE)
    assert equal.verdict(_by_name(equal)["0.25-224"]) == "87.5% as a file, the same as 1-96, which is faster"


def test_reasons_where_an_accuracy_is_asked_for() -> None:
    middle, wide = Candidate(0.5, 160), Candidate(0.75, 160)
    options = (
        *(_option(one, _estimate("int8", 0.5, 900_000)) for one in (_SMALL, _FINE, middle, Candidate(0.5, 192), wide)),
    )
    trials = [Trial(one, 2, accuracy, accuracy, 5.0) for one, accuracy in ((_FINE, 0.5), (middle, 0.7), (wide, 0.75))]
    trials += [Trial(middle, 12, 0.8, 0.8, 60.0), Trial(Candidate(0.5, 192), 2, 0.71, 0.71, 5.0)]
    found = _found(Limits(accuracy=0.7), trials, {middle: _file(middle)}, middle, options)
    assert {name: found.verdict(option) for name, option in _by_name(found).items()} == {
        "0.25-96": "not needed: others were conclusive",
        "0.25-224": "would not reach 70.0%: 50.0% after 2 epochs",
        "0.5-160": "chosen",
        "0.5-192": "0.5-160 reaches 70.0% and has fewer pixels",
        "0.75-160": "0.5-160 reaches 70.0% and is narrower",
    }
    whole = replace(found, files={**found.files, str(wide): (_file(wide, size_bytes=2_000_000),)})
    assert whole.verdict(_by_name(whole)["0.75-160"]) == "reaches 70.0%, but is larger than the chosen one"


def test_the_page_says_how_many_photos_and_how_sure(halved: Fitted, tmp_path: Path) -> None:
    """350 of 400: the bounds p solve |p - 0.875| = 1.96 sqrt(p (1 - p) / 400)."""
    page = _page(halved, tmp_path / "page.html")
    low, high = map(float, re.search(r"95 % interval ([\d.]+) % to ([\d.]+) %", page).groups())  # type: ignore[union-attr]
    for bound in (low / 100, high / 100):
        assert abs(bound - 0.875) == pytest.approx(1.96 * math.sqrt(bound * (1 - bound) / 400), abs=6e-4)
    assert "on 400 validation photos" in page
    assert not re.search(r"\d%(?![^<]*\})", page.split("</style>")[1])
    assert "training, export and proof; 4.0 times the winner's training time" in page


def test_the_page_shows_what_apps_get_that_shrink_photos(halved: Fitted, tmp_path: Path) -> None:
    assert "Photos shrunk by apps" not in _page(halved, tmp_path / "page.html")
    resized = [
        {"method": "area", "photos": 400, "agreement": 1.0, "accuracy": 0.875},
        {"method": "nearest", "photos": 400, "agreement": 0.97, "accuracy": None},
    ]
    files = {
        name: tuple(replace(file, proof={"photos": 400, "resized": resized}) for file in of)
        for name, of in halved.files.items()
    }
    page = _page(replace(halved, files=files), tmp_path / "page.html")
    rows = _rows(page, "Photos shrunk by apps")
    assert set(rows) == {file.file for of in files.values() for file in of}
    assert all(row == ["87.5 % (100.0 %)", "not known (97.0 %)"] for row in rows.values())


def test_where_no_photos_are_known_none_are_named(halved: Fitted, tmp_path: Path) -> None:
    files = {name: tuple(replace(file, proof={}, accuracy=None) for file in of) for name, of in halved.files.items()}
    found = replace(halved, files=files, chosen=files["1-96"][0])
    page = _page(found, tmp_path / "page.html")
    assert "validation photos;" not in page
    assert '<dd class="value">not known</dd>' in page


def test_what_is_estimated_is_never_called_measured(
    halved: Fitted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {name: tuple(replace(file, estimated=True) for file in of) for name, of in halved.files.items()}
    found = replace(halved, files=files, chosen=files["1-96"][0])
    page = _page(found, tmp_path / "page.html")
    assert "fits the budget as estimated for ARM Cortex-A53, not measured there" in page
    assert "<pre>mobilenet benchmark model.tflite --threads 1 --runtime litert</pre>" in page
    assert not re.search("(as|was|and) measured|timed after warm-up", page)
    assert _rows(page, "Candidates that were trained")["1-96"][2:4] == ["≈ 0.8 ms", "13.0 MB"]
    print_fitted(found, tmp_path / "page.html")
    out = capsys.readouterr().out
    assert "0.8 ms at p95 and 9.0 MB of memory (estimated for ARM Cortex-A53, not measured there)" in out
    assert "mobilenet benchmark model.tflite --threads 1 --runtime litert" in out
    nothing = replace(found, winner=None, chosen=None)
    assert nothing.nearest_miss().endswith("; latency and memory are estimated for ARM Cortex-A53")
    assert not re.search("(as|was|and) measured", _page(nothing, tmp_path / "page.html"))


@pytest.mark.parametrize("out", [["--out", "fits/photos"], ["--out=fits/photos"], []])
def test_the_command_is_for_another_folder(halved: Fitted, tmp_path: Path, out: list[str]) -> None:
    command = ["mobilenet", "fit", "my photos", *out, "--json", "--latency", "1ms"]
    page = _page(halved, tmp_path / "page.html", command)
    assert "<pre>mobilenet fit 'my photos' --latency 1ms --out fits/photos-again</pre>" in page


def test_dots_stand_where_files_were_measured(halved: Fitted) -> None:
    svg, captions = fit_plot(halved)
    (chosen,), (failed,), (short,) = (_uses(svg, kind) for kind in ("chosen", "failed", "short"))
    budget, _ = _line(svg, "budget")
    # A logarithmic axis: 1.25 lies as far behind 1 as 0.8 lies before it, and so does 1 / 1.25, the reserve.
    assert failed[0] - budget == pytest.approx(budget - chosen[0], abs=1e-3)
    assert _line(svg, "choosing")[0] == pytest.approx(chosen[0], abs=1e-3)
    # From 87.5 to 89.5 and to 55 %: of files, and of a network that has none.
    assert (short[1] - chosen[1]) / (chosen[1] - failed[1]) == pytest.approx(32.5 / 2, rel=1e-3)
    assert ">0.5-160, 1 epoch<" in svg
    assert "budget less reserve" in svg
    assert any("25\u202f% of latency in reserve" in caption for caption in captions)
    assert any("cross" in caption for caption in captions)
    assert len({y for _, y in _uses(svg, "untried")}) == 1


@pytest.mark.parametrize(
    ("limits", "label", "lines"),
    [
        (Limits(memory_bytes=16e6), "memory on top of the engine, MB", {"budget"}),
        (Limits(accuracy=0.8), "file, MB", {"accuracy"}),
        (Limits(size_bytes=1e6, memory_bytes=16e6, accuracy=0.8), "file, MB", {"budget", "accuracy"}),
        (Limits(latency_ms=1, size_bytes=1e6, reserve=0), "ms per image at p95", {"budget"}),
        (Limits(latency_ms=1, accuracy=0.8), "ms per image at p95", {"budget", "choosing", "accuracy"}),
    ],
)
def test_axes_and_lines_are_those_of_the_budget(halved: Fitted, limits: Limits, label: str, lines: set[str]) -> None:
    svg, captions = fit_plot(replace(halved, limits=limits))
    assert f">{label}<" in svg
    assert {name for name in ("budget", "choosing", "accuracy") if f'id="frontier-{name}"' in svg} == lines
    assert any("reserve" in caption for caption in captions) == ("choosing" in lines)
    assert any("horizontal" in caption for caption in captions) == ("accuracy" in lines)


@pytest.mark.parametrize("accuracies", [(0.68, 0.681), (0.5, 0.5), (0.2, 0.95), (1.0, 0.99), (None, None)])
def test_no_two_ticks_are_written_alike(accuracies: tuple[float | None, float | None]) -> None:
    points = zip((1.1, 1.4), accuracies, strict=True)
    dots = [Dot(str(at), at, one, "untried" if one is None else "short") for at, one in points]
    svg = frontier("frontier", "", dots, Lines(), "MB", "accuracy")
    ticks = re.findall(r">([\d.]+)\u202f%<", svg)
    assert len(ticks) == len(set(ticks)) >= 3
    assert all(float(tick) <= 100 for tick in ticks)
    across = re.findall(r">([\d.]+)<", svg.split('id="frontier-matplotlib.axis_2"')[0])
    assert len(across) == len(set(across)) >= 3


def test_names_hide_neither_each_other_nor_what_is_taken() -> None:
    points = [(100.0 + 4 * number, 100.0 + 3 * number) for number in range(4)]
    line = Box(118, 0, 120, 300)
    boxes = place(["0.5-160", "0.375-192", "0.25-224", "1-96"], points, [line], Box(0, 0, 400, 300), 9.0)
    for number, box in enumerate(boxes):
        assert box.shared(line) == 0
        assert all(box.shared(other) == 0 for other in boxes[:number])
        assert 0 <= box.left < box.right <= 400
    assert Box(0, 0, 2, 3).shared(Box(1, 1, 5, 5)) == 2


def test_words_of_the_page() -> None:
    assert spaced("60.0% of 5% after 1 epoch, 100 %") == "60.0\u202f% of 5\u202f% after 1 epoch, 100 %"
    assert [known(0.5), known(None)] == ["50.0\u202f%", "not known"]
    assert [epochs(1), epochs(12)] == ["1 epoch", "12 epochs"]


def test_a_file_whose_memory_is_the_engines_is_drawn_at_the_edge(halved: Fitted) -> None:
    """Where the peak cannot be reset, all that a file took may have been counted as the engine's before."""
    limits = Limits(memory_bytes=16e6)
    found = replace(halved, limits=limits, files={str(_WIDE): (_file(_WIDE, peak_bytes=0),)}, chosen=None, winner=None)
    svg, _ = fit_plot(found)
    assert "memory on top of the engine" in svg


def test_a_reason_that_is_cut_shows_it(halved: Fitted, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = "it gives another first answer than the network on 12 of 48 photos, the same on 75.0% where 97% is needed"
    found = replace(halved, files={**halved.files, "0.25-224": (_file(_FINE, failures=(long,)),)})
    print_fitted(found, tmp_path / "page.html")
    cut = "as a file: it gives another first answer than the network on 12 of 48 photos …  int8"
    assert cut in capsys.readouterr().out


def test_what_no_search_for_an_accuracy_has_tried(halved: Fitted) -> None:
    found = replace(halved, limits=Limits(accuracy=0.99), winner=None, chosen=None, files={})
    assert found.verdict(_by_name(found)["0.25-96"]) == "others show it would not reach 99.0%"


def test_the_command_that_reproduces_a_search_in_the_folder_where_one_is(
    halved: Fitted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    page = _page(replace(halved, folder=Path()), tmp_path / "page.html", ("mobilenet", "fit", "photos", "--out", "."))
    assert "mobilenet fit photos --out mine-again" in page


def test_the_terminal_is_brief_and_the_page_is_not(
    halved: Fitted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = _file(_FINE, failures=(_ADVICE, "its size"))
    found = replace(halved, files={**halved.files, "0.25-224": (failed,)})
    print_fitted(found, tmp_path / "page.html")
    out = capsys.readouterr().out
    assert "--qat" not in out
    (row,) = (line for line in out.splitlines() if line.startswith("0.25-224"))
    assert re.split(r" {2,}", row)[:4] == [
        "0.25-224",
        "as a file: another first answer on 30 of 400 photos",
        "int8 on litert",
        "0.80",
    ]
    assert re.split(r" {2,}", row)[-2:] == ["90.0% (12)", "69.0% (1)"]
    assert "240 s of training, export and proof, 4.0 times the winner's training time" in out
    page = _page(found, tmp_path / "page.html")
    assert "--qat" not in page
    why = _rows(page, "Candidates that were trained")["0.25-224"][0]
    assert why == "as a file: another first answer on 30 of 400 photos; its size"
    nothing = replace(found, winner=None, chosen=None, files={"0.25-224": (failed,)})
    assert nothing.nearest_miss().endswith("accuracy 87.5%; another first answer on 30 of 400 photos; its size")


def test_page_and_terminal_name_what_the_task_goes_by(
    halved: Fitted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    goal = Goal("near", "within 750 km", "share within 750 km", "same place")
    found = replace(halved, limits=Limits(latency_ms=1.0, accuracy=0.8), goal=goal)
    page = _page(found, tmp_path / "page.html")
    assert not re.search("accurac|top-1", page.replace("frontier-accuracy", ""), re.IGNORECASE)
    assert "<dt>Share within 750 km</dt>" in page
    assert "1 ms at p95, 10 % of latency in reserve, share within 750 km of 80.0 %" in page
    assert '<th scope="col">Within 750 km (epochs)</th>' in page
    print_fitted(found, tmp_path / "page.html")
    out = capsys.readouterr().out
    assert "accuracy" not in out
    assert "within 750 km (epochs)" in out
    assert "share within 750 km 87.5% (of 400 validation photos, 95 % interval 83.9% to 90.4%; network 88.0%)" in out
    assert replace(found, chosen=None, winner=None).nearest_miss().endswith("share within 750 km 87.5%")
    assert found.to_json()["goal"] == "near"
    assert found.to_json()["chosen"]["accuracy"] == 0.875
    of_pairs = replace(found, goal=replace(goal, of_photos=False))
    assert of_pairs.interval(0.875) is None
    assert "interval" not in _page(of_pairs, tmp_path / "page.html")
