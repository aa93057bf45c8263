"""The cache of decoded photos: uint8 squares on disk, memory-mapped."""
