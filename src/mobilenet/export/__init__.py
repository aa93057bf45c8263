"""A trained network -> files that run on a device, verified against the network."""
