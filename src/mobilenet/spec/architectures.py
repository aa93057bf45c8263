"""Every architecture by name: those that can be trained, and those they are compared with."""

from typing import Protocol

from mobilenet.errors import SpecError
from mobilenet.spec.comparisons import alexnet, googlenet, inception_v3, squeezenet_1_0, vgg16
from mobilenet.spec.mobilenet import MOBILENETS
from mobilenet.spec.rows import Network

__all__ = ["COMPARISONS", "architecture_names", "build"]


class _Comparison(Protocol):
    def __call__(self, resolution: int = ..., classes: int = ...) -> Network: ...


COMPARISONS: dict[str, _Comparison] = {
    "alexnet": alexnet,
    "googlenet": googlenet,
    "inception_v3": inception_v3,
    "squeezenet_1_0": squeezenet_1_0,
    "vgg16": vgg16,
}
"""One width, and their own resolution by default; they can be costed but not trained."""


def architecture_names() -> tuple[str, ...]:
    """The names that `build` knows."""
    return (*MOBILENETS, *COMPARISONS)


def build(
    name: str, width_multiplier: float | None = None, resolution: int | None = None, classes: int = 1000
) -> Network:
    """The network with that name; None selects the architecture's default width or resolution.

    SpecError for an unknown name, for an invalid width, and for a width if the architecture has only one.
    """
    if name in MOBILENETS:
        width_multiplier = 1.0 if width_multiplier is None else width_multiplier
        if resolution is None:
            return MOBILENETS[name](width_multiplier, classes=classes)
        return MOBILENETS[name](width_multiplier, resolution, classes)
    if name not in COMPARISONS:
        raise SpecError(_unknown(name))
    if width_multiplier not in {None, 1.0}:
        raise SpecError(f"{name} has only one width, not {width_multiplier:g}; omit the width, or use a mobilenet_v1")
    return COMPARISONS[name](classes=classes) if resolution is None else COMPARISONS[name](resolution, classes)


def _unknown(name: str) -> str:
    # Needed only for a wrong name, and slow to import.
    import difflib

    close = difflib.get_close_matches(name.lower().replace("-", "_"), architecture_names(), n=1)
    guess = f"did you mean {close[0]}? Available:" if close else "available:"
    return f"unknown architecture {name!r}; {guess} {', '.join(architecture_names())}"
