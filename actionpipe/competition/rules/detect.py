"""``detect``: some labels become another when the detector finds enough of a class."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from actionpipe.competition.rules.base import (
    Bound,
    Changes,
    Counted,
    Counts,
    Labels,
    Probabilities,
    Probability,
    Rule,
    Setting,
    register,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

COUNTS = 16
"""At most so many values of ``more_than`` are tried for each score: quantiles of the counts that occur."""


@register
class Detect(Rule):
    """A label in ``when`` becomes ``label`` when the detector finds more than ``more_than`` boxes (or frames)."""

    kind: Literal["detect"]
    """``detect``"""
    label: str
    """What it becomes."""
    when: list[str] = Field(min_length=1)
    """The labels that may become it."""
    detected: str
    """The detector's class to count."""
    score: Probability
    """Only boxes with a score strictly above this count."""
    more_than: int = Field(ge=0, le=10**9)
    """It fires when the mean count over the detector's folds is strictly above this."""
    count: Literal["boxes", "frames"] = "boxes"
    """Whether every box counts, or every frame with one."""

    tuned: ClassVar[tuple[str, ...]] = ("score", "more_than")

    @property
    def named(self) -> list[str]:
        """``label`` and those of ``when``."""
        return [self.label, *self.when]

    @property
    def counted(self) -> Counted:
        """Boxes, or frames with one, of ``detected`` above ``score``."""
        return Counted(self.detected, self.score, self.count)

    def apply(
        self,
        labels: Labels,
        probabilities: Probabilities,
        counts: NDArray[np.float64] | None,
        classes: Sequence[str],
    ) -> Labels:
        """A label in ``when`` -> ``label`` where ``counts`` is strictly above ``more_than``."""
        import numpy as np

        del probabilities
        assert counts is not None
        found = self.may_change(labels, classes) & (counts > self.more_than)
        return np.where(found, classes.index(self.label), labels)

    def may_change(self, labels: Labels, classes: Sequence[str]) -> NDArray[np.bool_]:
        """(N,) whether any count could change the label: it is in ``when`` and not ``label`` already."""
        import numpy as np

        when = [classes.index(label) for label in self.when if label != self.label]
        return np.isin(labels, when)

    def is_decided(self, low: Bound, high: Bound) -> bool | NDArray[np.bool_]:
        """Whether all counts from ``low`` to ``high`` stand on one side of ``more_than``; elementwise for arrays."""
        return (low > self.more_than) | (high <= self.more_than)

    def describe(self) -> str:
        """The rule and its arguments in words."""
        return (
            f"detect {self.label} when {' or '.join(self.when)} and more than {self.more_than} {self.count} "
            f"of {self.detected} above {self.score:g}"
        )

    def options(self, classes: int, counts: Counts | None) -> tuple[tuple[Setting, ...], tuple[int, ...]]:
        """Every score that was counted with, by quantiles of the counts, and the rule's own."""
        import numpy as np

        del classes
        assert counts is not None
        seen = np.unique(counts.counts[counts.counts > 0])
        quantiles = np.quantile(seen, np.linspace(0, 1, COUNTS), method="nearest") if len(seen) else np.zeros(1)
        # More than c - 1 is what tells c from less.
        tried = sorted({0.0, float(self.more_than), *(float(np.floor(count)) for count in quantiles - 1)})
        return tuple(product(counts.scores, tried)), (len(counts.scores), len(tried))

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

        del probabilities
        assert counts is not None
        more_than = np.array([option[1] for option in options])
        rows = [counts.scores.index(option[0]) for option in options]
        made = counts.counts[rows] > more_than[:, None]
        return Changes(np.full_like(labels, classes.index(self.label)), self.may_change(labels, classes), made)
