"""What a file answers where an app shrinks photos: on photos whose answer depends on how."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.cli.conftest import COLOURS, ColourPredictor

from mobilenet.datasets import Photos
from mobilenet.export.proof import resizing
from mobilenet.export.proof.resizing import measure_resizing, resize_photos
from mobilenet.images import RESIZE_METHODS, to_square
from mobilenet.tasks.classification import Classification, ClassTargets

_GREEN = ColourPredictor.labels.index("green")
_RED = ColourPredictor.labels.index("red")


def _photos(folder: Path) -> Photos:
    """Three photos of green with a third of red stripes, two of red, and one that cannot be read."""
    for number in range(6):
        square = np.full((96, 96, 3), COLOURS["green" if number < 3 else "red"], np.uint8)
        square[:, ::3] = COLOURS["red"]
        Image.fromarray(square).save(folder / f"{number}.png")
    (folder / "3.png").write_bytes(b"no photo")
    numbers = np.array([_GREEN, _GREEN, _GREEN, _RED, _RED, _RED])
    return Photos(folder, tuple(f"{number}.png" for number in range(6)), ClassTargets(numbers))


def test_agreement_is_with_area_and_accuracy_with_the_labels(tmp_path: Path) -> None:
    predictor, photos, done = ColourPredictor(), _photos(tmp_path), []
    resized = resize_photos(photos, predictor.preprocessing, lambda *at: done.append(at), labelled=True)
    assert done == [(number, 6) for number in range(1, 7)]
    for method in RESIZE_METHODS:
        want = [to_square(photos.read(number), 32, None, method)[0] for number in (0, 1, 2, 4, 5)]
        np.testing.assert_array_equal(resized.images[method], want)
    found = measure_resizing(predictor, Classification(), predictor.card, resized)
    figures = {one.method: (one.photos, one.agreement, one.accuracy) for one in found}
    right, aliased = (5, 1.0, 1.0), (5, 0.4, 0.4)
    assert figures == {"area": right, "bilinear": right, "asymmetric": aliased, "nearest": aliased}
    unlabelled = resize_photos(photos, predictor.preprocessing, labelled=False)
    found = measure_resizing(predictor, Classification(), predictor.card, unlabelled)
    assert [(one.agreement, one.accuracy) for one in found] == [(1, None), (1, None), (0.4, None), (0.4, None)]


def test_of_many_photos_some_are_seen_from_first_to_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resizing, "_MOST", 3)
    resized = resize_photos(_photos(tmp_path), ColourPredictor.preprocessing, labelled=True)
    assert isinstance(resized.targets, ClassTargets)
    assert resized.targets.numbers.tolist() == [_GREEN, _GREEN, _RED]


def test_without_a_photo_nothing_is_claimed(tmp_path: Path) -> None:
    resized = resize_photos(_photos(tmp_path).take([3]), ColourPredictor.preprocessing, labelled=True)
    assert measure_resizing(ColourPredictor(), Classification(), ColourPredictor.card, resized) == ()
