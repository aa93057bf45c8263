"""Finding problems in a data set before training."""
