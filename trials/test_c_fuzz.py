"""C files of a thousand random graphs, under the sanitizers of addresses and of undefined behaviour: each computes what
NumPy does, in 8 bits bit for bit."""

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tests.export.random_graphs import computed, random_graphs

from mobilenet.export.c.model import c_model
from mobilenet.runtimes.c_file import header_of

_NETWORKS = 1000
_STRICT = "-std=c99", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror"
_SANITIZERS = "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fsanitize-address-use-after-scope"
_PROGRAM = """#include <stdio.h>
#include "network.h"

int main(void)
{{
    static unsigned char pixels[NETWORK_RESOLUTION * NETWORK_RESOLUTION * 3];
    static float {arrays};
    if (fread(pixels, 1, sizeof pixels, stdin) != sizeof pixels || network_run(pixels, {names}))
        return 1;
{writes}    return 0;
}}
"""


def _compiler(seed: int) -> tuple[str, ...]:
    """gcc with the sanitizers, and for every fifth network clang, if that is there, whose sanitizers seldom are."""
    return ("clang",) if seed % 5 == 4 and shutil.which("clang") else ("gcc", *_SANITIZERS)


def _fault(seed: int, root: Path) -> str:
    """What is wrong with the network of a seed; its plan and precision follow from the seed."""
    folder = root / str(seed)
    folder.mkdir()
    fine, coarse = random_graphs(seed)
    graph = coarse if seed // 2 % 2 else fine
    data = c_model(graph, None, "network", "small" if seed % 2 else "speed")
    outputs = graph.card.outputs
    names = [output.name for output in outputs]
    text = _PROGRAM.format(
        arrays=", ".join(f"{output.name}[{output.size}]" for output in outputs),
        names=", ".join(names),
        writes="".join(f"    fwrite({name}, 1, sizeof {name}, stdout);\n" for name in names),
    )
    for name, content in (("network.c", data), ("network.h", header_of(data)), ("main.c", text.encode("ascii"))):
        (folder / name).write_bytes(content)
    program, sources = folder / "program", (folder / "main.c", folder / "network.c")
    command = [*_compiler(seed), *_STRICT, f"-I{folder}", *sources, "-o", program]
    made = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if made.returncode:
        return made.stderr[:500]
    image = np.random.default_rng(seed).integers(0, 256, (graph.card.resolution, graph.card.resolution, 3), np.uint8)
    done = subprocess.run([program], input=image.tobytes(), capture_output=True, check=False)
    if done.returncode:
        return done.stderr.decode(errors="replace")[:500]
    expected = np.concatenate([values.ravel() for values in computed(graph, image).values()])
    found = np.frombuffer(done.stdout, np.float32)
    if graph is coarse:
        return "" if np.array_equal(found, expected) else f"{(found != expected).sum()} of {len(found)} numbers differ"
    # float32 rounds at 6e-8 of each number, over some ten layers whose sums may cancel.
    tolerance = 1e-5 * np.maximum(1.0, np.abs(expected).max())
    return "" if np.abs(found - expected).max() <= tolerance else f"differs by {np.abs(found - expected).max():.2g}"


def test_random_networks_are_computed_right_and_cleanly(tmp_path: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed; on Debian: apt-get install gcc clang")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda seed: _fault(seed, tmp_path), range(_NETWORKS))
        faults = {seed: fault for seed, fault in enumerate(found) if fault}
    print(f"\n{_NETWORKS - len(faults)} of {_NETWORKS} random networks are right and clean")
    assert not faults
