"""Weights from TFLite files."""
