"""From probabilities to the answer for a photo."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.images.overlay import draw_caption
from mobilenet.tasks.attributes.score import answered, thresholds_of
from mobilenet.tasks.sections import Part

__all__ = ["Attributed", "Judgement", "judged"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """One attribute: its `probability` (0…1), the `threshold` from which it is `present`."""

    label: str
    probability: float
    threshold: float
    present: bool


@dataclass(frozen=True, slots=True)
class Attributed:
    """All attributes of one photo, in the order of the outputs; `lines` shows those that are present, likeliest first.

    The photo is uncertain if the answer about any of its attributes is less probable than `min_confidence`.
    """

    attributes: tuple[Judgement, ...]
    min_confidence: float | None = None

    @property
    def present(self) -> tuple[Judgement, ...]:
        """Those at their threshold or above, likeliest first."""
        return tuple(sorted((one for one in self.attributes if one.present), key=lambda one: -one.probability))

    @property
    def doubtful(self) -> tuple[Judgement, ...]:
        """Those whose probable answer is less probable than `min_confidence`."""
        limit = self.min_confidence or 0.0
        return tuple(one for one in self.attributes if max(one.probability, 1 - one.probability) < limit)

    def to_json(self) -> dict[str, Any]:
        """As an object for `json.dumps`: every attribute; `uncertain` where it applies."""
        uncertain = {} if self.min_confidence is None else {"uncertain": bool(self.doubtful)}
        present = [one.label for one in self.present]
        return {**uncertain, "present": present, "attributes": [asdict(one) for one in self.attributes]}

    def lines(self) -> Iterator[str]:
        """As lines of text."""
        if self.doubtful:
            names = ", ".join(one.label for one in self.doubtful)
            yield f"uncertain: below {100 * (self.min_confidence or 0):g} % for {names}"
        for one in self.present:
            yield f"{100 * one.probability:5.1f} %  {one.label}"
        if not self.present:
            likeliest = max(self.attributes, key=lambda one: one.probability)
            yield f"none; the likeliest is {likeliest.label} with {100 * likeliest.probability:.1f} %"

    def drawn(self, pixels: NDArray[np.uint8], /) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 -> a copy with the lines in its upper left corner; see `images.overlay`."""
        return draw_caption(pixels, self.lines())

    def parts(self) -> tuple[Part, ...]:
        """Nothing beside the picture."""
        return ()


def judged(
    probabilities: NDArray[Any], labels: tuple[str, ...], decoding: Mapping[str, Any], min_confidence: float | None
) -> list[Attributed]:
    """(N, attributes) -> the answer for each photo."""
    limits = thresholds_of(decoding, len(labels)).tolist()
    yes = answered(np.asarray(probabilities), decoding)
    return [
        Attributed(
            tuple(
                Judgement(label, float(value), limit, bool(present))
                for label, value, limit, present in zip(labels, row, limits, said, strict=True)
            ),
            min_confidence,
        )
        for row, said in zip(probabilities, yes, strict=True)
    ]
