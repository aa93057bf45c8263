"""The profile of a device: measurements of a grid of networks, and estimates for the others."""
