"""Training from shards is training from the folder that they were packed from."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from mobilenet.cli.main import main
from mobilenet.datasets.pack import pack
from mobilenet.errors import ConfigError
from mobilenet.runs.metrics_log import read_metrics
from mobilenet.tasks.classification import Classification
from mobilenet.training.run import resume, train
from mobilenet.training.settings import TrainingSettings
from mobilenet.training.tracking.listener import Silence
from mobilenet.training.tracking.tracker import TIMING

_QUICK: dict[str, Any] = {"width_multiplier": 0.1, "resolution": 32, "epochs": 2, "batch_size": 8, "device": "cpu"}


class _Stop(Silence):
    """Presses Ctrl-C when an epoch is over."""

    def epoch(self, line: dict[str, Any]) -> None:
        raise KeyboardInterrupt


def _same(one: Path, other: Path) -> None:
    weights = [load_file(run / "model.safetensors") for run in (one, other)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0] | weights[1])
    lines = [
        [
            {key: value for key, value in line.items() if key not in TIMING}
            for line in read_metrics(run / "metrics.jsonl").lines
        ]
        for run in (one, other)
    ]
    assert lines[0] == lines[1]
    configs = [json.loads((run / "config.json").read_text()) for run in (one, other)]
    assert configs[0]["data"]["hash"] == configs[1]["data"]["hash"]
    assert (one / "photos.jsonl").read_bytes() == (other / "photos.jsonl").read_bytes()


@pytest.mark.parametrize("part", [".", "train"])
def test_shards_and_their_folder_give_the_same_weights(photos: Path, tmp_path: Path, part: str) -> None:
    """With the split of the folder, and with one that is made; batches decoded each time they are used."""
    pack(photos / part, Classification(), tmp_path / "shards", shard_bytes=100_000)
    train(TrainingSettings(photos / part, **_QUICK), tmp_path / "one")
    train(TrainingSettings(tmp_path / "shards", cache_bytes=0, **_QUICK), tmp_path / "other")
    _same(tmp_path / "one", tmp_path / "other")


def test_parquet_and_its_folder_give_the_same_weights(photos: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra hub is not installed")
    import pyarrow

    for split in ("train", "validation"):
        files = sorted((photos / split).rglob("*.png"), key=str)
        columns = {"image": [path.read_bytes() for path in files], "label": [path.parent.name for path in files]}
        (tmp_path / "set").mkdir(exist_ok=True)
        parquet.write_table(pyarrow.table(columns), tmp_path / "set" / f"{split}-0.parquet", row_group_size=7)
    train(TrainingSettings(photos, **_QUICK), tmp_path / "one")
    train(TrainingSettings(tmp_path / "set", **_QUICK), tmp_path / "other")
    weights = [load_file(tmp_path / run / "model.safetensors") for run in ("one", "other")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_run_on_shards_goes_on_and_notices_another_shard(photos: Path, tmp_path: Path) -> None:
    pack(photos, Classification(), tmp_path / "shards")
    for name in ("one", "other"):
        with pytest.raises(KeyboardInterrupt):
            train(TrainingSettings(tmp_path / "shards", **_QUICK), tmp_path / name, listener=_Stop())
    train(TrainingSettings(photos, **_QUICK), tmp_path / "whole")
    resume(tmp_path / "one")
    _same(tmp_path / "one", tmp_path / "whole")
    next((photos / "train" / "dark").iterdir()).unlink()
    for path in (tmp_path / "shards").iterdir():
        path.unlink()
    pack(photos, Classification(), tmp_path / "shards")
    with pytest.raises(ConfigError, match="was trained on something else: photos removed: 'dark/"):
        resume(tmp_path / "other")


def test_a_run_on_an_address_goes_on(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec = pytest.importorskip("fsspec", reason="the extra hub is not installed")
    pack(photos, Classification(), tmp_path / "shards", shard_bytes=100_000)
    for path in (tmp_path / "shards").iterdir():
        fsspec.filesystem("memory").pipe_file(f"/bucket/set/{path.name}", path.read_bytes())
    train(TrainingSettings(photos, **_QUICK), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(TrainingSettings(Path("memory://bucket/set"), **_QUICK), tmp_path / "run", listener=_Stop())
    monkeypatch.chdir(tmp_path / "cache")
    resume(tmp_path / "run")
    _same(tmp_path / "run", tmp_path / "whole")
    assert json.loads((tmp_path / "run" / "config.json").read_text())["data"]["root"] == "memory://bucket/set"
    fsspec.filesystem("memory").rm("/bucket", recursive=True)


def test_the_commands_take_shards_in_place_of_folders(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["pack", str(photos), "--out", "shards"]) == 0
    small = ["--width", "0.1", "--resolution", "32", "--epochs", "1", "--device", "cpu", "--learning-rate", "1e-6"]
    assert main(["train", "shards/{train,validation}-{000000..000000}.tar", *small]) == 0
    run = Path("runs/train-validation-000000-000000-mobilenet_v1-0.1-32")
    assert "data:image/jpeg;base64," in (run / "report.html").read_text("utf-8")
    capsys.readouterr()
    for data in ("shards", str(photos)):
        assert main(["evaluate", str(run), data, "--json"]) == 0
    shards, folder = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (shards["loss"], shards["photos"]) == (folder["loss"], 12)
    assert (shards["confusion"], shards["mistakes"]) == (folder["confusion"], folder["mistakes"])
    assert main(["check", "shards", "--html", "check.html"]) == 0
