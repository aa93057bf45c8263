"""Two processes that train together, started by torchrun as a user starts them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import distributed, nn

from mobilenet.datasets.cache.load import load
from mobilenet.errors import ProcessError
from mobilenet.runs.metrics_log import read_metrics
from mobilenet.tasks import open_dataset
from mobilenet.tasks.classification import Classification
from mobilenet.training.loop import Stopwatch, Trainer
from mobilenet.training.recipe import make_plan
from mobilenet.training.record import card_of
from mobilenet.training.settings import TrainingSettings
from mobilenet.training.system.processes import Processes, joined, lost_process

_TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "mobilenet", "train"]
_QUICK = ["--width", "0.1", "--resolution", "32", "--batch-size", "8", "--device", "cpu", "--precision", "float32"]


@contextmanager
def _two(tmp_path: Path, *arguments: object) -> Iterator["subprocess.Popen[str]"]:
    environment = {**os.environ, "MOBILENET_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    command = [*_TORCHRUN, *map(str, arguments)]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        yield process


def test_two_processes_give_one_run_one_report_and_say_things_once(photos: Path, tmp_path: Path) -> None:
    with _two(tmp_path, photos, *_QUICK, "--epochs", 2, "--json") as process:
        out, err = process.communicate()
    assert process.returncode == 0, err
    document = json.loads(out)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["photos-mobilenet_v1-0.1-32"]
    assert (tmp_path / document["report"]).is_file()
    assert sum(line.startswith("epoch ") for line in err.splitlines()) == 2
    assert len(read_metrics(tmp_path / document["run"] / "metrics.jsonl").lines) == 2


def _workers(parent: int) -> list[int]:
    """The processes below torchrun's, by number."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with_parent = path.read_text().rpartition(")")[2].split() if path.exists() else []
        if with_parent and int(with_parent[1]) == parent:
            found.append(int(path.parent.name))
    return sorted(found)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in /proc")
