"""Bootstrap intervals of a metric and of the difference of two predictions, over groups of clips.

Clips of one group (a scene, a session) are alike, so groups are drawn, not clips: drawing clips would make intervals
too narrow. Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 13 (percentile interval).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actionpipe.metrics.metric import Metric, Prediction
from actionpipe.metrics.registry import METRICS, metric_of
from actionpipe.metrics.tally import tally

NUMBER = 1000
"""Samples drawn; the ends of a 95% interval then lie on the 25th sample from either side."""
INTERVAL = 95.0
"""Percent of the samples within an interval."""
CELLS = 2_000_000
"""So many clips of samples are looked at at once, where counts per class are not enough: 16 MB."""

Samples = NDArray[np.float32] | NDArray[np.float64]
"""What the samples say of one prediction: (B, 3 C) counts, or (B,) values of a metric that counts do not tell."""


@dataclass(frozen=True)
class Gain:
    """What one prediction is worth over another on the same clips."""

    value: float
    """Difference in the metric, above 0 for the better: after minus before, or before minus after where lower is
    better."""
    low: float
    high: float
    """The ends of its 95% interval."""
    share: float
    """Share of the samples, 0 to 1, in which the gain is above 0."""
    changed: int
    """Clips whose label is another; a metric of probabilities may gain without any, or lose nothing by some."""
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

    def samples(self, metric: str, truth: NDArray[np.int64], prediction: Prediction, classes: Sequence[str]) -> Samples:
        """What ``gain`` needs of a prediction that several are compared with: (B, 3 C) counts, or (B,) values.

        Args:
            metric: one of ``registry.METRICS``; with ``of_counts`` there are counts.
            truth: (N,) class indices.
            prediction: of these clips.
            classes: the C names in order.
        """
        if METRICS[metric].of_counts is not None:
            return self.counts(tally(truth, prediction.labels, len(classes)))
        return self._values(METRICS[metric], truth, prediction, classes)

    def interval(
        self, metric: str, truth: NDArray[np.int64], prediction: Prediction, classes: Sequence[str]
    ) -> tuple[float, float]:
        """The 95% interval of the metric: (low, high); arguments as ``samples``."""
        samples = self.samples(metric, truth, prediction, classes)
        values = metric_of(metric, samples) if METRICS[metric].of_counts is not None else samples
        return ends(values)

    def gain(
        self,
        metric: str,
        truth: NDArray[np.int64],
        before: Prediction,
        after: Prediction,
        classes: Sequence[str],
        samples_before: Samples | None = None,
    ) -> Gain:
        """What ``after`` is worth over ``before``.

        Args:
            metric: one of ``registry.METRICS``.
            truth: (N,) class indices.
            before: the prediction to compare with.
            after: the prediction to judge.
            classes: the C names in order.
            samples_before: ``samples`` of ``before`` when they are known already, which saves time.
        """
        entry = METRICS[metric]
        clips = np.flatnonzero(before.labels != after.labels)
        was_right, is_right = before.labels[clips] == truth[clips], after.labels[clips] == truth[clips]
        better, worse = int((is_right & ~was_right).sum()), int((was_right & ~is_right).sum())
        if _same(entry, before, after):
            return Gain(0.0, 0.0, 0.0, 0.0, len(clips), better, worse)
        if entry.of_counts is None:
            value = entry.compute(truth, after, classes) - entry.compute(truth, before, classes)
            base = self._values(entry, truth, before, classes) if samples_before is None else samples_before
            differences = self._values(entry, truth, after, classes) - base
        else:
            was = tally(truth, before.labels, len(classes))
            total = was.sum(axis=0, dtype=np.float64)
            step = tally(truth[clips], after.labels[clips], len(classes)) - was[clips]
            value = float(metric_of(metric, total + step.sum(axis=0, dtype=np.float64)) - metric_of(metric, total))
            base = self.counts(was) if samples_before is None else samples_before
            differences = metric_of(metric, base + self.counts(step, clips)) - metric_of(metric, base)
        gains = entry.sign * differences
        # Sums in another order may differ in the last bit where nothing differs.
        share = float((gains > 1e-12).mean())
        low, high = ends(gains)
        return Gain(float(entry.sign * value), low, high, share, len(clips), better, worse)

    def _values(
        self, metric: Metric, truth: NDArray[np.int64], prediction: Prediction, classes: Sequence[str]
    ) -> NDArray[np.float64]:
        """(B,) the metric of every sample, from its clips."""
        values = np.empty(len(self._times))
        rows = max(1, CELLS // len(truth))
        for start in range(0, len(values), rows):
            times = self._times[start : start + rows, self._group_of_clip]
            if metric.of_samples is not None:
                values[start : start + rows] = metric.of_samples(truth, prediction, classes, times)
                continue
            for row, of_clip in enumerate(times, start):
                clips = np.repeat(np.arange(len(truth)), of_clip.astype(np.int64))
                values[row] = metric.compute(truth[clips], prediction.of(clips), classes)
        return values


def _same(metric: Metric, before: Prediction, after: Prediction) -> bool:
    """Whether the metric sees no difference."""
    if metric.needs_labels and not np.array_equal(before.labels, after.labels):
        return False
    if not metric.needs_probabilities or before.probabilities is after.probabilities:
        return True
    assert before.probabilities is not None and after.probabilities is not None
    return np.array_equal(before.probabilities, after.probabilities)


def ends(samples: Samples) -> tuple[float, float]:
    """The percentile interval of (B,) samples."""
    rest = (100 - INTERVAL) / 2
    low, high = np.percentile(samples, [rest, 100 - rest])
    return float(low), float(high)
