"""Figures of merit, in NumPy: arrays in, numbers out; nothing here knows of files, photos or networks."""

__all__: list[str] = []
