"""Keeps the house as docs/architecture.md draws it: floors, no cycles, torch only in its rooms.

Each check is a function of a source tree, and is shown to fail on a small made-up tree with one planted violation.
"""

import ast
import re
import subprocess
import sys
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from itertools import takewhile
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_SOURCE = _ROOT / "src"

FLOORS = (
    ("errors", "extras", "home", "files", "fields", "parallel", "spec"),
    ("model", "images", "metrics", "geography"),
    ("datasets", "nn", "scenes"),
    ("tasks", "runs", "runtimes"),
    ("evaluate", "training", "weights", "quantize", "export", "retrieval"),
    ("benchmark", "search", "report"),
    ("cli", "__main__"),
)
"""The rooms of each floor, from the ground up; the package itself, with its version, lies below all of them."""

TORCH_ROOMS = (
    "mobilenet.nn",
    "mobilenet.training",
    "mobilenet.quantize",
    "mobilenet.export.diagnose",
    "mobilenet.images.augment",
    "mobilenet.runtimes.torch",
    "mobilenet.search.device_profile",
    "mobilenet.search.fit",
    "mobilenet.search.settings",
    "mobilenet.search.strategy.choice",
    "mobilenet.search.trial.trainings",
    *(f"mobilenet.tasks.{path.parent.name}.objective" for path in _SOURCE.glob("mobilenet/tasks/*/objective.py")),
)

MOST_MODULES = 14
"""In one folder; `cli`, with one file for each verb, may have more."""

MOST_DEPTH = 15
"""Modules in the longest chain of imports."""


def modules(source: Path) -> dict[str, Path]:
    """The file of each module below `source`, by its dotted name."""
    files = {path.relative_to(source).with_suffix("").parts: path for path in sorted(source.rglob("*.py"))}
    return {".".join(parts).removesuffix(".__init__"): path for parts, path in files.items()}


def room(module: str) -> str:
    """`mobilenet.images.decode` -> `images`; the package itself is the empty room."""
    return module.split(".")[1] if "." in module else ""


def imports(path: Path) -> set[str]:
    """Dotted names that a file imports, wherever it does: `from a.b import c` gives `a.b.c`."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return names


def import_graph(source: Path) -> dict[str, set[str]]:
    """Modules of our own that each module imports, also inside functions and for types alone."""
    files = modules(source)
    offered = {name: _offered(path) for name, path in files.items()}
    return {name: {_owner(target, offered) for target in imports(path)} - {None} for name, path in files.items()}


def _offered(path: Path) -> set[str]:
    """Names that `from package import name` takes from the package's own file rather than from a module below it."""
    body = ast.parse(path.read_text("utf-8")).body
    found = [node for node in body if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name for node in found for alias in node.names}


def _owner(target: str, offered: dict[str, set[str]]) -> str | None:
    """The module that an imported name comes from, None for other people's packages.

    `mobilenet.images.decode` is both a module and a function that the package offers: then the package is meant.
    """
    parent, _, name = target.rpartition(".")
    if target in offered and name not in offered.get(parent, ()):
        return target
    return parent if parent in offered else None


def upward_imports(source: Path) -> list[str]:
    """Imports of a room on a higher floor, and rooms that stand on no floor."""
    floor = {name: number for number, rooms in enumerate(FLOORS, 1) for name in rooms} | {"": 0}
    graph = import_graph(source)
    homeless = [f"{module} stands on no floor" for module in graph if room(module) not in floor]
    return homeless + [
        f"{module} (floor {floor[room(module)]}) imports {target} (floor {floor[room(target)]})"
        for module, targets in graph.items()
        for target in sorted(targets)
        if room(module) in floor and room(target) in floor and floor[room(target)] > floor[room(module)]
    ]


