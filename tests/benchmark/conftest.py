"""Figures that can be checked by hand."""

import pytest

from mobilenet.benchmark import Benchmark, Contender, Environment, Timing


@pytest.fixture
def timing() -> Timing:
    """A contender whose latencies lie evenly between 1 and 2 ms."""
    return Timing(
        contender=Contender("a.tflite", "litert", 1),
        resolution=32,
        file_bytes=1000,
        calls=500,
        p50_ms=1.5,
        p95_ms=1.95,
        p99_ms=1.99,
        images_per_second=666.667,
        processor_ms=1.4,
        waited=0.001,
        ratio=1.0,
        ratio_quartiles=(1.0, 1.0),
        opening_p50_ms=1.5,
        steady_p50_ms=1.5,
        drift=None,
        import_ms=100.0,
        load_ms=2.0,
        first_ms=3.0,
        engine_bytes=10_000_000,
        peak_bytes=2_000_000,
        idles=True,
        quantiles_ms=tuple(1 + percent / 100 for percent in range(101)),
    )


@pytest.fixture
def benchmark(timing: Timing) -> Benchmark:
    """One contender on a board at rest."""
    environment = Environment(
        processor="Raspberry Pi 5",
        cores=4,
        memory_bytes=8_000_000_000,
        system="Linux 6.6 aarch64",
        governor="ondemand",
        clocks_mhz=(1500.0, 2400.0),
        temperatures_c=(45.0, 61.5),
        load=0.1,
        versions={"python": "3.11.7", "ai-edge-litert": "2.3.0"},
    )
    return Benchmark(5.0, 50, None, environment, (timing,))
