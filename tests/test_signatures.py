"""Public functions state the shapes of their arrays and the errors that they raise.

A shape is stated in the docstring of the function, of its class, or of the type alias that the signature names. For one
room: `pytest tests/test_signatures.py -k runs`.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from mobilenet import errors

_PACKAGE = Path(__file__).parents[1] / "src" / "mobilenet"
_ROOMS = sorted(path.name for path in _PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file())

_ARRAYS = frozenset({"ArrayLike", "NDArray", "Tensor", "ndarray"})
_ERRORS = frozenset(errors.__all__)
_CALLED = {"__call__", "__init__"}
"""The special methods that are part of what a class offers."""

_SIDE = r"(?:\*?\w+(?:\(\w*\))?(?: ?[-+*/×·] ?\w+)*|\.\.\.|…)"
_SHAPE = re.compile(rf"\(\)|\({_SIDE},\)|\({_SIDE}(?:, {_SIDE})+\)|\bscalars?\b")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Public:
    """A public function or method, with what is written about it."""

    name: str
    node: Function
    text: str


def public_functions(tree: ast.Module) -> Iterator[Public]:
    """The functions in `__all__`, and the public methods of the classes in it."""
    names = _offered(tree)
    for node in tree.body:
        if isinstance(node, Function) and node.name in names:
            yield Public(node.name, node, _on_one_line(ast.get_docstring(node)))
        elif isinstance(node, ast.ClassDef) and node.name in names:
            about = _on_one_line(ast.get_docstring(node))
            for method in (part for part in node.body if isinstance(part, Function)):
                if method.name in _CALLED or not method.name.startswith("_"):
                    text = f"{about} {_on_one_line(ast.get_docstring(method))}"
                    yield Public(f"{node.name}.{method.name}", method, text)


def _on_one_line(text: str | None) -> str:
    """A shape may be broken over two lines."""
    return " ".join((text or "").split())


def _offered(tree: ast.Module) -> set[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def aliases(trees: Mapping[str, ast.Module]) -> tuple[set[str], set[str]]:
    """The names of types that hold arrays and say no shape, and of those that say one."""
    written = {
        node.targets[0].id: (node.value, _text_behind(tree, number))
        for tree in trees.values()
        for number, node in enumerate(tree.body)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and re.fullmatch(r"_?[A-Z]\w*[a-z]\w*", node.targets[0].id)
    }
    bare, stated = set(_ARRAYS), {name for name, (_, text) in written.items() if _SHAPE.search(text)}
    while more := {name for name, (value, _) in written.items() if _words(value) & bare} - bare - stated:
        bare |= more
    return bare, stated


def _text_behind(tree: ast.Module, number: int) -> str:
    """The string below an assignment, which documents it."""
    below = tree.body[number + 1] if number + 1 < len(tree.body) else None
    value = below.value if isinstance(below, ast.Expr) else None
    return _on_one_line(value.value) if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""


def _words(node: ast.AST) -> set[str]:
    """The names in an annotation, also in a quoted one."""
    return set(re.findall(r"\w+", ast.unparse(node)))


def without_shape(tree: ast.Module, bare: set[str]) -> list[str]:
    """Public functions that take or return arrays, types of `bare`, and state no shape."""
    arrays = bare - _own_classes(tree)
    return [
        f"line {found.node.lineno}: {found.name} states no shape of its arrays"
        for found in public_functions(tree)
        if any(_words(annotation) & arrays for annotation in _annotations(found.node)) and not _SHAPE.search(found.text)
    ]


def _own_classes(tree: ast.Module) -> set[str]:
    """Classes of the project that may have the name of a library's array: those defined here or in another module."""
    own = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mobilenet"):
            own |= {alias.name for alias in node.names} & _ARRAYS
    return own


def _annotations(function: Function) -> Iterator[ast.expr]:
    inputs = function.args
    for argument in (*inputs.posonlyargs, *inputs.args, inputs.vararg, *inputs.kwonlyargs, inputs.kwarg):
        if argument is not None and argument.annotation is not None:
            yield argument.annotation
    if function.returns is not None:
        yield function.returns


def without_errors(tree: ast.Module) -> list[str]:
    """Public functions that raise an error of the project that their docstring doesn't name.

    The docstring of a command is its help text, which names no classes.
    """
    return [
        f"line {found.node.lineno}: {found.name} does not say that it raises {error}"
        for found in public_functions(tree)
        for error in sorted(_raised(found.node.body))
        if not _is_command(found.node) and not re.search(rf"\b{error}\b", found.text)
    ]


