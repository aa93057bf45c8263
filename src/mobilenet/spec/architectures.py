"""Every architecture by name: classifiers and detectors on MobileNet V1, and what they are compared with."""

from typing import Protocol

from mobilenet.errors import SpecError
from mobilenet.spec.comparisons import alexnet, googlenet, inception_v3, squeezenet_1_0, vgg16
from mobilenet.spec.mobilenet import MOBILENETS
from mobilenet.spec.rows import Network
from mobilenet.spec.ssd import mobilenet_v1_ssd, mobilenet_v1_ssdlite

__all__ = ["COMPARISONS", "DETECTORS", "architecture_names", "build"]


class _Comparison(Protocol):
    def __call__(self, resolution: int = ..., classes: int = ...) -> Network: ...


class _Detector(Protocol):
    def __call__(self, width_multiplier: float = ..., resolution: int = ..., classes: int = ...) -> Network: ...


DETECTORS: dict[str, _Detector] = {
    "mobilenet_v1_ssd": mobilenet_v1_ssd,
    "mobilenet_v1_ssdlite": mobilenet_v1_ssdlite,
}
"""Any width and resolution; the first is the MobileNet paper's."""

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
    return (*MOBILENETS, *DETECTORS, *COMPARISONS)


def build(
    name: str, width_multiplier: float | None = None, resolution: int | None = None, classes: int | None = None
) -> Network:
    """The network with that name; None selects the architecture's default width, resolution or number of classes.

    SpecError for an unknown name, for an invalid width, and for a width if the architecture has only one.
    """
    given = {knob: value for knob, value in (("resolution", resolution), ("classes", classes)) if value is not None}
    if name in MOBILENETS or name in DETECTORS:
        thinned = MOBILENETS[name] if name in MOBILENETS else DETECTORS[name]
        return thinned(1.0 if width_multiplier is None else width_multiplier, **given)
    if name not in COMPARISONS:
        raise SpecError(_unknown(name))
    if width_multiplier not in {None, 1.0}:
        raise SpecError(f"{name} has only one width, not {width_multiplier:g}; omit the width, or use a mobilenet_v1")
    return COMPARISONS[name](**given)


def _unknown(name: str) -> str:
    # Needed only for a wrong name, and slow to import.
    import difflib

    close = difflib.get_close_matches(name.lower().replace("-", "_"), architecture_names(), n=1)
    guess = f"did you mean {close[0]}? Available:" if close else "available:"
    return f"unknown architecture {name!r}; {guess} {', '.join(architecture_names())}"
