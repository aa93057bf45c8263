"""Was the choice right? A search for a budget, then every candidate of the budget trained in full, in one folder.

    python benchmarks/fit.py fits/one PHOTOS --latency 1ms --threads 1 --weights FILE …

The first argument is the folder; all others are those of `mobilenet fit`. Prints both choices and the regret: the
accuracy of the best file that fits the budget minus that of the chosen one; with --accuracy, how many bytes larger the
chosen one is than the smallest. The two share their trainings, and can be resumed. If no file fits, a line says so.
"""

import json
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from mobilenet.cli.main import main as mobilenet

NO_FILE = 1
"""The exit code of `mobilenet fit` if no file fits the budget."""


def found(folder: Path, words: list[str]) -> dict[str, Any] | None:
    """The JSON document of `mobilenet fit`; None if no file fits the budget. Exits with its code if it fails."""
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
        return f"{name}: no file fits the budget; see above for the reason"
    winner, file = document["winner"], document["chosen"]
    return (
        f"{name}: {winner['width_multiplier']:g}-{winner['resolution']} in {file['precision']} on {file['runtime']}: "
        f"top-1 {file['accuracy']:.1%}, {file['p95_ms']:.3g} ms at p95, {file['size_bytes']:,} bytes, "
        f"{file['peak_bytes'] / 1e6:.1f} MB; {document['seconds']:.0f} s, "
        f"{document['seconds'] / document['training_seconds']:.2f} times the training of its winner"
    )


def regret(chosen: dict[str, Any], best: dict[str, Any]) -> str:
    """The regret of the choice, in words."""
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
