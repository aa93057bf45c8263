"""What a plain installation leaves out is named with the extra that brings it, as pyproject.toml says."""

import re
import tomllib
from pathlib import Path

import pytest

from mobilenet.extras import EXTRAS, missing_package, pip_install

_ROOT = Path(__file__).parents[1]
_IMPORTED_AS = {"mlflow-skinny": "mlflow", "ai-edge-litert": "ai_edge_litert", "pyyaml": "yaml"}


def _declared() -> dict[str, list[str]]:
    """The packages of each extra that users install, by the names that are imported."""
    extras = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    del extras["dev"]
    names = {extra: [re.split(r"[<>=!~;\[ ]", line)[0] for line in lines] for extra, lines in extras.items()}
    return {extra: [_IMPORTED_AS.get(name, name) for name in found] for extra, found in names.items()}


def test_each_package_is_brought_by_the_smallest_extra_that_has_it() -> None:
    smallest: dict[str, str] = {}
    for extra, packages in sorted(_declared().items(), key=lambda item: -len(item[1])):
        smallest |= dict.fromkeys(packages, extra)
    assert smallest == EXTRAS


def test_no_other_place_says_which_extra_brings_a_package() -> None:
    sources = [path for path in (_ROOT / "src").rglob("*.py") if path.name != "extras.py"]
    named = {path.name: re.findall(r"mobilenet\[(\w+)\]", path.read_text("utf-8")) for path in sources}
    assert {path: extras for path, extras in named.items() if extras} == {}


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("torch.nn", "needs torch; pip install 'mobilenet[train]'"),
        ("ai_edge_litert.interpreter", "needs ai_edge_litert; pip install 'mobilenet[litert]'"),
        ("no_such_package", None),
        (None, None),
    ],
)
def test_a_missing_package_is_one_line(module: str | None, line: str | None) -> None:
    assert missing_package(ModuleNotFoundError("No module", name=module)) == line


def test_the_command_is_quoted_for_a_shell() -> None:
    assert pip_install("onnxruntime") == "pip install 'mobilenet[onnxruntime]'"
