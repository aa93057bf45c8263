"""Rules of the house that no linter knows: sizes, names, what is offered, what is never run, what is never written.

Each check is a function of made-up input as well, and is shown to find one planted violation.
"""

import ast
import importlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median
from types import ModuleType

import pytest

_ROOT = Path(__file__).parents[1]
_SOURCE = _ROOT / "src"
_CODE = ("src", "tests", "benchmarks", "trials", "examples")
_WRITTEN = (*_CODE, "docs", ".ci")
_TEXT = {
    "",
    ".css",
    ".csv",
    ".html",
    ".j2",
    ".js",
    ".mjs",
    ".json",
    ".md",
    ".py",
    ".sh",
    ".toml",
    ".txt",
    ".yaml",
    ".yml",
}

MOST_LINES = 500
MOST_LINES_OF_A_FUNCTION = 60
MEDIAN_LINES_OF_A_FUNCTION = 15

EMPTY_NAMES = {"common", "helper", "helpers", "manager", "misc", "util", "utils"}
"""Names that say nothing about what is inside."""

UNSAFE_MODULES = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
"""Reading a file with these runs the code in it."""

UNSAFE_CALLS = {"__import__", "eval", "exec", "torch.load", "torch.hub.load", "torch.jit.load", "yaml.load"}

# Written so that this file does not contain what it looks for.
LEFTOVERS = (
    re.compile(r"(?<![\w.~}])/(?:home|root|work|Users)/\w"),
    re.compile(r"\b[A-Z]:\\Users\\"),
    re.compile(
        r"\b(?:pypi|pythonhosted|pytorch)\.org/(?:simple|whl|packages|pypi)|(?:files\.python|download\.py)\w+\.org"
    ),
    re.compile(r"--(?:extra-)?index[-]url|--find[-]links|--trusted[-]host"),
)
"""A folder of one machine, a host or a setting of one package registry."""


def python_files(root: Path) -> Iterator[Path]:
    """Every Python file of the project."""
    for folder in _CODE:
        yield from (path for path in sorted((root / folder).rglob("*.py")) if "node_modules" not in path.parts)


def text_files(root: Path) -> Iterator[Path]:
    """Every file of the project that somebody wrote, at its root and in its folders."""
    yield from (path for path in sorted(root.iterdir()) if path.is_file() and path.suffix in _TEXT)
    for folder in _WRITTEN:
        yield from (path for path in sorted((root / folder).rglob("*")) if path.is_file() and _is_ours(path))


def _is_ours(path: Path) -> bool:
    return path.suffix in _TEXT and "node_modules" not in path.parts


def long_files(root: Path) -> list[str]:
    """Files of too many lines."""
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in python_files(root)}
    return [f"{path}: {lines} lines" for path, lines in lengths.items() if lines > MOST_LINES]


