"""From a float32 graph to an 8-bit one: calibration, equalisation, bias correction, quantisation-aware fine-tuning."""
