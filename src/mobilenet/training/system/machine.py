"""The machine of a run: its device, precision and memory allocator, and a description for the record."""

import ctypes
import os
import platform
import sys
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import numpy as np
import torch

from mobilenet import __version__
from mobilenet.errors import ConfigError
from mobilenet.training.system.processes import Processes

__all__ = ["describe_machine", "keep_freed_memory", "pick_device", "pick_precision", "versions"]

_ALONE = Processes()

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Options of glibc's mallopt(3)."""


def keep_freed_memory() -> None:
    """Let glibc reuse the memory of freed tensors instead of returning it to the system after every layer.

    Otherwise each activation of more than 32 MB takes new pages from the kernel, zeroed one by one: up to a third of
    the time of a step. Does nothing except on Linux with glibc.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 2**30)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def pick_device(name: str, processes: Processes = _ALONE) -> torch.device:
    """`auto` picks CUDA, then MPS, then the CPU; ConfigError for a device that does not exist.

    Of several processes on one machine, each uses a GPU of its own; ConfigError if there are too few.
    """
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    there = {"cpu": 1, "cuda": cards, "mps": int(torch.backends.mps.is_available())}
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if there[kind])
    kind = name.partition(":")[0]
    if kind == "cuda" and cards and processes.count > 1:
        return _own_card(name, processes, there)
    return _named(name, there)


def _named(name: str, there: Mapping[str, int]) -> torch.device:
    kind = name.partition(":")[0]
    try:
        device = torch.device(name) if there.get(kind) else None
    except RuntimeError as error:
        raise ConfigError(f"{name!r} is not a valid device; use {kind} or {kind}:0") from error
    if device is None or (device.index or 0) >= there[kind]:
        cards = [f"cuda:{number}" for number in range(there["cuda"])]
        present = ["cpu", *cards, *(["mps"] if there["mps"] else [])]
        raise ConfigError(f"there is no device {name!r} on this machine; use {', '.join(present)}")
    return device


def _own_card(name: str, processes: Processes, there: Mapping[str, int]) -> torch.device:
    """The GPU of one of several processes: NCCL does not allow two of them on one GPU."""
    cards, local_count = there["cuda"], processes.local_count
    if local_count > cards:
        raise ConfigError(
            f"there are more processes on this machine ({local_count}) than GPUs ({cards}); give torchrun "
            f"--nproc-per-node {cards}, or train on the CPU, over gloo, with --device cpu"
        )
    if local_count > 1 and name != "cuda":
        raise ConfigError(f"{local_count} processes cannot share {name}; with --device cuda each uses its own GPU")
    device = _named(f"cuda:{processes.local_rank}" if name == "cuda" else name, there)
    torch.cuda.set_device(device)
    return device


def pick_precision(name: str, device: torch.device) -> torch.dtype:
    """`auto` picks bfloat16 if the device multiplies it natively, else float32 (figures: docs/training.md)."""
    if name != "auto":
        return torch.bfloat16 if name == "bfloat16" else torch.float32
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        abilities = _abilities()
        native = device.type == "cpu" and bool(abilities.get("avx512_bf16") or abilities.get("amx_bf16"))
    return torch.bfloat16 if native else torch.float32


def describe_machine(device: torch.device) -> dict[str, Any]:
    """The hardware, without which figures cannot be compared."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    accelerator = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {
        "processor": _processor(),
        "cores": cores,
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": str(device),
        "accelerator": accelerator,
    }


def versions() -> dict[str, str]:
    """Versions of the software that computes the result."""
    return {
        "mobilenet": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "pillow": metadata.version("pillow"),
    }


def _abilities() -> Mapping[str, Any]:
    """The CPU features that torch reports; older versions of torch report none."""
    ask = getattr(torch.cpu, "get_capabilities", dict)
    return ask()


def _processor() -> str:
    return str(_abilities().get("cpu_name") or platform.processor() or platform.machine())
