"""`mobilenet cost`, as people and programs call it."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from mobilenet.cli.main import main

_MOBILENET = [sys.executable, "-c", "import sys; from mobilenet.cli.main import main; sys.exit(main())"]


def _json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert main(["cost", *arguments, "--json"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.count("\n") == 1
    document = json.loads(printed.out)
    assert isinstance(document, dict)
    return document


def _lines(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[list[str]]:
    assert main(["cost", *arguments]) == 0
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def test_the_document_starts_with_mult_adds_and_params(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["cost", "--arch", "mobilenet_v1", "--width", "0.5", "--resolution", "160", "--classes", "1000", "--json"]
    assert main(words) == 0
    assert capsys.readouterr().out.startswith('{"mult_adds": 76524800, "params": 1331592, ')


def test_the_document_says_what_was_costed(capsys: pytest.CaptureFixture[str]) -> None:
    document = _json(
        capsys, "--arch", "mobilenet_v1_shallow", "--width", "0.25", "--resolution", "96", "--classes", "3"
    )
    knobs = {"architecture": "mobilenet_v1_shallow", "width_multiplier": 0.25, "resolution": 96, "classes": 3}
    assert knobs.items() <= document.items()
    assert "layers" not in document


def test_layers_in_the_document_sum_to_its_totals(capsys: pytest.CaptureFixture[str]) -> None:
    document = _json(capsys, "--by-layer")
    layers = document["layers"]
    assert isinstance(layers, list)
    assert sum(layer["mult_adds"] for layer in layers) == document["mult_adds"] == 568_740_352
    assert layers[1]["name"] == "block1.depthwise"
    assert layers[1]["output_shape"] == [112, 112, 32]


def test_a_comparison_keeps_the_papers_resolution_of_foreign_networks(capsys: pytest.CaptureFixture[str]) -> None:
    document = _json(
        capsys, "--resolution", "160", "--classes", "10", "--compare", "inception_v3, mobilenet_v1_standard"
    )
    compared = document["compared_with"]
    assert isinstance(compared, list)
    knobs = [(other["architecture"], other["resolution"], other["classes"]) for other in compared]
    assert knobs == [("inception_v3", 299, 10), ("mobilenet_v1_standard", 160, 10)]


def test_a_foreign_network_is_compared_with_mobilenet_at_224(capsys: pytest.CaptureFixture[str]) -> None:
    document = _json(capsys, "--arch", "inception_v3", "--compare", "mobilenet_v1")
    assert document["mult_adds"] == 5_713_216_096
    compared = document["compared_with"]
    assert isinstance(compared, list)
    assert [other["mult_adds"] for other in compared] == [568_740_352]


@pytest.mark.parametrize(
    ("arguments", "points"),
    [
        (("--grid",), [(w, r) for w in (1.0, 0.75, 0.5, 0.25) for r in (224, 192, 160, 128)]),
        (("--widths", "0.25,0.5", "--resolutions", "128,160"), [(0.25, 128), (0.25, 160), (0.5, 128), (0.5, 160)]),
        (("--grid", "--width", "0.3", "--resolutions", "32"), [(0.3, 32)]),
        (("--resolution", "64", "--widths", "1,2"), [(1.0, 64), (2.0, 64)]),
        (("--arch", "vgg16", "--resolutions", "128,224"), [(1.0, 128), (1.0, 224)]),
    ],
)
def test_grids(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], points: list[tuple[float, int]]) -> None:
    grid = _json(capsys, *arguments)["grid"]
    assert isinstance(grid, list)
    assert [(point["width_multiplier"], point["resolution"]) for point in grid] == points


def test_people_read_exact_totals_and_the_shares_of_table_2(capsys: pytest.CaptureFixture[str]) -> None:
    lines = _lines(capsys)
    assert ["mult-adds", "568,740,352"] in lines
    assert ["parameters", "4,231,976"] in lines
    assert ["memory", "int8", "1.20", "MB"] in lines
    assert ["1x1", "convolution", "539,492,352", "94.86%", "3,139,584", "74.59%"] in lines


def test_people_read_layers(capsys: pytest.CaptureFixture[str]) -> None:
    lines = _lines(capsys, "--by-layer", "--resolution", "32")
    assert ["classifier", "linear", "1x1x1000", "1,024,000", "1,025,000", "0.008", "MB"] in lines


def test_people_read_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    lines = _lines(capsys, "--compare", "vgg16,mobilenet_v1_standard")
    figures = ["15,470", "M", "27.20", "138", "M", "32.69", "553", "MB", "25.7", "MB"]
    assert ["vgg16", "224", *figures] in lines
    assert lines[4][:5] == ["mobilenet_v1_standard", "1.0-224", "4,867", "M", "8.56"]


def test_people_read_the_grid(capsys: pytest.CaptureFixture[str]) -> None:
    lines = _lines(capsys, "--grid")
    assert ["0.75", "160", "166,396,800", "2,585,560"] in [line[:4] for line in lines]
    assert len(lines) == 2 + 16 + 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--resolution", "100"), "resolution 100 is not a multiple of 32; use 96 or 128"),
        (("--width", "0"), "width multiplier 0 is out of range; use a number above 0, such as 0.5 (at most 16)"),
        (("--width", "nan"), "width multiplier nan is out of range; use a number above 0, such as 0.5 (at most 16)"),
        (("--width", "1e9"), "width multiplier 1e+09 is out of range; use a number above 0, such as 0.5 (at most 16)"),
        (("--classes", "-1"), "classes -1 is out of range; use 1 to 10000000, 0 for none"),
        (("--widths", "0.5,0"), "width multiplier 0 is out of range; use a number above 0, such as 0.5 (at most 16)"),
        (("--arch", "vgg16", "--width", "0.5"), "vgg16 has only one width, not 0.5; omit the width"),
        (("--arch", "vgg19"), "unknown architecture 'vgg19'; did you mean vgg16? Available: mobilenet_v1,"),
        (("--compare", ""), "unknown architecture ''; available: mobilenet_v1,"),
        (("--grid", "--by-layer"), "a grid cannot be combined with --by-layer or --compare; leave one of them out"),
        (
            ("--grid", "--compare", "vgg16"),
            "a grid cannot be combined with --by-layer or --compare; leave one of them out",
        ),
        (("--widths", ""), "Invalid value for '--widths': '' is not a list of numbers such as 0.25,0.5"),
        (("--resolutions", "1.5"), "Invalid value for '--resolutions': '1.5' is not a list of whole numbers"),
        (("--width", "wide"), "Invalid value for '--width': 'wide' is not a valid float"),
    ],
)
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_mistake_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str, form: tuple[str, ...]
) -> None:
    assert main(["cost", *arguments, *form]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"mobilenet: {message}")
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("words", [["--help"], ["cost"], ["cost", "--grid", "--json"], ["cost", "--help"]])
def test_nothing_heavy_is_imported(words: list[str]) -> None:
    script = "import sys; from mobilenet.cli.main import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "PIL", "rich", "safetensors"} & set(done.stderr.split())


def test_a_terminal_gets_rules_and_colour(tmp_path: Path) -> None:
    output = _on_a_terminal(["cost", "--compare", "vgg16"])
    assert "\x1b[36mvgg16 224" in output
    assert "────" in output
    piped = subprocess.run([*_MOBILENET, "cost"], capture_output=True, text=True, check=True).stdout
    assert piped.isascii()
    assert "\x1b" not in piped


def _on_a_terminal(words: list[str]) -> str:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    for name in ("NO_COLOR", "FORCE_COLOR"):
        environment.pop(name, None)
    subprocess.run([*_MOBILENET, *words], stdout=theirs, env=environment, check=True)
    os.close(theirs)
    output = os.read(ours, 65536).decode()
    os.close(ours)
    return output


def test_the_networks_of_a_task_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    document = _json(capsys, "--task", "detection")
    assert {
        "mult_adds": 1_237_129_408,
        "params": 6_819_839,
        "resolution": 300,
        "classes": 91,
    }.items() <= document.items()
    compared = document["compared_with"]
    assert isinstance(compared, list)
    assert [(other["architecture"], other["classes"]) for other in compared] == [("mobilenet_v1_ssdlite", 91)]
    assert _json(capsys, "--task", "classification") == _json(capsys)


def test_detectors_have_a_grid_and_layers(capsys: pytest.CaptureFixture[str]) -> None:
    grid = _json(capsys, "--task", "detection", "--grid", "--widths", "0.5")["grid"]
    assert isinstance(grid, list)
    assert [point["resolution"] for point in grid] == [300, 256, 192, 128]
    layers = _json(capsys, "--arch", "mobilenet_v1_ssdlite", "--classes", "3", "--by-layer")["layers"]
    assert isinstance(layers, list)
    assert (layers[-1]["name"], layers[-1]["output_shape"]) == ("scores6.prediction", [1, 1, 18])
    lines = _lines(capsys, "--task", "detection", "--by-layer")
    assert sum(line[:1] == ["stem"] for line in lines) == 1


def test_a_detector_is_compared_with_its_kind_at_its_size(capsys: pytest.CaptureFixture[str]) -> None:
    knobs = ("--arch", "mobilenet_v1_ssdlite", "--width", "0.5", "--resolution", "192", "--classes", "7")
    compared = _json(capsys, *knobs, "--compare", "mobilenet_v1_ssd,vgg16")["compared_with"]
    assert isinstance(compared, list)
    found = [(other["width_multiplier"], other["resolution"], other["classes"]) for other in compared]
    assert found == [(0.5, 192, 7), (1.0, 224, 7)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--task", "pose"), "unknown task 'pose'; use one of "),
        (("--task", "detection", "--arch", "vgg16"), "--task chooses the architecture; leave out --arch or --task"),
        (
            ("--arch", "mobilenet_v1_ssd", "--classes", "0"),
            "classes 0 is out of range; a detector needs at least 1",
        ),
    ],
)
def test_a_mistake_about_a_task_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert main(["cost", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"mobilenet: {message}")
    assert printed.err.count("\n") == 1
