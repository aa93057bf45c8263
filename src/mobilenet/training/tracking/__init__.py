"""Where the metrics of a run are logged, and listeners for its progress."""