def function_lengths(files: Iterable[Path]) -> dict[str, int]:
    """Lines of each function, from `def` to its end with the docstring."""
    return {
        f"{path}:{node.lineno} {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path in files
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def long_functions(root: Path) -> list[str]:
    """Functions of too many lines."""
    lengths = function_lengths(python_files(root))
    return [f"{name}: {lines} lines" for name, lines in lengths.items() if lines > MOST_LINES_OF_A_FUNCTION]


def empty_names(root: Path) -> list[Path]:
    """Files and folders whose name says nothing."""
    paths = {part for path in python_files(root) for part in (path, *path.relative_to(root).parents)}
    return sorted(path for path in paths if EMPTY_NAMES & set(path.stem.split("_")))


def unsafe(text: str) -> list[str]:
    """What a source does that could run a stranger's code or hide a mistake, each with its line."""
    found = []
    for node in ast.walk(ast.parse(text)):
        fault = _import_fault(node) or _call_fault(node) or _handler_fault(node)
        if fault:
            found.append(f"line {getattr(node, 'lineno', 0)}: {fault}")
    return found


def _import_fault(node: ast.AST) -> str | None:
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        names = [f"{node.module}.{alias.name}" for alias in node.names]
    else:
        return None
    wrong = [name for name in names if name.split(".")[0] in UNSAFE_MODULES or name in UNSAFE_CALLS]
    return f"imports {wrong[0]}" if wrong else None


def _call_fault(node: ast.AST) -> str | None:
    if not isinstance(node, ast.Call):
        return None
    if (name := ast.unparse(node.func)) in UNSAFE_CALLS:
        return f"calls {name}"
    pickles = [key for key in node.keywords if key.arg == "allow_pickle" and ast.unparse(key.value) != "False"]
    return "allows pickles" if pickles else None


def _handler_fault(node: ast.AST) -> str | None:
    """Catching everything hides mistakes, unless it is raised again after cleaning up."""
    if not isinstance(node, ast.ExceptHandler):
        return None
    caught = {part.id for part in ast.walk(node.type) if isinstance(part, ast.Name)} if node.type else {"everything"}
    last = node.body[-1]
    raised_again = isinstance(last, ast.Raise) and last.exc is None
    broad = caught & {"BaseException", "Exception", "everything"}
    return f"catches {broad.pop()}" if broad and not raised_again else None


def not_offered(module: ModuleType) -> list[str]:
    """What is wrong with a module's list of public names; one that defines nothing needs none."""
    if not isinstance(names := getattr(module, "__all__", None), list | tuple):
        defined = [value for name, value in vars(module).items() if not name.startswith("__")]
        return ["has no __all__"] if any(not isinstance(value, ModuleType) for value in defined) else []
    private = [f"offers the private {name}" for name in names if name[0] == "_" and name != "__version__"]
    return private + [f"offers {name}, which does not exist" for name in names if not hasattr(module, name)]


def leftovers(text: str) -> list[str]:
    """Lines that hold on one machine only."""
    return [line for line in text.splitlines() if any(pattern.search(line) for pattern in LEFTOVERS)]


def unpinned(constraints: str) -> list[str]:
    """Lines of constraints.txt that leave a version open."""
    lines = [line for line in constraints.splitlines() if line and not line.startswith("#")]
    return [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[0-9][0-9.]*((b|rc|post)[0-9]+)?", line)]


def _public_modules() -> list[str]:
    names = [".".join(path.relative_to(_SOURCE).with_suffix("").parts) for path in sorted(_SOURCE.rglob("*.py"))]
    public = [name.removesuffix(".__init__") for name in names if not name.endswith(".__main__")]
    return [name for name in public if "._" not in name]


def test_files_and_functions_are_short() -> None:
    assert not long_files(_ROOT)
    assert not long_functions(_ROOT)
    assert median(function_lengths(_SOURCE.rglob("*.py")).values()) <= MEDIAN_LINES_OF_A_FUNCTION


def test_names_say_what_is_inside() -> None:
    assert not empty_names(_ROOT)


def test_nothing_is_executed_and_no_error_is_swallowed() -> None:
    faults = {path.relative_to(_ROOT): unsafe(path.read_text("utf-8")) for path in python_files(_ROOT)}
    assert not {path: found for path, found in faults.items() if found}


@pytest.mark.parametrize("name", _public_modules())
def test_every_public_name_exists(name: str) -> None:
    assert not not_offered(importlib.import_module(name))


def test_no_file_holds_on_one_machine_only() -> None:
    found = {path.relative_to(_ROOT): leftovers(path.read_text("utf-8")) for path in text_files(_ROOT)}
    assert not {path: lines for path, lines in found.items() if lines}


def test_everything_is_pinned() -> None:
    assert not unpinned((_ROOT / "constraints.txt").read_text("utf-8"))


def _plant(root: Path, name: str, text: str) -> Path:
    path = root / "src" / name
    path.parent.mkdir(parents=True)
    path.write_text(text, "utf-8")
    return root


def test_a_long_file_and_a_long_function_are_reported(tmp_path: Path) -> None:
    body = "    pass\n" * MOST_LINES_OF_A_FUNCTION
    rest = "#\n" * MOST_LINES
    tree = _plant(tmp_path, "long.py", f"class Box:\n  async def method(self):\n{body}{rest}")
    assert [line.split(": ")[1] for line in long_files(tree)] == ["562 lines"]
    assert [line.split(" ", 1)[1] for line in long_functions(tree)] == ["method: 61 lines"]


@pytest.mark.parametrize("name", ["image_utils.py", "helpers/resize.py", "run_manager.py"])
def test_an_empty_name_is_reported(tmp_path: Path, name: str) -> None:
    assert empty_names(_plant(tmp_path, name, ""))
    assert not empty_names(_plant(tmp_path / "other", "utilisation/commonness.py", ""))


@pytest.mark.parametrize(
    "text",
    [
        "import pickle\n",
        "from joblib import load\n",
        "from torch import load\n",
        "torch.load(path)\n",
        "eval(text)\n",
        "def f():\n    exec(text)\n",
        "numpy.load(path, allow_pickle=True)\n",
        "try:\n    f()\nexcept:\n    pass\n",
        "try:\n    f()\nexcept Exception:\n    pass\n",
        "try:\n    f()\nexcept (OSError, BaseException) as error:\n    print(error)\n",
    ],
)
def test_what_is_unsafe_is_reported(text: str) -> None:
    assert unsafe(text)


@pytest.mark.parametrize(
    "text",
    [
        "model.eval()\n",
        "numpy.load(path, allow_pickle=False)\n",
        "safetensors.torch.load(data)\n",
        "try:\n    f()\nexcept BaseException:\n    undo()\n    raise\n",
        "try:\n    f()\nexcept OSError:\n    pass\n",
    ],
)
def test_what_is_safe_is_not_reported(text: str) -> None:
    assert not unsafe(text)


def test_public_names_that_are_not_there_are_reported() -> None:
    module = ModuleType("planted")
    assert not not_offered(module)
    module.__dict__.update(here=1, _inner=2)
    assert not_offered(module) == ["has no __all__"]
    module.__dict__.update(__all__=["gone", "_inner", "here"])
    assert not_offered(module) == ["offers the private _inner", "offers gone, which does not exist"]


@pytest.mark.parametrize(
    "parts",
    [
        ("see ", "/home", "/ann/photos"),
        ("open('", "/work", "/shared/data')"),
        ("C:", "\\Users", "\\ann"),
        ("pip install --index", "-url https://example.org"),
        ("https://", "download.py", "torch.org/whl/cpu"),
        ("https://", "files.python", "hosted.org/packages"),
    ],
)
def test_a_leftover_of_one_machine_is_reported(parts: tuple[str, ...]) -> None:
    assert leftovers("first\n" + "".join(parts)) == ["".join(parts)]


def test_what_holds_everywhere_is_not_reported() -> None:
    assert not leftovers(
        "runs/home/work/a\nhttps://example.org/work/1\n~/work/photos\nhttps://pytorch.org\nsrc/root/x\n"
    )


def test_an_open_version_is_reported() -> None:
    assert unpinned("# why\n\nnumpy==2.1\na==1.post1\nb==0.66b2\ntorch>=2\nrich\nclick==8.*\n") == [
        "torch>=2",
        "rich",
        "click==8.*",
    ]
