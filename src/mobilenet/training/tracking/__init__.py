"""Where the metrics of a run go, and who listens to it."""