def test_a_lost_process_leaves_a_checkpoint_that_one_process_goes_on_from(photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with _two(tmp_path, photos, *_QUICK, "--epochs", 6, "--checkpoint-minutes", 0, "--out", run) as process:
        while process.poll() is None and len(read_metrics(run / "metrics.jsonl").lines) < 1:
            time.sleep(0.02)
        os.kill(_workers(process.pid)[-1], signal.SIGKILL)
        _, err = process.communicate()
    assert process.returncode != 0
    said = [line for line in err.splitlines() if line.startswith("mobilenet: ")]
    how = f"resume with any number of processes: mobilenet train --resume {run}"
    # torchrun stops the others as soon as it sees it: whichever the first process notices first.
    lost = f"mobilenet: a process of this run has ended unexpectedly; {how}"
    assert said in ([lost], ["mobilenet: stopped by SIGTERM"])
    command = [sys.executable, "-m", "mobilenet", "train", "--resume", str(run), "--json"]
    environment = {**os.environ, "MOBILENET_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "resuming with another machine" in done.stderr
    assert [line["epoch"] for line in read_metrics(run / "metrics.jsonl").lines] == [1, 2, 3, 4, 5, 6]
    assert json.loads(done.stdout)["validation_photos"] == 12


@pytest.mark.parametrize(("device", "backends"), [("cpu", ["gloo", "gloo"]), ("cuda:1", ["gloo", "gloo", "nccl"])])
def test_graphics_cards_alone_talk_by_nccl(monkeypatch: pytest.MonkeyPatch, device: str, backends: list[str]) -> None:
    """Also on a machine with graphics cards, where NCCL would want one for each process."""
    asked: list[str] = []
    for name, value in (("RANK", "1"), ("WORLD_SIZE", "2"), ("LOCAL_RANK", "1"), ("LOCAL_WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(distributed, "init_process_group", asked.append)
    monkeypatch.setattr(distributed, "new_group", lambda backend, timeout=None: asked.append(backend))
    monkeypatch.setattr(distributed, "destroy_process_group", lambda: None)
    with joined() as processes:
        assert processes.on(torch.device(device)) == Processes(1, 2, 1, 2)
    assert asked == backends


def test_what_gloo_prints_is_kept_from_stdout(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(distributed, "init_process_group", lambda _: os.write(1, b"[Gloo] Rank 0 is connected"))
    monkeypatch.setattr(distributed, "new_group", lambda **_: None)
    monkeypatch.setattr(distributed, "destroy_process_group", lambda: None)
    with joined():
        print("an answer", flush=True)
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("an answer\n", "[Gloo] Rank 0 is connected")


_GLOO = "third_party/gloo/gloo/transport/tcp"


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(f"[/pytorch/{_GLOO}/pair.cc:553] Connection closed by peer [127.0.0.1]:37811. This is typically"),
        RuntimeError(f"[../{_GLOO}/unbound_buffer.cc:78] Timed out waiting 3000ms for recv operation to complete"),
        RuntimeError(f"Gloo connectFullMesh failed with [../{_GLOO}/pair.cc:144] no error"),
        distributed.DistBackendError("NCCL error in: ProcessGroupNCCL.cpp:3000, remote process exited"),
        distributed.DistNetworkError("failed to recv, got 0 bytes"),
        distributed.DistStoreError("wait timeout after 4000ms, keys: /default_pg/0//cpu//0/1"),
    ],
)
def test_what_torch_says_of_a_lost_process_is_one_error(error: RuntimeError) -> None:
    with pytest.raises(ProcessError, match="a process of this run has ended unexpectedly"), lost_process():
        raise error


@pytest.mark.parametrize(
    "text",
    [
        "no connection to the data store",
        "Connection of layers 3 and 4: shapes (8, 16) and (8, 32) do not fit",
        "gloo is not built into this torch",
        "NCCL is not available",
        f"[enforce fail at /pytorch/{_GLOO}/buffer.cc:61] offset_ <= size_. 8 vs 4",
        f"cannot read [x/{_GLOO}/a.jpg:3] ",
    ],
)
def test_other_errors_that_mention_connections_stay_what_they_are(text: str) -> None:
    error = RuntimeError(text)
    with pytest.raises(RuntimeError) as found, lost_process():
        raise error
    assert found.value is error


_SURVIVOR = """
import os, torch
from mobilenet.errors import ProcessError
from mobilenet.training.system.processes import joined
try:
    with joined() as processes:
        processes.wait()
        if not processes.writes:
            os._exit(0)
        processes.total(torch.ones(3))
except ProcessError as error:
    print(error)
"""


def test_the_real_loss_of_a_process_is_recognised() -> None:
    """The words of the torch that is installed, not those that a test has learned."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    command = [sys.executable, "-c", _SURVIVOR]
    leaver = subprocess.Popen(command, env={**shared, "RANK": "1"})
    done = subprocess.run(command, env={**shared, "RANK": "0"}, capture_output=True, text=True, check=False, timeout=60)
    assert leaver.wait(60) == 0
    assert done.stdout == "a process of this run has ended unexpectedly\n", done.stderr


class _Half(Processes):
    """The place of one of several processes, which are run one after the other in this one."""

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """Its own part."""
        return values

    def wrap(self, network: nn.Module, device: torch.device) -> nn.Module:
        """Its own gradients."""
        return network


@pytest.mark.parametrize("count", [2, 3])
def test_the_shares_of_a_batch_make_its_loss_and_its_gradient(
    photos: Path, tmp_path: Path, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where norms do not look at the batch, the mean gradient of all processes is that of the batch; 8 photos are not
    shared evenly by 3."""
    data = open_dataset(photos)
    cached = load(data.train, 48, directory=tmp_path / "cache")
    settings = TrainingSettings(
        photos, width_multiplier=0.1, resolution=32, batch_size=8, epochs=1, precision="float32"
    )
    plan = make_plan(settings, len(cached))
    card = card_of(settings, Classification(), data.vocabulary)

    def first_step(processes: Processes) -> tuple[torch.Tensor, torch.Tensor]:
        torch.manual_seed(0)
        from mobilenet.nn.network import TableNetwork

        trainer = Trainer(
            TableNetwork(card.network()),
            Classification().objective(card, settings),
            cached,
            settings,
            plan,
            torch.device("cpu"),
            torch.float32,
            processes,
        )
        monkeypatch.setattr(trainer, "_thaw", lambda: setattr(trainer, "_forward", trainer.network.eval()))
        gradients: list[torch.Tensor] = []

        def stop() -> None:
            gradients.extend(p.grad.flatten() for p in trainer.network.parameters() if p.grad is not None)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            trainer.train_epoch(0, Stopwatch(), after_step=stop)
        return trainer.sums[0], torch.cat(gradients)

    want_sums, want = first_step(Processes())
    parts = [first_step(_Half(rank, count)) for rank in range(count)]
    assert torch.allclose(sum(sums for sums, _ in parts), want_sums, atol=1e-6)
    mean = sum(gradient for _, gradient in parts) / count
    # Sums in another order.
    assert torch.allclose(mean, want, rtol=1e-3, atol=1e-6)
