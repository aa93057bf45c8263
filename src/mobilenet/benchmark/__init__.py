"""How fast a model file is on this device, and how much memory it takes; needs no torch."""

from mobilenet.benchmark.measure import Settings, measure
from mobilenet.benchmark.result import Benchmark, Contender, Environment, Timing

__all__ = ["Benchmark", "Contender", "Environment", "Settings", "Timing", "measure"]
