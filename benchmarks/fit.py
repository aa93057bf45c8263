"""Was the choice right? A search for a budget, then every candidate of the budget trained in full, in one folder.

    python benchmarks/fit.py fits/one PHOTOS --latency 1ms --threads 1 --weights FILE …

The first word is the folder; all others are those of `mobilenet fit`. Prints both choices and the regret: the accuracy
of the best file inside the budget less that of the chosen one; with --accuracy, by how many bytes the chosen one is
larger than the smallest. The two share their trainings, and go on where they stopped. Where no file is inside, a line
says so.
"""

import json
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from mobilenet.cli.main import main as mobilenet

NO_FILE = 1
"""What `mobilenet fit` ends with where no file is inside the budget."""


def found(folder: Path, words: list[str]) -> dict[str, Any] | None:
    """What `mobilenet fit` says, as its JSON document; None where no file is inside the budget. Ends as it does where
    it cannot search."""
    with redirect_stdout(StringIO()) as said:
        code = mobilenet(["fit", *words, "--out", str(folder), "--json"])
    if code == NO_FILE:
        return None
    if code:
        raise SystemExit(code)
    document: dict[str, Any] = json.loads(said.getvalue())
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


def regret(chosen: dict[str, Any], best: dict[str, Any]) -> str:
    """What the choice has cost, in words."""
    ours, other = chosen["chosen"], best["chosen"]
    if chosen["limits"]["accuracy"] is None:
        return f"regret {100 * (other['accuracy'] - ours['accuracy']):.2f} points"
    return f"regret {ours['size_bytes'] - other['size_bytes']:,} bytes"


def main() -> None:
    folder, words = Path(sys.argv[1]), sys.argv[2:]
    chosen = found(folder, words)
    print(line("search    ", chosen), flush=True)
    if chosen is not None:
        (folder / "chosen.json").write_text(json.dumps(chosen, indent=1))
    best = found(folder, [*words, "--exhaustive"])
    print(line("exhaustive", best))
    if chosen is not None and best is not None:
        print(regret(chosen, best))


if __name__ == "__main__":
    main()