def relative_imports(source: Path) -> list[str]:
    """Imports that do not write the whole name, which the other checks would not see."""
    return [f"{module}: {name}" for module, path in modules(source).items() for name in imports(path) if name[0] == "."]


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """One cycle of imports, if there is any."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def room_graphs(source: Path) -> dict[str, dict[str, set[str]]]:
    """For each folder: which of its rooms (folders and modules directly in it) imports from which."""
    graphs: dict[str, dict[str, set[str]]] = {}
    for module, targets in import_graph(source).items():
        for target in targets:
            own, other = module.split("."), target.split(".")
            shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(own, other, strict=False)))
            if shared < min(len(own), len(other)):
                rooms = graphs.setdefault(".".join(own[:shared]), {})
                rooms.setdefault(own[shared], set()).add(other[shared])
    return graphs


def room_cycles(source: Path) -> list[str]:
    """Folders whose rooms import each other in a circle, each with the circle."""
    found = {folder: cycle(graph) for folder, graph in room_graphs(source).items()}
    return [f"{folder}: {' > '.join(rooms)}" for folder, rooms in found.items() if rooms]


def deepest(graph: dict[str, set[str]]) -> list[str]:
    """The longest chain of imports in a graph without cycles, from the top down."""
    chains: dict[str, list[str]] = {}
    for module in TopologicalSorter(graph).static_order():
        below = max((chains[target] for target in graph.get(module, ()) if target != module), key=len, default=[])
        chains[module] = [module, *below]
    return max(chains.values(), key=len)


def crowded(source: Path) -> list[str]:
    """Folders of too many modules."""
    counts = Counter(path.parent for path in modules(source).values() if path.stem != "__init__")
    return [
        f"{folder.name}: {count} modules"
        for folder, count in counts.items()
        if count > MOST_MODULES and folder.name != "cli"
    ]


def torch_outside_its_rooms(source: Path) -> list[str]:
    """Modules that import torch, or what brings torch, though they are not the ones that may."""
    return [
        module
        for module, path in modules(source).items()
        if not _may_use_torch(module) and any(name.split(".")[0] == "torch" for name in imports(path))
    ]


def _may_use_torch(module: str) -> bool:
    return any(f"{module}.".startswith(f"{allowed}.") for allowed in TORCH_ROOMS)


def named_tasks(source: Path) -> list[str]:
    """Modules outside `tasks` that name a task: by an import from its folder, or by a string."""
    names = {path.parent.name for path in source.glob("mobilenet/tasks/*/__init__.py")}
    return [
        f"{module} names {name}"
        for module, path in modules(source).items()
        if room(module) != "tasks"
        for name in sorted(names & (_strings(path) | _tasks_imported(path)))
    ]


def _strings(path: Path) -> set[object]:
    return {node.value for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Constant)}


def _tasks_imported(path: Path) -> set[object]:
    within = [name.split(".") for name in imports(path) if name.startswith("mobilenet.tasks.")]
    return {parts[2] for parts in within}


def drawn_rooms(picture: str) -> dict[str, tuple[int, set[str]]]:
    """Of each room drawn below `src/mobilenet/`, such as `datasets/cache`: its floor and the files that its line names.

    `…` is among them where the line ends with a rule such as `one file per command`.
    """
    lines = picture.split("src/mobilenet/\n", 1)[1].split("\n\n", 1)[0].splitlines()
    rooms: dict[str, tuple[int, set[str]]] = {}
    floor, name = 0, ""
    for line in lines:
        entry = re.match(r" {4}(\d| )  ([\w/]+?)(?:\.py|/)(?:\s|$)", line)
        if entry:
            floor, name = int(entry[1].strip() or floor), entry[2]
            rooms[name] = floor, set()
            line = line[entry.end() :]  # noqa: PLW2901 - the rest of the line describes the room
        rooms[name][1].update(re.findall(r"\b(\w+)\.py\b", line), ["…"] * ("one file per" in line))
    return rooms


def built_rooms(source: Path) -> dict[str, set[str]]:
    """Of each folder and each module at the top, by its path below the package: the public modules inside."""
    rooms: dict[str, set[str]] = {}
    for path in modules(source).values():
        parts = path.relative_to(source / "mobilenet").with_suffix("").parts
        if len(parts) > 1:
            rooms.setdefault("/".join(parts[:-1]), set()).update({parts[-1]} - {"__init__"})
        elif parts[0] != "__init__":
            rooms.setdefault(parts[0], set())
    return {name: {file for file in files if not file.startswith("_")} for name, files in rooms.items()}


def untrue_lines(picture: str, source: Path) -> list[str]:
    """Where the picture and the source tell different stories.

    A room whose line names a file names them all, but for private ones, or says what the others are.
    """
    drawn, built = drawn_rooms(picture), built_rooms(source)
    floors = {name: number for number, rooms in enumerate(FLOORS, 1) for name in rooms}
    faults = [f"{name} is drawn but not built" for name in drawn.keys() - built.keys()]
    faults += [f"{name} is built but not drawn" for name in built.keys() - drawn.keys()]
    for name in drawn.keys() & built.keys():
        floor, files = drawn[name]
        if floor != (tested := floors.get(name.split("/")[0])):
            faults.append(f"{name} is drawn on floor {floor} and tested on floor {tested}")
        if files - built[name] - {"…"} or (files and "…" not in files and built[name] - files):
            faults.append(f"{name}/ is drawn with {sorted(files)} and built with {sorted(built[name])}")
    return sorted(faults)


def test_no_module_imports_from_a_higher_floor() -> None:
    assert not relative_imports(_SOURCE)
    assert not upward_imports(_SOURCE)


def test_modules_and_rooms_have_no_cycles() -> None:
    assert not cycle(import_graph(_SOURCE))
    assert not room_cycles(_SOURCE)


def test_chains_of_imports_are_short_and_rooms_are_small() -> None:
    chain = deepest(import_graph(_SOURCE))
    assert len(chain) <= MOST_DEPTH, " > ".join(chain)
    assert not crowded(_SOURCE)


def test_generic_modules_name_no_task() -> None:
    assert not named_tasks(_SOURCE)


def test_torch_stays_in_its_rooms() -> None:
    assert not torch_outside_its_rooms(_SOURCE)


def test_importing_anything_else_leaves_torch_out() -> None:
    light = [name for name in modules(_SOURCE) if not _may_use_torch(name) and name != "mobilenet.__main__"]
    script = "import importlib, sys\nfor name in sys.argv[1:]:\n    importlib.import_module(name)\n"
    script += "    assert 'torch' not in sys.modules, f'{name} imports torch'\n"
    done = subprocess.run([sys.executable, "-c", script, *light], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_picture_is_true() -> None:
    assert not untrue_lines((_ROOT / "docs" / "architecture.md").read_text("utf-8"), _SOURCE)


def _plant(folder: Path, **sources: str) -> Path:
    """A source tree of a package `mobilenet`; `images_decode` is its module images/decode.py."""
    for name, text in {"__init__": "", **sources}.items():
        path = folder / "mobilenet" / (name if name[0] == "_" else name.replace("_", "/", 1))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".py").write_text(text, "utf-8")
    return folder


@pytest.mark.parametrize(
    "text",
    [
        "from mobilenet.nn import layers\n",
        "import mobilenet.nn.layers\n",
        "def late():\n    from mobilenet.nn.layers import Block\n    return Block\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from mobilenet.nn.layers import Block\n",
    ],
)
def test_an_import_from_above_is_reported(tmp_path: Path, text: str) -> None:
    tree = _plant(tmp_path, spec=text, nn_layers="from mobilenet.spec import Conv\n")
    assert upward_imports(tree) == ["mobilenet.spec (floor 1) imports mobilenet.nn.layers (floor 3)"]


def test_a_room_on_no_floor_and_a_relative_import_are_reported(tmp_path: Path) -> None:
    tree = _plant(tmp_path, gadgets="from .spec import Conv\n", spec="")
    assert upward_imports(tree) == ["mobilenet.gadgets stands on no floor"]
    assert relative_imports(tree) == ["mobilenet.gadgets: .spec.Conv"]


def test_cycles_of_modules_and_of_rooms_are_reported(tmp_path: Path) -> None:
    same_room = _plant(tmp_path / "a", nn_a="import mobilenet.nn.b\n", nn_b="def late():\n    import mobilenet.nn.a\n")
    assert cycle(import_graph(same_room))
    two_rooms = {"files": "from mobilenet.spec import Row\n", "spec": "from mobilenet.files import total\n"}
    assert room_cycles(_plant(tmp_path / "b", **two_rooms))
    crossed = {"nn_a": "import mobilenet.datasets.a\n", "datasets_b": "import mobilenet.nn.b\n"}
    tree = _plant(tmp_path / "c", **crossed, nn_b="", datasets_a="")
    assert not cycle(import_graph(tree))
    assert room_cycles(tree)
    nested = {
        "a_b": "import mobilenet.a.c.d\n",
        "a___init__": "",
        "a_c/d": "import mobilenet.a.e\n",
        "a_e": "import mobilenet.a.c.f\n",
    }
    tree = _plant(tmp_path / "d", **nested, **{"a_c/f": ""})
    assert not cycle(import_graph(tree))
    assert room_cycles(tree)[0].startswith("mobilenet.a: ")


def test_a_package_that_offers_a_function_named_like_its_module_is_understood(tmp_path: Path) -> None:
    package = {"images___init__": "from mobilenet.images.decode import decode\n", "images_decode": ""}
    tree = _plant(tmp_path, **package, datasets="from mobilenet.images import decode\n")
    graph = import_graph(tree)
    assert graph["mobilenet.datasets"] == {"mobilenet.images"}
    assert graph["mobilenet.images"] == {"mobilenet.images.decode"}


def test_long_chains_and_crowded_rooms_are_reported(tmp_path: Path) -> None:
    chain = {f"m{number}": f"import mobilenet.m{number + 1}\n" for number in range(4)} | {"m4": "", "m5": ""}
    assert deepest(import_graph(_plant(tmp_path / "a", **chain))) == [f"mobilenet.m{number}" for number in range(5)]
    many = {f"nn_m{number}": "" for number in range(MOST_MODULES + 1)}
    assert crowded(_plant(tmp_path / "b", **many)) == [f"nn: {MOST_MODULES + 1} modules"]


@pytest.mark.parametrize("text", ["import torch.nn\n", "def late():\n    from torch import nn\n    return nn\n"])
def test_torch_outside_its_rooms_is_reported(tmp_path: Path, text: str) -> None:
    assert torch_outside_its_rooms(_plant(tmp_path, nn_layers=text, images_augment=text, spec=text)) == [
        "mobilenet.spec"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "from mobilenet.tasks.colours.score import score\n",
        "from mobilenet.tasks import colours\n",
        "def late():\n    import mobilenet.tasks.colours.task\n",
        "def loss(task):\n    return 1 if task == 'colours' else 2\n",
    ],
)
def test_a_generic_module_that_names_a_task_is_reported(tmp_path: Path, text: str) -> None:
    inside = {"tasks_colours/__init__": text, "tasks_colours/score": "", "tasks___init__": "DEFAULT = 'colours'\n"}
    tree = _plant(tmp_path, **inside, evaluate=text, spec='"""Of colours."""\n')
    assert named_tasks(tree) == ["mobilenet.evaluate names colours"]


_PICTURE = """# House

    src/mobilenet/
    1  spec.py      rows
       files.py     writes
    2  images/      decode.py
                    and resize.py

End
"""


def test_a_picture_that_lies_is_reported(tmp_path: Path) -> None:
    true = {"spec": "", "files": "", "images_decode": "", "images_resize": "", "images__private": ""}
    tree = _plant(tmp_path / "true", **true)
    assert not untrue_lines(_PICTURE, tree)
    assert not untrue_lines(_PICTURE.replace("resize.py", "one file per step"), tree)
    assert untrue_lines(_PICTURE.replace("resize.py", "blur.py, one file per step"), tree)
    tree = _plant(tmp_path / "false", spec="", images_decode="", images_blur="", fields="")
    assert untrue_lines(_PICTURE.replace("    1  ", "    3  "), tree) == [
        "fields is built but not drawn",
        "files is drawn but not built",
        "images/ is drawn with ['decode', 'resize'] and built with ['blur', 'decode']",
        "spec is drawn on floor 3 and tested on floor 1",
    ]
