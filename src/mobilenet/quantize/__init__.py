"""From a float32 graph to an 8-bit one: calibration, equalisation, bias correction, and training with rounding."""
