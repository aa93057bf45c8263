"""Writes the land of the package's world map from Natural Earth's, as the npm package world-atlas has it.

    npm pack world-atlas@2.0.2 && tar xf world-atlas-2.0.2.tgz
    python benchmarks/convert_natural_earth.py package/land-110m.json src/mobilenet/geography/land_110m.json

Outlines that cross the antimeridian or go around a pole are cut there. Each ring of the result is a list of
longitude and latitude in hundredths of a degree (1.1 km): the first corner, then the steps from corner to corner.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mobilenet.files import atomic_write
from mobilenet.geography.antimeridian import Outline, cut_ring

_SOURCE = "Natural Earth, 1:110m land, version 4.1.0: public domain; by way of the npm package world-atlas 2.0.2 (ISC)"


def rings(topology: dict[str, Any]) -> Iterator[Outline]:
    """The rings of the object `land`, each (N, 2) with what it is drawn around on its left: land, or a lake in it.

    TopoJSON has outer rings clockwise and holes counterclockwise; arcs are in steps, and ~i is arc i backwards.
    """
    scale, shift = (np.array(topology["transform"][name]) for name in ("scale", "translate"))
    arcs = [np.cumsum(arc, axis=0) * scale + shift for arc in topology["arcs"]]
    for shape in topology["objects"]["land"]["geometries"]:
        for polygon in shape["arcs"]:
            for place, ring in enumerate(polygon):
                joined = [arcs[arc] if arc >= 0 else arcs[~arc][::-1] for arc in ring]
                # The last point of each arc is the first of the next.
                corners = np.concatenate([arc[:-1] for arc in joined])[:, ::-1]
                yield corners[::-1] if place == 0 else corners


def converted(topology: dict[str, Any]) -> dict[str, Any]:
    """The document of the package; corners that coincide in hundredths of a degree are one."""
    found = list[list[int]]()
    for ring in rings(topology):
        for part in cut_ring(ring):
            corners = np.round(part[:, ::-1] * 100).astype(int)
            corners = corners[np.any(corners != np.roll(corners, 1, axis=0), axis=1)]
            if len(corners) >= 3:
                found.append(np.diff(corners, axis=0, prepend=[[0, 0]]).ravel().tolist())
    return {"source": _SOURCE, "rings": found}


def main(words: list[str] | None = None) -> int:
    """Convert one file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("topology", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args(words)
    document = converted(json.loads(options.topology.read_text("utf-8")))
    text = json.dumps(document, separators=(",", ":")).replace("],[", "],\n[")
    with atomic_write(options.out) as file:
        file.write(f"{text}\n".encode("ascii"))
    print(f"{len(document['rings'])} rings, {options.out.stat().st_size:,} bytes: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
