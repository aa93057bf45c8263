"""Optimisers and the moving average of the weights."""
