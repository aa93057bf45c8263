"""An inference graph becomes the file that another engine runs, written directly: no tracing, no converter."""
