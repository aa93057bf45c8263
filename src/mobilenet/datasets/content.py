"""Digests of the bytes of photos: what makes two files the same photo."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

from mobilenet.datasets.photos import Photos
from mobilenet.errors import ImageError
from mobilenet.images.decode import read_photo

__all__ = ["DIGEST_BYTES", "digest", "digests"]

DIGEST_BYTES = 16


def digest(data: bytes) -> bytes:
    """16 bytes that stand for `data`."""
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()


def digests(photos: Photos, workers: int | None = None) -> list[bytes]:
    """The digest of each photo's bytes; a file that cannot be read gets one of its name, and so equals no other."""
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        return list(pool.map(lambda index: _file_digest(photos, index), range(len(photos))))


def _file_digest(photos: Photos, index: int) -> bytes:
    try:
        return digest(read_photo(photos.path(index)))
    except ImageError:
        return digest(b"unreadable\0" + photos.files[index].encode(errors="surrogateescape"))
