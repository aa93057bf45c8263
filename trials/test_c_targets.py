"""The same C file on processors that are not here, in emulators: every output has the bits of this machine."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mobilenet.benchmark.device.untrained import untrained
from mobilenet.export.c.model import c_model
from mobilenet.images import Preprocessing
from mobilenet.model.card import ModelCard
from mobilenet.model.head import Head
from mobilenet.model.outputs import Output
from mobilenet.runtimes.c_file import header_of
from mobilenet.spec.mobilenet import CLASSIFIER

_TARGETS = Path(__file__).parent / "c_targets"
_PHOTOS = 2
_ARM, _MACHINE, _AARCH64 = "arm-none-eabi-gcc", "qemu-system-arm", "aarch64-linux-gnu-gcc"

_MOST_CODE, _MOST_CONSTANTS, _MOST_MEMORY = 4_000, 240_000, 20_000
"""Bytes of 0.25-96 with 2 classes on a Cortex-M."""

_MACHINES = {
    "mps2-an385": (("-mcpu=cortex-m3",), 0x0, 0x2000_0000, 0x40_0000),
    "mps2-an386": (("-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"), 0x0, 0x2000_0000, 0x40_0000),
    "mps2-an500": (("-mcpu=cortex-m7", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"), 0x0, 0x2000_0000, 0x40_0000),
    "mps3-an547": (("-mcpu=cortex-m55", "-mfloat-abi=hard"), 0x1000_0000, 0x3000_0000, 0x8_0000),
}
"""Boards of the emulator: flags of the compiler, where constants and variables are, and how many bytes of these."""


def _needs(*programs: str) -> None:
    if missing := [name for name in programs if shutil.which(name) is None]:
        pytest.skip(
            f"{', '.join(missing)} is not installed; on Debian: apt-get install gcc-arm-none-eabi "
            "libnewlib-arm-none-eabi qemu-system-arm gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"
        )


def _run(*command: str | Path) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def _photos() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (_PHOTOS, 96, 96, 3), np.uint8)


def _written(folder: Path, plan: str) -> Path:
    """A file of 0.25-96 that returns its logits, and photos, in a folder."""
    card = ModelCard("mobilenet_v1", 0.25, 96, ("no", "yes"), Preprocessing(96), task="classification")
    rows = card.network().rows[len(card.body().rows) :]
    card = replace(card, head=Head(tuple(rows), (Output("answer", (CLASSIFIER,), (2,)),)))
    data = c_model(untrained(card, "int8"), None, "network", "small" if plan == "small" else "speed")
    folder.mkdir(exist_ok=True)
    (folder / "network.c").write_bytes(data)
    (folder / "network.h").write_bytes(header_of(data))
    numbers = ",\n".join(f"{{{','.join(map(str, photo.ravel()))}}}" for photo in _photos())
    text = f"#define PHOTOS {_PHOTOS}\nstatic const unsigned char photos[][27648] = {{\n{numbers}\n}};\n"
    (folder / "photos.h").write_text(text, "ascii")
    return folder


def _hosted(folder: Path, compiler: str, options: Sequence[str]) -> Path:
    program = folder / "program"
    sources = _TARGETS / "main.c", _TARGETS / "hosted.c", folder / "network.c"
    _run(compiler, "-std=c99", "-O2", *options, f"-I{folder}", *sources, "-o", program)
    return program


def _expected(folder: Path) -> str:
    found = _run(_hosted(folder, "cc", ()))
    assert len(re.findall(r"[0-9a-f]{8}", found)) == 2 * _PHOTOS
    return found


@pytest.mark.parametrize("machine", _MACHINES)
def test_a_microcontroller_answers_as_this_machine(machine: str, tmp_path: Path) -> None:
    _needs(_ARM, _MACHINE)
    folder = _written(tmp_path / "small", "small")
    options, flash, memory, size = _MACHINES[machine]
    places = f"-Wl,--gc-sections,--defsym=FLASH={flash},--defsym=RAM={memory},--defsym=RAM_SIZE={size}"
    sources = _TARGETS / "main.c", _TARGETS / "cortex_m.c", folder / "network.c"
    image = folder / "image.elf"
    _run(
        _ARM, "-std=c99", "-Os", "-mthumb", *options, "-ffunction-sections", "-fdata-sections", f"-I{folder}",
        "-nostartfiles", places, "-T", _TARGETS / "cortex_m.ld", *sources, "-o", image, "-lc", "-lgcc",
    )  # fmt: skip
    board = "-M", machine, "-nographic", "-semihosting-config", "enable=on,target=native"
    done = subprocess.run(
        [_MACHINE, *board, "-kernel", image], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0
    assert done.stdout + done.stderr == _expected(folder)


@pytest.mark.parametrize("options", [("-march=armv8-a",), ("-march=armv8.2-a+dotprod",)], ids=str)
@pytest.mark.parametrize("plan", ["speed", "small"])
def test_aarch64_answers_as_this_machine(plan: str, options: tuple[str, ...], tmp_path: Path) -> None:
    _needs(_AARCH64, "qemu-aarch64")
    folder = _written(tmp_path / plan, plan)
    expected = _expected(folder)
    assert _run("qemu-aarch64", _hosted(folder, _AARCH64, (*options, "-static"))) == expected


def test_a_microcontroller_has_room_for_it(tmp_path: Path) -> None:
    _needs(_ARM)
    folder = _written(tmp_path / "small", "small")
    _run(_ARM, "-std=c99", "-Os", "-mthumb", "-mcpu=cortex-m3", "-c", folder / "network.c", "-o", folder / "network.o")
    sizes = {
        name: int(size)
        for name, size in re.findall(
            r"^\.(text|rodata|bss)\S*\s+(\d+)", _run("arm-none-eabi-size", "-A", folder / "network.o"), re.MULTILINE
        )
    }
    figures = ("text", "code", _MOST_CODE), ("rodata", "constants", _MOST_CONSTANTS), ("bss", "memory", _MOST_MEMORY)
    for section, what, most in figures:
        print(f"\n0.25-96 with 2 classes, Cortex-M3: {sizes[section]:,} bytes of {what}, {most:,} allowed")
        assert sizes[section] <= most
    said = {
        name: int(value)
        for name, value in re.findall(r"NETWORK_(ARENA|FLASH)_BYTES (\d+)", (folder / "network.h").read_text())
    }
    assert said["ARENA"] == sizes["bss"]
    assert sizes["text"] + sizes["rodata"] <= said["FLASH"] <= sizes["text"] + sizes["rodata"] + 4_000
