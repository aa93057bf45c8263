"""What a network says of one photo: its vector."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilenet.images.overlay import draw_caption
from mobilenet.tasks.sections import Part

__all__ = ["Embedded"]

_SHOWN = 4


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """`vector` (D,) float32 of length 1."""

    vector: NDArray[np.float32]

    def to_json(self) -> dict[str, Any]:
        """As an object for `json.dumps`."""
        return {"vector": [float(value) for value in self.vector]}

    def lines(self) -> Iterator[str]:
        """Its first numbers."""
        more = ", …" if len(self.vector) > _SHOWN else ""
        first = ", ".join(f"{value:.3f}" for value in self.vector[:_SHOWN])
        yield f"vector of {len(self.vector):,} numbers: {first}{more}"

    def drawn(self, pixels: NDArray[np.uint8], /) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 -> a copy with the lines in its upper left corner; see `images.overlay`."""
        return draw_caption(pixels, self.lines())

    def parts(self) -> tuple[Part, ...]:
        """Nothing beside the picture."""
        return ()
