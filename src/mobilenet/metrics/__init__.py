"""Metrics in NumPy: arrays in, numbers out, independent of files, photos and networks."""

__all__: list[str] = []
