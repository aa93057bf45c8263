"""Answers as a file for maps: GeoJSON (RFC 7946)."""

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from mobilenet.files import atomic_write
from mobilenet.geography.geojson import collection, disc, encoded, feature, point
from mobilenet.model.card import ModelCard
from mobilenet.tasks.geolocation.answers import Taken
from mobilenet.tasks.task import Answer, Writer

__all__ = ["WRITERS", "GeoJsonFile"]


class GeoJsonFile:
    """A `FeatureCollection` with a point for each photo, whose properties are the photo's name and the answer as in
    `predict --json`, and a circle for each of its radii, with the name, `radius_km` and `percent`."""

    def __init__(self, file: Path, _card: ModelCard) -> None:
        self._file, self._features = file, list[dict[str, Any]]()

    def add(self, name: PurePosixPath, _photo: Path, answer: Answer) -> None:
        """Remembers where a photo was taken."""
        if not isinstance(answer, Taken):
            raise TypeError(f"the answer is {type(answer).__name__}, not a place")
        place = answer.latitude, answer.longitude
        properties = {key: value for key, value in answer.to_json().items() if key not in ("latitude", "longitude")}
        self._features.append(feature(point(*place), {"file": str(name), **properties}))
        for percent, radius in answer.radii.items():
            said = {"file": str(name), "percent": float(percent), "radius_km": radius}
            self._features.append(feature(disc(*place, radius), said))

    def finish(self) -> None:
        """Writes the file; StorageError."""
        with atomic_write(self._file) as file:
            file.write(encoded(collection(self._features)))


WRITERS: Mapping[str, Callable[[Path, ModelCard], Writer]] = {"geojson": GeoJsonFile}
"""By the name for `predict --save`."""
