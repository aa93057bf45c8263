"""What every test finds around it, whoever runs it and on whichever machine."""

import subprocess
import sys
from pathlib import Path

import torch

import mobilenet


def test_a_process_that_a_test_starts_runs_the_code_that_is_tested(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import mobilenet; print(mobilenet.__file__)"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).samefile(mobilenet.__file__)


def test_no_graphics_card_is_seen() -> None:
    assert torch.cuda.device_count() == 0
