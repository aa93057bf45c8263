"""A device's profile: a grid of networks, measured, and estimates for the others."""
