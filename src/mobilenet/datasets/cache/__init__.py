"""Photos decoded once: uint8 squares on disk, memory-mapped."""
