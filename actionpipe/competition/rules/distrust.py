"""``distrust``: a label with too low a probability becomes the most probable other class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from actionpipe.competition.rules.base import (
    Changes,
    Counts,
    Labels,
    Probabilities,
    Probability,
    Rule,
    Setting,
    ranked,
    register,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BELOWS = tuple(round(0.05 * step, 2) for step in range(1, 21))
"""Probabilities that are tried for ``below``, with the one that the rule was written with."""


@register
class Distrust(Rule):
    """``label`` with a probability below ``below`` becomes the most probable other class."""

    kind: Literal["distrust"]
    """``distrust``"""
    label: str
    """The label to doubt."""
    below: Probability
    """It is doubted with a probability strictly below this."""

    tuned: ClassVar[tuple[str, ...]] = ("below",)

    def apply(
        self,
        labels: Labels,
        probabilities: Probabilities,
        counts: NDArray[np.float64] | None,
        classes: Sequence[str],
    ) -> Labels:
        """``label`` with a probability strictly below ``below`` -> the most probable other class."""
        import numpy as np

        del counts
        label = classes.index(self.label)
        doubtful = (labels == label) & (probabilities[:, label] < self.below)
        return np.where(doubtful, _best_other(probabilities, label), labels)

    def describe(self) -> str:
        """The rule and its arguments in words."""
        return f"distrust {self.label} below {self.below:g}"

    def options(self, classes: int, counts: Counts | None) -> tuple[tuple[Setting, ...], tuple[int, ...]]:
        """Every twentieth, and the rule's own."""
        del classes, counts
        found = tuple((below,) for below in sorted({*BELOWS, self.below}))
        return found, (len(found),)

    def changes(
        self,
        labels: Labels,
        probabilities: Probabilities,
        counts: Counts | None,
        options: tuple[Setting, ...],
        classes: Sequence[str],
    ) -> Changes:
        """What each of the ``options`` does."""
        import numpy as np

        del counts
        label = classes.index(self.label)
        made = probabilities[:, label] < np.array(options)
        return Changes(_best_other(probabilities, label), labels == label, made)


def _best_other(probabilities: Probabilities, label: int) -> Labels:
    """(N,) the most probable class but ``label``."""
    others = probabilities.copy()
    others[:, label] = -1
    return ranked(others)[:, 0]
