"""The device as its kernel describes it; the trees are cut from a Raspberry Pi and a PC."""

from pathlib import Path

import pytest

from mobilenet.benchmark.environment import clock_mhz, describe, temperature_c


def _plant(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return root


def test_a_board_is_named_by_its_device_tree(tmp_path: Path) -> None:
    root = _plant(
        tmp_path,
        {
            "proc/cpuinfo": "processor\t: 0\nBogoMIPS\t: 108.00\nCPU implementer\t: 0x41\n",
            "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
            "proc/meminfo": "MemTotal:        8245760 kB\nMemFree:          100000 kB\n",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
        },
    )
    found = describe([], root=root)
    assert (found.processor, found.governor) == ("Raspberry Pi 5 Model B Rev 1.0", "ondemand")
    assert found.memory_bytes == 8_245_760 * 1024


def test_a_pc_is_named_by_its_processor(tmp_path: Path) -> None:
    root = _plant(tmp_path, {"proc/cpuinfo": "processor\t: 0\nmodel name\t: AMD EPYC\n\nmodel name\t: AMD EPYC\n"})
    assert describe([], root=root).processor == "AMD EPYC"


def test_a_device_that_tells_nothing_is_described_all_the_same(tmp_path: Path) -> None:
    found = describe([], (None, 1.0), (None, None), root=tmp_path)
    assert found.processor
    assert found.cores >= 1
    assert (found.memory_bytes, found.governor, found.clocks_mhz, found.temperatures_c) == (None, None, None, None)


def test_the_highest_clock_and_the_hottest_sensor_count(tmp_path: Path) -> None:
    root = _plant(
        tmp_path,
        {
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "600000\n",
            "sys/devices/system/cpu/cpu11/cpufreq/scaling_cur_freq": "1800000\n",
            "sys/class/thermal/thermal_zone0/temp": "48312\n",
            "sys/class/thermal/thermal_zone1/temp": "61500\n",
            "sys/class/thermal/thermal_zone2/temp": "asleep\n",
        },
    )
    assert clock_mhz(root) == 1800
    assert temperature_c(root) == 61.5
    assert describe([], (600.0, 1800.0), (48.0, 61.5), root=root).clocks_mhz == (600, 1800)
    assert clock_mhz(tmp_path / "none") is None
    assert temperature_c(tmp_path / "none") is None


def test_versions_are_those_of_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    versions = describe(["numpy", "no-such-package"]).versions
    assert versions["numpy"] == np.__version__
    assert "no-such-package" not in versions
