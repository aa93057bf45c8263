"""Was the choice right? A search for a budget, then every candidate of the budget trained in full, in one folder.

    python benchmarks/fit.py fits/one PHOTOS --latency 1ms --threads 1 --weights FILE …

The first word is the folder; all others are those of `mobilenet fit`. Prints both choices and the regret: the accuracy
of the best file inside the budget less that of the chosen one. The two share their trainings, and go on where they
stopped.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def found(folder: Path, words: list[str]) -> dict[str, Any]:
    """What `mobilenet fit` says, as its JSON document."""
    command = [sys.executable, "-m", "mobilenet", "fit", *words, "--out", str(folder), "--json"]
    document: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return document


def line(name: str, document: dict[str, Any]) -> str:
    """One choice in words."""
    winner, file = document["winner"], document["chosen"]
    return (
        f"{name}: {winner['width_multiplier']:g}-{winner['resolution']} in {file['precision']} on {file['runtime']}: "
        f"top-1 {file['accuracy']:.1%}, {file['p95_ms']:.3g} ms at p95, {file['size_bytes']:,} bytes, "
        f"{file['peak_bytes'] / 1e6:.1f} MB; {document['seconds']:.0f} s, "
        f"{document['seconds'] / document['training_seconds']:.2f} times the training of its winner"
    )


def main() -> None:
    folder, words = Path(sys.argv[1]), sys.argv[2:]
    chosen = found(folder, words)
    (folder / "chosen.json").write_text(json.dumps(chosen, indent=1))
    best = found(folder, [*words, "--exhaustive"])
    print(line("search    ", chosen))
    print(line("exhaustive", best))
    print(f"regret {100 * (best['chosen']['accuracy'] - chosen['chosen']['accuracy']):.2f} points")


if __name__ == "__main__":
    main()
