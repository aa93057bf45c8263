"""Checkpoints, and whether a resumed run is the one that was stopped."""
