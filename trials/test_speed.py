"""Training speed against the stock recipe and a hand-tuned loop, in one run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_DATA = _ROOT.parent / "shared" / "data" / "clothing"


@pytest.mark.skipif(not _DATA.is_dir(), reason="the photos of clothing are not beside the project")
def test_three_times_the_stock_recipe(tmp_path: Path) -> None:
    out = tmp_path / "speed.json"
    subprocess.run(
        [sys.executable, str(_ROOT / "benchmarks" / "training.py"), str(_DATA), "--out", str(out)], check=True
    )
    for result in json.loads(out.read_text())["results"]:
        assert result["against_stock"] >= 3
        assert result["against_stock_first_epoch"] >= 1
        assert result["against_tuned"] >= 1
        assert result["input_share"] <= 0.1
