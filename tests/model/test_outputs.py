"""What a predictor answers with is what its card says, or one line."""

import numpy as np
import pytest

from mobilenet.errors import ModelError
from mobilenet.model.outputs import Output, checked_outputs, finite_photos, read_output, shaped_outputs, taken

_WANTED = Output("boxes", ("deep",), (2, 4)), Output("scores", ("classifier",), (3,), "softmax")


def _answers(photos: int = 5) -> dict[str, np.ndarray]:
    numbers = np.arange(photos * 8, dtype=np.float32)
    return {"boxes": numbers.reshape(photos, 2, 4), "scores": numbers[: photos * 3].reshape(photos, 3).copy()}


def test_an_output_comes_back_from_its_json() -> None:
    for output in _WANTED:
        assert read_output(output.to_json()) == output
    assert [output.size for output in _WANTED] == [8, 3]


def test_answers_that_fit_are_given_back() -> None:
    found = _answers()
    assert shaped_outputs(found, _WANTED, 5) is found
    assert checked_outputs(found, _WANTED, 5) is found
    assert checked_outputs(_answers(0), _WANTED, 0).keys() == found.keys()


def test_an_output_that_is_absent_or_misshapen_is_one_line() -> None:
    found = _answers()
    del found["boxes"]
    with pytest.raises(ModelError) as error:
        shaped_outputs(found, _WANTED, 5)
    assert str(error.value) == "the model's outputs are ['scores'], without boxes; it is a different model"
    for wrong in (_answers(4), {**_answers(), "boxes": _answers()["boxes"].reshape(5, 8)}):
        with pytest.raises(ModelError, match=r"the model's output \w+ has shape \(.*\), \(5, 2, 4\) expected"):
            shaped_outputs(wrong, _WANTED, 5)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["boxes", "scores"])
def test_one_number_in_any_output_that_is_not_finite_is_one_line(name: str, value: float) -> None:
    found = _answers()
    found[name][3].flat[-1] = value
    assert finite_photos(found).tolist() == [True, True, True, False, True]
    assert shaped_outputs(found, _WANTED, 5) is found
    with pytest.raises(ModelError, match="the model's outputs contain NaN or infinity: training has diverged"):
        checked_outputs(found, _WANTED, 5)


def test_some_photos_are_taken_out_of_every_output() -> None:
    found = taken(_answers(), np.array([4, 0]))
    assert found["boxes"].tolist() == [[[32, 33, 34, 35], [36, 37, 38, 39]], [[0, 1, 2, 3], [4, 5, 6, 7]]]
    assert found["scores"].tolist() == [[12, 13, 14], [0, 1, 2]]
