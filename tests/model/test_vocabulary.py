"""Names of a vocabulary, as errors list them."""

from mobilenet.model.vocabulary import listed


def test_long_lists_of_names_are_cut() -> None:
    assert listed(("cat", "it's")) == "'cat', \"it's\""
    assert listed([f"{number}" for number in range(12)], 2) == "'0', '1' and 10 more"
    assert listed(["a", "b"], 2) == "'a', 'b'"
    assert listed(()) == ""
