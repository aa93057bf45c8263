"""Memory of a process, in processes of their own: a test runner is large already."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak is reset on Linux alone")

_BYTES = 64_000_000
_TOLERANCE = 8_000_000
"""What an interpreter takes on the way."""

_IMPORT = "from mobilenet.benchmark.worker.memory import forget_peak, peak_bytes, resident_bytes\n"


def _run(script: str) -> list[int]:
    done = subprocess.run([sys.executable, "-c", _IMPORT + script], capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()]


def test_the_peak_stays_when_memory_is_given_back_until_it_is_forgotten() -> None:
    before, peak, after, forgotten = _run(
        f"before = resident_bytes()\nheld = bytes(b'x' * {_BYTES})\ndel held\n"
        "print(before, peak_bytes(), resident_bytes())\n"
        "forget_peak()\nprint(peak_bytes())\n"
    )
    assert peak - before == pytest.approx(_BYTES, abs=_TOLERANCE)
    assert after - before < _TOLERANCE
    assert forgotten - before < _TOLERANCE


def test_memory_of_the_process_that_started_this_one_does_not_count() -> None:
    (small,) = _run("print(peak_bytes())")
    (started_by_large,) = _run(
        f"import subprocess, sys\nheld = b'x' * {_BYTES * 2}\n"
        f"print(subprocess.run([sys.executable, '-c', {_IMPORT + 'print(peak_bytes())'!r}], capture_output=True, "
        "text=True, check=True).stdout)"
    )
    assert started_by_large == pytest.approx(small, abs=_TOLERANCE)
