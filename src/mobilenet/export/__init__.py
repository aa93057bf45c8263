"""A trained network -> files that run on a device, and the proof that they behave like the network."""
