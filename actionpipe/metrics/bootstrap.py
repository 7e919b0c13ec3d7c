"""Bootstrap intervals of a metric and of the difference of two predictions, over groups of clips.

Clips of one group (a scene, a session) are alike, so groups are drawn, not clips: drawing clips would make intervals
too narrow. Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 13 (percentile interval).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actionpipe.metrics.tally import metric_of, tally

NUMBER = 1000
"""Samples drawn; the ends of a 95% interval then lie on the 25th sample from either side."""
INTERVAL = 95.0
"""Percent of the samples within an interval."""


@dataclass(frozen=True)
class Gain:
    """What one prediction is worth over another on the same clips."""

    value: float
    """Difference in the metric, -1 to 1."""
    low: float
    high: float
    """The ends of its 95% interval."""
    share: float
    """Share of the samples, 0 to 1, in which the difference is above 0."""
    changed: int
    better: int
    """Clips that were wrong and are right."""
    worse: int
    """Clips that were right and are wrong."""


class Bootstrap:
    """Samples of the groups of N clips, drawn with replacement; the same seed draws the same."""

    def __init__(self, groups: NDArray[Any], seed: int = 0, number: int = NUMBER, clips: int | None = None) -> None:
        """Draw.

        Args:
            groups: (N,) the group of each clip, of any kind that can be sorted.
            seed: of the draws.
            number: samples, B.
            clips: each sample has about so many clips, N when None. Fewer show how far a smaller set of new clips
                would stray.
        """
        names, self._group_of_clip = np.unique(groups, return_inverse=True)
        self._groups = len(names)
        random = np.random.default_rng(seed)
        drawn_groups = self._groups if clips is None else max(1, round(clips * self._groups / len(groups)))
        self._times = np.empty((number, self._groups), np.float32)
        """How often each group stands in each sample: (B, G)."""
        for row in range(number):
            drawn = random.integers(0, self._groups, drawn_groups)
            self._times[row] = np.bincount(drawn, minlength=self._groups)

    def counts(self, rows: NDArray[np.float32], clips: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """The counts of every sample: (B, K), given what each clip adds.

        Args:
            rows: (n, K), as ``tally`` gives them.
            clips: (n,) which of the N clips the rows are of; all of them in order when None.
        """
        of_clip = self._group_of_clip if clips is None else self._group_of_clip[clips]
        present, place = np.unique(of_clip, return_inverse=True)
        sums = rows[np.argsort(place, kind="stable")]
        if len(present) < len(rows):
            sums = np.add.reduceat(sums, np.searchsorted(np.sort(place), np.arange(len(present))), axis=0)
        times = self._times if len(present) == self._groups else self._times[:, present]
        return times @ sums

    def interval(
        self, metric: str, truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: int
    ) -> tuple[float, float]:
        """The 95% interval of the metric: (low, high).

        Args:
            metric: one of ``metrics.METRICS``.
            truth: (N,) class indices.
            predicted: (N,) class indices.
            classes: their number.
        """
        return ends(metric_of(metric, self.counts(tally(truth, predicted, classes))))

    def gain(
        self,
        metric: str,
        truth: NDArray[np.int64],
        before: NDArray[np.int64],
        after: NDArray[np.int64],
        classes: int,
        counts_before: NDArray[np.float32] | None = None,
    ) -> Gain:
        """What ``after`` is worth over ``before``; each (N,) class indices.

        Args:
            metric: one of ``metrics.METRICS``.
            truth: (N,) class indices.
            before: the prediction to compare with.
            after: the prediction to judge.
            classes: their number, C.
            counts_before: (B, 3 C) ``counts`` of ``before`` when they are known already, which saves time.
        """
        clips = np.flatnonzero(before != after)
        was = tally(truth, before, classes)
        total = was.sum(axis=0, dtype=np.float64)
        if not len(clips):
            return Gain(0.0, 0.0, 0.0, 0.0, 0, 0, 0)
        step = tally(truth[clips], after[clips], classes) - was[clips]
        value = metric_of(metric, total + step.sum(axis=0, dtype=np.float64)) - metric_of(metric, total)
        base = self.counts(was) if counts_before is None else counts_before
        differences = metric_of(metric, base + self.counts(step, clips)) - metric_of(metric, base)
        was_right, is_right = before[clips] == truth[clips], after[clips] == truth[clips]
        # Sums in another order may differ in the last bit where nothing differs.
        share = float((differences > 1e-12).mean())
        low, high = ends(differences)
        better, worse = int((is_right & ~was_right).sum()), int((was_right & ~is_right).sum())
        return Gain(float(value), low, high, share, len(clips), better, worse)


def ends(samples: NDArray[np.float64]) -> tuple[float, float]:
    """The percentile interval of (B,) samples."""
    rest = (100 - INTERVAL) / 2
    low, high = np.percentile(samples, [rest, 100 - rest])
    return float(low), float(high)
