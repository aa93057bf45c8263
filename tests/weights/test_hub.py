"""A hub of our own on this machine, which answers as the real one does; and no hub at all."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from time import monotonic

import pytest

constants = pytest.importorskip("huggingface_hub.constants", reason="the extra hub is not installed")

from mobilenet.errors import ModelError  # noqa: E402
from mobilenet.weights.hub import fetch  # noqa: E402

_COMMIT = "0123456789abcdef0123456789abcdef01234567"
_FILES = {
    "timm/small/resolve/main/model.safetensors": b"numbers",
    "timm/small/resolve/main/config.json": b"{}",
    "timm/bare/resolve/main/model.safetensors": b"more numbers",
    "keras/vww/resolve/main/models/vww.h5": b"an array",
    "pickles/only/resolve/main/pytorch_model.bin": b"code",
}


class _Hub(BaseHTTPRequestHandler):
    asked: list[str]

    def do_HEAD(self) -> None:
        self._answer(self.path.lstrip("/"))

    def do_GET(self) -> None:
        name = self.path.lstrip("/")
        if self._answer(name):
            self.wfile.write(_FILES[name])

    def _answer(self, name: str) -> bool:
        self.asked.append(name)
        found = name in _FILES
        self.send_response(200 if found else 404)
        if found:
            self.send_header("ETag", f'"{abs(hash(name)):x}"')
            self.send_header("X-Repo-Commit", _COMMIT)
            self.send_header("Content-Length", str(len(_FILES[name])))
        else:
            known = any(file.startswith(name.partition("/resolve/")[0]) for file in _FILES)
            self.send_header("X-Error-Code", "EntryNotFound" if known else "RepoNotFound")
            self.send_header("Content-Length", "0")
        self.end_headers()
        return found

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def _serving() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Hub) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _own_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is asked of the real hub, nothing is written into the user's cache."""
    _Hub.asked = []
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with _serving() as address:
        _move_hub(monkeypatch, address)
        yield


def _move_hub(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "ENDPOINT", address)


def _downloaded() -> set[str]:
    return {name.rpartition("/")[2] for name in _Hub.asked if "/resolve/" in name}


def test_a_model_comes_with_its_description_and_nothing_else() -> None:
    path = fetch("hf://timm/small")
    assert path.name == "model.safetensors"
    assert path.read_bytes() == b"numbers"
    assert path.with_name("config.json").read_bytes() == b"{}"
    assert _downloaded() == {"model.safetensors", "config.json"}


def test_a_model_without_a_description_is_fetched() -> None:
    path = fetch("hf://timm/bare")
    assert path.read_bytes() == b"more numbers"
    assert not path.with_name("config.json").exists()


def test_a_file_is_fetched_by_its_name() -> None:
    assert fetch("hf://keras/vww/models/vww.h5").read_bytes() == b"an array"
    assert _downloaded() == {"vww.h5"}


def test_what_was_fetched_is_there_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    fetch("hf://timm/small")
    fetch("hf://timm/bare")
    _move_hub(monkeypatch, "http://127.0.0.1:9")
    assert fetch("hf://timm/small").read_bytes() == b"numbers"
    assert fetch("hf://timm/bare").read_bytes() == b"more numbers"


def _refusal(name: str) -> str:
    with pytest.raises(ModelError) as caught:
        fetch(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_without_a_network_one_line_says_so_at_once(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # Port 9, "discard": nobody listens there.
    _move_hub(monkeypatch, "http://127.0.0.1:9")
    start = monotonic()
    message = _refusal("hf://timm/small")
    assert monotonic() - start < 10
    assert message.startswith("cannot download hf://timm/small, the hub cannot be reached: ")
    assert message.endswith("; go online, or download the file and give its path")
    assert capfd.readouterr().err == ""


def test_what_the_hub_does_not_have_is_named() -> None:
    assert _refusal("hf://nobody/nothing").startswith("hf://nobody/nothing: the hub has no model nobody/nothing")
    assert "pickles/only has no file model.safetensors; choose one with" in _refusal("hf://pickles/only")


@pytest.mark.parametrize("file", ["pytorch_model.bin", "model.pt", "model.ckpt", "model", "model.safetensors.pkl"])
def test_a_pickle_is_never_fetched(file: str) -> None:
    assert "is not a supported file; use one ending in .safetensors" in _refusal(f"hf://pickles/only/{file}")
    assert not _Hub.asked


@pytest.mark.parametrize(
    "name", ["hf://", "hf://timm", "hf://timm/", "hf://a/../b", "hf://a/b/../c.h5", "timm/small", "hf://a b/c"]
)
def test_other_names_are_refused(name: str) -> None:
    assert "is not a name on the hub; use hf://owner/name" in _refusal(name)
    assert not _Hub.asked


def test_without_the_package_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    message = _refusal("hf://timm/small")
    assert "which needs huggingface_hub; pip install 'mobilenet[hub]', or download the file" in message
