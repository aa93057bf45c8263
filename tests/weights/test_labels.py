"""Numbers in front of class names are taken off only where they count the lines."""

from pathlib import Path

import pytest

from mobilenet.weights.labels import read_labels, without_numbers


@pytest.mark.parametrize("mark", [" ", "\t", ": ", ":", ",", ". ", ") ", " - "])
@pytest.mark.parametrize("first", [0, 1])
def test_running_numbers_are_taken_off_with_a_note(tmp_path: Path, mark: str, first: int) -> None:
    names = ("cat", "dog, old", "7 up")
    path = tmp_path / "labels.txt"
    path.write_text("".join(f"{number}{mark}{name}\n" for number, name in enumerate(names, first)), "utf-8")
    found, notes = without_numbers(read_labels(path))
    assert found == names
    assert notes == (f"the class names are numbered from {first} to {first + 2}; the numbers are not part of them",)


@pytest.mark.parametrize(
    "names",
    [
        (),
        ("cat", "dog"),
        ("0 cat", "dog"),
        ("0 cat", "2 dog"),
        ("2 cats", "3 dogs"),
        ("0cat", "1dog"),
        ("0", "1", "2"),
        ("0 ", "1 "),
        ("1 euro",),
        ("1 cent", "2 cents", "3 cents"),
        ("1 euro", "2 euro", "5 euro"),
        ("1st", "2nd", "3rd"),
    ],
)
def test_names_that_begin_with_numbers_stay(names: tuple[str, ...]) -> None:
    assert without_numbers(names) == (names, ())
