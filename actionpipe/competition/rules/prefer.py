"""``prefer``: one label becomes another that is among the runners-up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from actionpipe.competition.rules.base import Changes, Counts, Labels, Probabilities, Rule, Setting, ranked, register

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RANKS = (2, 3, 4, 5)
"""What is tried for ``ranks``, with what the rule was written with."""


@register
class Prefer(Rule):
    """``over`` becomes ``label`` when ``label`` is among the runners-up: ranks 2 to ``ranks`` by probability."""

    kind: Literal["prefer"]
    """``prefer``"""
    label: str
    """What it becomes."""
    over: str
    """The label that gives way."""
    ranks: int = Field(default=3, ge=2, le=10**6)
    """Among so many first ranks by probability ``label`` must stand, but not at the first."""

    tuned: ClassVar[tuple[str, ...]] = ("ranks",)

    @property
    def named(self) -> list[str]:
        """``label`` and ``over``."""
        return [self.label, self.over]

    def apply(
        self,
        labels: Labels,
        probabilities: Probabilities,
        counts: NDArray[np.float64] | None,
        classes: Sequence[str],
    ) -> Labels:
        """``over`` -> ``label`` where that stands among ranks 2 to ``ranks`` by probability."""
        import numpy as np

        del counts
        label = classes.index(self.label)
        runner_up = (ranked(probabilities)[:, 1 : self.ranks] == label).any(axis=1)
        return np.where((labels == classes.index(self.over)) & runner_up, label, labels)

    def describe(self) -> str:
        """The rule and its arguments in words."""
        ranks = "2" if self.ranks == 2 else f"2 to {self.ranks}"
        return f"prefer {self.label} over {self.over} when ranked {ranks}"

    def options(self, classes: int, counts: Counts | None) -> tuple[tuple[Setting, ...], tuple[int, ...]]:
        """2 to 5, as far as there are classes, and the rule's own."""
        del counts
        ranks = {float(rank) for rank in RANKS if rank <= classes}
        found = tuple((rank,) for rank in sorted({*ranks, *self.setting}))
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
        rank = np.argmax(ranked(probabilities) == label, axis=1)  # 0 is the most probable
        made = (rank > 0) & (rank < np.array(options))
        return Changes(np.full_like(labels, label), labels == classes.index(self.over), made)
