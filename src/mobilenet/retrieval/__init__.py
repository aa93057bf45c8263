"""Vectors of the photos in a folder: computed once, kept, and searched."""
