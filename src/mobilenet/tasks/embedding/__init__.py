"""Embedding: a vector per photo, near those of photos of the same class, for classes that nobody has trained on too."""

from mobilenet.tasks.embedding.task import Embedding

__all__ = ["Embedding"]
