"""Was the choice right? A search for a budget, then every candidate of the budget trained in full, in one folder.

    python benchmarks/fit.py fits/one PHOTOS --latency 1ms --threads 1 --weights FILE …

The first word is the folder; all others are those of `mobilenet fit`. Prints both choices and the regret: the accuracy
of the best file inside the budget less that of the chosen one. The two share their trainings, and go on where they
stopped. Where no file is inside, a line says so.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

NO_FILE = 1
"""What `mobilenet fit` ends with where no file is inside the budget."""


def found(folder: Path, words: list[str]) -> dict[str, Any] | None:
    """What `mobilenet fit` says, as its JSON document; None where no file is inside the budget. Ends as it does where
    it cannot search."""
    command = [sys.executable, "-m", "mobilenet", "fit", *words, "--out", str(folder), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode == NO_FILE:
        return None
    if done.returncode:
        raise SystemExit(done.returncode)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def line(name: str, document: dict[str, Any] | None) -> str:
    """One choice in words."""
    if document is None:
        return f"{name}: no file is inside the budget; the reason stands above"
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
    print(line("search    ", chosen), flush=True)
    if chosen is not None:
        (folder / "chosen.json").write_text(json.dumps(chosen, indent=1))
    best = found(folder, [*words, "--exhaustive"])
    print(line("exhaustive", best))
    if chosen is not None and best is not None:
        print(f"regret {100 * (best['chosen']['accuracy'] - chosen['chosen']['accuracy']):.2f} points")


if __name__ == "__main__":
    main()
