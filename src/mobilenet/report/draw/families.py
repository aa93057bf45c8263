"""The families of nested classes whose members are confused, ready to be drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

from mobilenet.metrics.hierarchy import Family
from mobilenet.report.draw.confusion import Matrix, matrix

__all__ = ["DrawnFamily", "drawn_families"]

_MOST = 12
"""Matrices on the page; its table lists every family."""


@dataclass(frozen=True, slots=True)
class DrawnFamily:
    """The parent `label` and the confusions among its children; `matrix` is None with more than 200 of them."""

    label: str
    matrix: Matrix | None


def drawn_families(families: Sequence[Family]) -> tuple[DrawnFamily, ...]:
    """The 12 families with the most mistakes inside, most first; those without one are left out."""
    confused = sorted((family for family in families if family.inside), key=lambda family: -family.inside)
    return tuple(DrawnFamily(family.label, _drawing(family)) for family in confused[:_MOST])


def _drawing(family: Family) -> Matrix | None:
    # photos that lie in the parent's own folder, beside its children
    itself = f"{family.label.rpartition('/')[2]} itself"
    names = [child[len(family.label) + 1 :] or itself for child in family.children]
    return matrix(family.children, family.confusion, names)
