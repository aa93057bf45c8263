"""Chooses width, resolution and precision by a budget, on the user's photos: `mobilenet fit`."""
