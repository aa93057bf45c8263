"""Kernels of x86 processors that are not here, in plain C: SIMDe computes what their instructions do. In 8 bits they
equal the plain kernels bit for bit; of their speed this says nothing."""

import ctypes
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.export.c_files import TIERS, raw_answers
from tests.export.random_graphs import computed, random_graphs

from mobilenet.export.c.model import c_model
from mobilenet.model.outputs import Output

_SIMDE = Path("/usr/include/simde/x86/avx512.h")

pytestmark = pytest.mark.skipif(
    not _SIMDE.is_file(), reason="SIMDe is not installed; on Debian: apt-get install libsimde-dev"
)

_EMULATED = {"avx2": 1, "avx-vnni": 2, "avx512": 3}
_NETWORKS = 30
_PLACE = "/* the functions */"

# Three conversions that SIMDe does not have.
_MISSING = """
#include <simde/x86/avx512.h>
#include <simde/x86/fma.h>
static simde__m512 simde_mm512_cvtepi32_ps(simde__m512i a) {
    int32_t from[16]; float to[16]; simde__m512 made; int i;
    memcpy(from, &a, 64);
    for (i = 0; i < 16; i++) to[i] = (float)from[i];
    memcpy(&made, to, 64);
    return made;
}
static simde__m512i simde_mm512_cvtps_epi32(simde__m512 a) {
    float from[16]; int32_t to[16]; simde__m512i made; int i;
    memcpy(from, &a, 64);
    for (i = 0; i < 16; i++) to[i] = (int32_t)__builtin_nearbyintf(from[i]);
    memcpy(&made, to, 64);
    return made;
}
static simde__m128i simde_mm512_cvtepi32_epi8(simde__m512i a) {
    int32_t from[16]; uint8_t to[16]; simde__m128i made; int i;
    memcpy(from, &a, 64);
    for (i = 0; i < 16; i++) to[i] = (uint8_t)from[i];
    memcpy(&made, to, 16);
    return made;
}
"""


def _emulated(data: bytes) -> str:
    """The text of a C file with SIMDe's functions in place of the compiler's own."""
    text = data.decode("ascii").replace("#include <immintrin.h>\n", _PLACE)
    text = re.sub(r"\b_mm(\d*)_", r"simde_mm\1_", text)
    text = re.sub(r"\b__m(\d+)(i?)\b", r"simde__m\1\2", text)
    text = text.replace("simde_mm256_dpbusd_avx_epi32", "simde_mm256_dpbusd_epi32")
    text = re.sub(r'__attribute__\(\(target\("[^"]*"\)\)\)', "", text).replace("__builtin_cpu_init();", "")
    # Of the two ways to a dot product, that by an intrinsic.
    text = text.replace("#if defined(__clang__)\n    *sum", "#if 1\n    *sum")
    return text.replace(_PLACE, _MISSING)


def _answers(
    data: bytes, outputs: tuple[Output, ...], image: NDArray[np.uint8], tier: int, folder: Path
) -> dict[str, NDArray[np.float32]]:
    source, library = folder / "emulated.c", folder / f"emulated{len(list(folder.iterdir()))}.so"
    source.write_text(_emulated(data), "ascii")
    options = "-std=gnu99", "-w", "-O1", "-mavx2", "-mfma", f"-DNETWORK_TIER={tier}", "-shared", "-fPIC"
    subprocess.run(["gcc", *options, "-o", library, source], check=True, capture_output=True)
    made = {output.name: np.full(output.shape, np.nan, np.float32) for output in outputs}
    places = [values.ctypes.data for values in (np.ascontiguousarray(image), *made.values())]
    assert ctypes.CDLL(str(library)).network_run(*map(ctypes.c_void_p, places)) == 0
    return made


@pytest.mark.parametrize("tier", _EMULATED)
def test_emulated_kernels_equal_the_plain_ones(tier: str, tmp_path: Path) -> None:
    for seed in range(_NETWORKS):
        fine, coarse = random_graphs(seed)
        side, outputs = fine.card.resolution, fine.card.outputs
        image = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
        data = c_model(coarse)
        plain = raw_answers(data, outputs, image, tmp_path, *TIERS["plain"])
        found = _answers(data, outputs, image, _EMULATED[tier], tmp_path)
        for name, values in plain.items():
            np.testing.assert_array_equal(found[name], values)
        real = _answers(c_model(fine), outputs, image, _EMULATED[tier], tmp_path)
        for name, values in computed(fine, image).items():
            scale = max(1.0, float(np.abs(values).max()))
            # float32 rounds at 6e-8 of each number, over some ten layers.
            np.testing.assert_allclose(real[name], values, rtol=1e-5, atol=1e-5 * scale)
    print(f"\n{tier}: {_NETWORKS} random networks as the plain kernels")
