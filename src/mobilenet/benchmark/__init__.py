"""Latency and memory of model files on this device; does not need torch."""

from mobilenet.benchmark.measure import Settings, measure
from mobilenet.benchmark.result import Benchmark, Contender, Environment, Timing

__all__ = ["Benchmark", "Contender", "Environment", "Settings", "Timing", "measure"]