def _raised(body: list[ast.stmt]) -> set[str]:
    """The errors of the project that are raised in a body, without those of functions inside it."""
    found = set()
    rest: list[ast.AST] = [*body]
    while rest:
        node = rest.pop()
        if isinstance(node, Function | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(node, ast.Raise) and node.exc is not None:
            found |= _words(node.exc.func if isinstance(node.exc, ast.Call) else node.exc) & _ERRORS
        rest.extend(ast.iter_child_nodes(node))
    return found


def _is_command(function: Function) -> bool:
    return any({"command", "group"} & _words(decorator) for decorator in function.decorator_list)


def _trees(folder: Path) -> dict[str, ast.Module]:
    files = [folder] if folder.is_file() else sorted(folder.rglob("*.py"))
    return {path.relative_to(_PACKAGE).as_posix(): ast.parse(path.read_text("utf-8")) for path in files}


@pytest.fixture(scope="module")
def bare() -> set[str]:
    return aliases(_trees(_PACKAGE))[0]


@pytest.mark.parametrize("room", _ROOMS)
def test_shapes_are_stated(room: str, bare: set[str]) -> None:
    found = [f"{name} {line}" for name, tree in _trees(_PACKAGE / room).items() for line in without_shape(tree, bare)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("room", _ROOMS)
def test_errors_are_named(room: str) -> None:
    found = [f"{name} {line}" for name, tree in _trees(_PACKAGE / room).items() for line in without_errors(tree)]
    assert not found, "\n".join(found)


_PLANTED = '''
__all__ = ["Box", "Loud", "double", "read"]

Pixels = NDArray[np.uint8]
Rows = dict[str, Pixels]
Boxes = NDArray[np.float32]
"""(N, 4) in pixels."""

def double(values: "{kind}") -> int:
    """{text}"""

def read(path: Path) -> str:
    """The text of a file{raises}."""
    raise DataError(path)

def _inner(values: Pixels) -> Pixels:
    raise DataError(values)

class Box:
    """{text}"""

    @property
    def corners(self) -> {kind}: ...

    def _hidden(self) -> Pixels: ...

class Loud:
    """Raises ModelError."""

    def close(self) -> None:
        def inner() -> None:
            raise DataError(self)
        raise ModelError(self)
'''


def _planted(kind: str = "Pixels", text: str = "Twice.", raises: str = "") -> ast.Module:
    return ast.parse(_PLANTED.format(kind=kind, text=text, raises=raises))


@pytest.mark.parametrize("kind", ["Pixels", "Rows", "NDArray[np.bool_]", "Tensor | None"])
@pytest.mark.parametrize("text", ["Twice.", "Twice (Howard and others, 2017).", "Twice (see below), at 0 (or 1)."])
def test_a_missing_shape_is_reported(kind: str, text: str) -> None:
    tree = _planted(kind, text)
    found = [line.split(": ")[1].split()[0] for line in without_shape(tree, aliases({"": tree})[0])]
    assert found == ["double", "Box.corners"]


@pytest.mark.parametrize(
    "shape", ["()", "(N,)", "(N, R, R, 3)", "(len(names),)", "(N, *shape)", "(out, in /\n groups)"]
)
def test_a_stated_shape_is_found(shape: str) -> None:
    tree = _planted("Pixels", f"Twice {shape} float32.")
    assert not without_shape(tree, aliases({"": tree})[0])


@pytest.mark.parametrize("kind", ["Boxes", "int"])
def test_what_needs_no_shape_is_not_reported(kind: str) -> None:
    tree = _planted(kind)
    assert not without_shape(tree, aliases({"": tree})[0])


@pytest.mark.parametrize("origin", ["class Tensor: ...", "from mobilenet.weights.tflite.file import Tensor"])
def test_a_class_of_our_own_is_no_array(origin: str) -> None:
    tree = ast.parse(f'{origin}\n__all__ = ["name"]\ndef name(tensor: Tensor) -> str:\n    """Its name."""')
    assert not without_shape(tree, aliases({"": tree})[0])


def test_an_error_that_is_not_named_is_reported() -> None:
    assert [line.split(": ")[1] for line in without_errors(_planted())] == [
        "read does not say that it raises DataError"
    ]
    assert not without_errors(_planted(raises="; DataError"))
