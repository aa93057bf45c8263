"""Runs every code block of README.md and docs/: what the documents say is what the tool does.

Each document runs in its own empty folder, its blocks in order, each `bash` and `python` block as one process. A
`text` block right behind one is its expected output, `…` standing for anything. `<!-- not run: reason -->` right before
a block leaves it out; blocks of other languages are never run.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mobilenet.cli.main import COMMANDS

_ROOT = Path(__file__).parents[1]
_DOCUMENTS = [_ROOT / "README.md", *sorted((_ROOT / "docs").rglob("*.md"))]

_COMMANDS = {"bash": ("bash", "-euo", "pipefail", "-c"), "python": (sys.executable, "-W", "error", "-c")}
_BLOCK = re.compile(
    r"(?:^<!--\ not\ run:(?P<reason>.*?)-->\s*\n)?"
    r"^```(?P<language>\w*)\ *\n(?P<code>.*?)^```\ *$"
    r"(?:\s*^```text\ *\n(?P<output>.*?)^```\ *$)?",
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)
_TIMEOUT_S = 240


@dataclass(frozen=True)
class Block:
    """One code block; `output` is what it must print, `reason` why it is not run."""

    line: int
    language: str
    code: str
    output: str | None = None
    reason: str | None = None


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a document that somebody could run, in order."""
    for match in _BLOCK.finditer(text):
        if match["language"] in _COMMANDS:
            line = text.count("\n", 0, match.start("code"))
            yield Block(line, match["language"], match["code"], match["output"], match["reason"])


def overlooked(text: str) -> list[str]:
    """Lines that look like a block or its mark but are not read as one, such as an indented fence."""
    rest = _BLOCK.sub("", text).splitlines()
    return [line for line in rest if line.lstrip().startswith(("```", "~~~", "<!-- not run"))]


def run(block: Block, folder: Path) -> str | None:
    """What is wrong with the block: it fails, or prints something else than the document says; None if nothing is."""
    if block.reason is not None:
        return None if block.reason.strip() else f"line {block.line}: not run, without a reason"
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [*_COMMANDS[block.language], block.code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        return f"line {block.line}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
    if block.output is not None and not matches(block.output, done.stdout):
        return f"line {block.line}: the document says\n{block.output}\nbut it prints\n{done.stdout}"
    return None


def matches(expected: str, printed: str) -> bool:
    """Whether the output is the expected one; `…` stands for anything, white space at the ends of lines for nothing."""
    pattern = ".*?".join(re.escape(part) for part in _trimmed(expected).split("…"))
    return re.fullmatch(pattern, _trimmed(printed), re.DOTALL) is not None


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


@pytest.mark.parametrize("document", _DOCUMENTS, ids=lambda path: path.relative_to(_ROOT).as_posix())
def test_what_a_document_shows_is_what_happens(document: Path, tmp_path: Path) -> None:
    text = document.read_text("utf-8")
    assert not overlooked(text)
    wrong = [fault for block in blocks(text) if (fault := run(block, tmp_path))]
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.parametrize("document", _DOCUMENTS, ids=lambda path: path.relative_to(_ROOT).as_posix())
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    assert not dead_links(document)


def dead_links(document: Path) -> list[str]:
    """Relative links and pictures of a document that name no file."""
    targets = re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", document.read_text("utf-8"))
    return [target for target in targets if not (document.parent / target).exists()]


def test_the_table_of_commands_has_all_of_them() -> None:
    rows = re.findall(r"^\| `mobilenet (\w+)` \|", (_ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert rows == list(COMMANDS)


def test_blocks_are_found_with_their_output_and_reason() -> None:
    text = "# Title\n\n```bash\ntrue\n```\n\n```text\nout\n```\n\n<!-- not run: slow -->\n```python\npass\n```\n"
    shell, script = blocks(text)
    assert shell == Block(3, "bash", "true\n", output="out\n")
    assert script == Block(12, "python", "pass\n", reason=" slow ")


@pytest.mark.parametrize(
    "block",
    [
        Block(1, "bash", "false | true\n"),
        Block(1, "bash", "echo $missing_variable\n"),
        Block(1, "bash", "echo 2\n", output="1\n"),
        Block(1, "python", "import warnings; warnings.warn('old')\n"),
        Block(1, "python", "print('one\\ntwo')\n", output="one\n"),
        Block(1, "bash", "true\n", reason="  "),
    ],
)
def test_a_block_that_does_not_hold_is_reported(block: Block, tmp_path: Path) -> None:
    assert run(block, tmp_path)


@pytest.mark.parametrize(
    "text", ["- a list\n  ```bash\n  ls\n  ```\n", "```bash\nls\n", "<!-- not run: far from it -->\n\nwords\n"]
)
def test_a_block_that_would_be_overlooked_is_reported(text: str) -> None:
    assert overlooked(text)
    assert not overlooked("```bash\nls\n```\n\n```text\nkept\n```\n\n<!-- not run: slow -->\n```python\npass\n```\n")


def test_a_block_that_holds_is_not_reported(tmp_path: Path) -> None:
    assert run(Block(1, "bash", "mobilenet --help >kept\n"), tmp_path) is None
    assert run(Block(1, "bash", "ls; echo 'took 3.2 s'\n", output="kept\ntook … s\n"), tmp_path) is None
    assert run(replace(Block(1, "bash", "false\n"), reason="shows a failure"), tmp_path) is None


def test_a_dead_link_is_reported(tmp_path: Path) -> None:
    document = tmp_path / "guide.md"
    document.write_text("[a](guide.md#part) ![b](images/none.png) [c](https://example.org)", "utf-8")
    assert dead_links(document) == ["images/none.png"]
