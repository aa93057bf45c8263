"""Weights from Keras HDF5 files."""
