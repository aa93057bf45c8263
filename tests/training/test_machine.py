"""The machine: devices by name, number formats, what is recorded."""

import pytest
import torch

from mobilenet.errors import ConfigError
from mobilenet.training.system import machine
from mobilenet.training.system.processes import Processes

_CPU = torch.device("cpu")


def test_a_device_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match="no device 'tpu' on this machine; use cpu"):
        machine.pick_device("tpu")
    with pytest.raises(ConfigError, match="is not a valid device"):
        machine.pick_device("cpu:one")


@pytest.fixture
def two_cards(monkeypatch: pytest.MonkeyPatch) -> list[torch.device]:
    """A machine with two graphics cards; the cards that a process has made its own."""
    chosen: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    return chosen


@pytest.mark.parametrize("name", ["cpu", "cuda", "cuda:0", "cuda:1"])
def test_a_card_is_taken_by_its_number(two_cards: list[torch.device], name: str) -> None:
    assert machine.pick_device(name) == torch.device(name)
    assert machine.pick_device("auto") == torch.device("cuda")


@pytest.mark.parametrize("name", ["cuda:2", "cuda:99", "mps", "cpu:1"])
def test_a_number_that_no_card_has_is_named_with_those_that_are(two_cards: list[torch.device], name: str) -> None:
    with pytest.raises(ConfigError, match=f"^there is no device '{name}' on this machine; use cpu, cuda:0, cuda:1$"):
        machine.pick_device(name)


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_each_process_takes_a_card_of_its_own(two_cards: list[torch.device], name: str) -> None:
    devices = [machine.pick_device(name, Processes(rank, 4, rank % 2, 2)) for rank in range(4)]
    assert devices == two_cards == [torch.device("cuda", number) for number in (0, 1, 0, 1)]


def test_one_process_on_each_machine_may_choose_its_card(two_cards: list[torch.device]) -> None:
    assert machine.pick_device("cuda:1", Processes(1, 2)) == torch.device("cuda", 1)
    assert two_cards == [torch.device("cuda", 1)]


def test_more_processes_than_cards_are_told_what_to_do(two_cards: list[torch.device]) -> None:
    for rank in range(3):
        with pytest.raises(ConfigError) as caught:
            machine.pick_device("auto", Processes(rank, 3, rank, 3))
        assert str(caught.value) == (
            "there are more processes on this machine (3) than GPUs (2); give torchrun --nproc-per-node 2, "
            "or train on the CPU, over gloo, with --device cpu"
        )
        assert machine.pick_device("cpu", Processes(rank, 3, rank, 3)) == _CPU
    with pytest.raises(ConfigError, match=r"^2 processes cannot share cuda:1; with --device cuda each uses its own"):
        machine.pick_device("cuda:1", Processes(0, 2, 0, 2))
    assert not two_cards


def test_auto_takes_an_accelerator_where_there_is_one() -> None:
    alone = not (torch.cuda.is_available() or torch.backends.mps.is_available())
    assert (machine.pick_device("auto") == _CPU) == alone


@pytest.mark.parametrize(
    ("abilities", "precision"),
    [
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"avx512_f": True, "avx512_bf16": False}, torch.float32),
        ({"amx_bf16": True}, torch.bfloat16),
        ({}, torch.float32),
    ],
)
def test_auto_takes_bfloat16_where_the_processor_multiplies_it(
    monkeypatch: pytest.MonkeyPatch, abilities: dict[str, bool], precision: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities, raising=False)
    assert machine.pick_precision("auto", _CPU) == precision
    assert machine.pick_precision("float32", _CPU) == torch.float32
    assert machine.pick_precision("bfloat16", _CPU) == torch.bfloat16


def test_a_torch_that_cannot_tell_means_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert machine.pick_precision("auto", _CPU) == torch.float32
    assert machine.describe_machine(_CPU)["processor"]


def test_the_machine_is_described_in_plain_values() -> None:
    description = machine.describe_machine(_CPU)
    assert description["cores"] >= 1
    assert description["accelerator"] is None
    assert set(machine.versions()) == {"mobilenet", "python", "torch", "numpy", "pillow"}


def test_keeping_memory_can_be_asked_for_twice() -> None:
    machine.keep_freed_memory()
    machine.keep_freed_memory()
