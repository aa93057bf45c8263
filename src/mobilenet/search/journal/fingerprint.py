"""Digests of the inputs of a search: changed content behind the same names is detected."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from mobilenet.benchmark.device.profile import DeviceProfile
from mobilenet.datasets.dataset import Dataset, remembered_digests
from mobilenet.runtimes.predictor import model_file

__all__ = ["identity", "json_digest"]


def identity(dataset: Dataset, weights: Sequence[str], profile: DeviceProfile | None) -> dict[str, str]:
    """SHA-256 of the photos (names, classes, bytes), of the weights to start from, and of the given profile, by the
    name used in messages. Weights that are not local files are represented by their name."""
    return {
        "photos": json_digest(_photos(dataset)),
        "weights": json_digest([_content(source) for source in weights]),
        "device figures": "" if profile is None else json_digest(profile.to_json()),
    }


def _photos(dataset: Dataset) -> list[object]:
    parts = [
        [
            list(photos.files),
            list(photos.targets.lines(dataset.vocabulary)),
            [one.hex() for one in remembered_digests(photos)],
        ]
        for photos in (dataset.train, dataset.validation)
    ]
    return [list(dataset.vocabulary.names), parts]


def _content(source: str) -> str:
    path = Path(source)
    if not path.exists():
        return source
    file = model_file(path) if path.is_dir() else path
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def json_digest(value: object) -> str:
    """Hexadecimal SHA-256 of a JSON value, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
