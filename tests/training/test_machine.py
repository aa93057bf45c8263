"""The machine: devices by name, number formats, what is recorded."""

import pytest
import torch

from mobilenet.errors import ConfigError
from mobilenet.training.system import machine

_CPU = torch.device("cpu")


def test_a_device_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match="no device 'tpu' on this machine; there is cpu"):
        machine.pick_device("tpu")
    with pytest.raises(ConfigError, match="not the name of a device"):
        machine.pick_device("cpu:one")


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
