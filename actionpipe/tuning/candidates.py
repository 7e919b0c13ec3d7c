"""All settings of one part of the fusion at once: what each would do to the counts per class of every fold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from actionpipe.competition.rules.base import Labels
from actionpipe.metrics.metric import Prediction
from actionpipe.metrics.registry import checked, metric_named, metric_of
from actionpipe.metrics.tally import tally
from actionpipe.tuning.configuration import Configuration, Labeller

FACTORS = tuple(round(2 ** (step / 4), 4) for step in range(-8, 9) if step)
"""Thresholds that are tried for a class: from a quarter to four times."""
TENTHS = 10
"""Weights are tried in steps of a tenth."""
FEW = 3
"""Up to so many members every combination of tenths is tried, beyond it one member's weight at a time."""


@dataclass(frozen=True)
class Part:
    """One part of the fusion that may stay or go."""

    kind: str
    """oversampling, weights, threshold, rule, or written: the competition file in the place of all that was chosen."""
    index: int = 0
    """The class of a threshold, the position of a rule."""
    at_end: bool = False
    """Of a rule: applied after all others, not at its place in the file's order."""


Option = tuple[float, ...]
"""A setting of a part: (M,) weights, (threshold,) of a class, or the setting of a rule."""


@dataclass(frozen=True)
class Candidates:
    """The options of one part, given all that was decided before."""

    options: tuple[Option, ...]
    shape: tuple[int, ...]
    """How the options lie in a grid; neighbours differ by one step."""
    counts: NDArray[np.float32]
    """(K, F, 3 C) of each option, as ``metrics.tally`` counts."""
    base: NDArray[np.float32]
    """(F, 3 C) without the part."""


class Trials:
    """Counts the candidates of parts, and keeps those counted last: folds mostly ask for the same."""

    def __init__(self, labeller: Labeller) -> None:
        self.labeller = labeller
        self.problem = labeller.problem
        self._fold = np.searchsorted(np.array(self.problem.folds), self.problem.fold)
        self.candidates = lru_cache(maxsize=400)(self._candidates)
        self.base = lru_cache(maxsize=400)(self._base)
        self.metric = metric_named(self.problem.competition.metric)
        self._measured = lru_cache(maxsize=4000)(self._measured_slowly)

    def with_option(self, configuration: Configuration, part: Part, option: Option) -> Configuration:
        """The configuration with the part set to an option."""
        if part.kind == "weights":
            return replace(configuration, weights=option)
        if part.kind == "threshold":
            thresholds = list(configuration.thresholds)
            thresholds[part.index] = option[0]
            return replace(configuration, thresholds=tuple(thresholds))
        place = self._place(configuration, part)
        rules = configuration.rules
        return replace(configuration, rules=(*rules[:place], (part.index, option), *rules[place:]))

    def scores(
        self, configuration: Configuration, part: Part, folds: Sequence[int]
    ) -> tuple[tuple[Option, ...], NDArray[np.float64], float]:
        """What each option of a part is worth on the clips of some folds; more is better, whatever the metric.

        By counts where the metric can be had from them. Else every option predicts all clips, and the metric is
        computed of those of the folds: a fit then takes as long as there are options, not one matrix product.

        Returns:
            options; their scores in the grid of ``Candidates.shape``; the score without the part.
        """
        if self.metric.of_counts is not None:
            candidates = self.candidates(configuration, part)
            rows = np.searchsorted(np.array(self.problem.folds), folds)
            values = self._score(candidates.counts[:, rows].sum(axis=1)).reshape(candidates.shape)
            return candidates.options, values, float(self._score(candidates.base[rows].sum(axis=0)))
        return self._measured(configuration, part, tuple(folds))

    def prediction(self, configuration: Configuration) -> Prediction:
        """Of all clips; with probabilities only where the metric looks at them."""
        labels = self.labeller.labels(configuration)
        if not self.metric.needs_probabilities:
            return Prediction(labels)
        view = self.labeller.view(configuration.weights, configuration.thresholds)
        return checked(labels, view.probabilities, self.problem.competition.class_names)

    def by_fold(self, configurations: Mapping[int, Configuration]) -> Prediction:
        """Of all clips, each by the configuration of its fold; what stands for the other folds is of no meaning."""
        problem = self.problem
        labels = np.zeros(len(problem.truth), np.int64)
        probabilities = np.zeros((len(problem.truth), problem.classes)) if self.metric.needs_probabilities else None
        for fold, configuration in configurations.items():
            inside = problem.fold == fold
            prediction = self.prediction(configuration)
            labels[inside] = prediction.labels[inside]
            if probabilities is not None and prediction.probabilities is not None:
                probabilities[inside] = prediction.probabilities[inside]
        return Prediction(labels, probabilities)

    def value(self, truth: NDArray[np.int64], prediction: Prediction) -> float:
        """The competition's metric of the (n,) clips of ``truth``, as it is shown."""
        if self.metric.of_counts is None:
            return self.metric.compute(truth, prediction, self.problem.competition.class_names)
        counts = tally(truth, prediction.labels, self.problem.classes).sum(axis=0)
        return float(metric_of(self.metric.name, counts))

    def _score(self, counts: NDArray[np.float32]) -> NDArray[np.float64]:
        """The score of (..., 3 C) counts."""
        return self.metric.sign * metric_of(self.metric.name, counts)

    def _measured_slowly(
        self, configuration: Configuration, part: Part, folds: tuple[int, ...]
    ) -> tuple[tuple[Option, ...], NDArray[np.float64], float]:
        options, shape = self._options(part)
        clips = np.flatnonzero(np.isin(self.problem.fold, folds))
        truth, names = self.problem.truth[clips], self.problem.competition.class_names

        def score(one: Configuration) -> float:
            prediction = self.prediction(one).of(clips)
            if self.metric.of_samples is None:
                return self.metric.sign * self.metric.compute(truth, prediction, names)
            # One sample that has each clip once: to the last bits the same, without scikit-learn's checks.
            once = np.ones((1, len(clips)), np.float32)
            return self.metric.sign * float(self.metric.of_samples(truth, prediction, names, once)[0])

        without = score(configuration)
        if part.kind == "rule" and not self.metric.needs_labels:
            return options, np.full(shape, without), without
        scores = [score(self.with_option(configuration, part, option)) for option in options]
        return options, np.array(scores).reshape(shape), without

    def _options(self, part: Part) -> tuple[tuple[Option, ...], tuple[int, ...]]:
        """The options of a part, and how they lie in a grid."""
        if part.kind == "rule":
            return self._settings(part)
        options = self._weights() if part.kind == "weights" else tuple((factor,) for factor in FACTORS)
        return options, (len(options),)

    def _place(self, configuration: Configuration, part: Part) -> int:
        if part.at_end:
            return len(configuration.rules)
        return sum(position < part.index for position, _ in configuration.rules)

    def _base(self, configuration: Configuration) -> NDArray[np.float32]:
        return self._count(self.labeller.labels(configuration))

    def _count(self, labels: Labels) -> NDArray[np.float32]:
        """(F, 3 C) counts of each fold."""
        rows = tally(self.problem.truth, labels, self.problem.classes)
        return np.stack([rows[self._fold == fold].sum(axis=0) for fold in range(len(self.problem.folds))])

    def _candidates(self, configuration: Configuration, part: Part) -> Candidates:
        base = self.base(configuration)
        if part.kind == "weights":
            options = self._weights()
            labels = (self.labeller.labels(self.with_option(configuration, part, option)) for option in options)
            return Candidates(options, (len(options),), np.stack([self._count(one) for one in labels]), base)
        if part.kind == "threshold":
            options = tuple((factor,) for factor in FACTORS)
            return Candidates(options, (len(options),), self._count_threshold(configuration, part, options), base)
        options, shape = self._settings(part)
        return Candidates(options, shape, base + self._count_rule(configuration, part, options), base)

    def _weights(self) -> tuple[Option, ...]:
        members = len(self.problem.scores)
        steps = range(TENTHS + 1)
        if members <= FEW:
            every = product(steps, repeat=members)
            return tuple(tuple(step / TENTHS for step in steps) for steps in every if sum(steps) == TENTHS)
        # Each member against equal weights of all others: a line for each, from without it to it alone.
        lines = []
        for member, step in product(range(members), steps):
            rest = (1 - step / TENTHS) / (members - 1)
            lines.append(tuple(step / TENTHS if one == member else rest for one in range(members)))
        return tuple(dict.fromkeys(lines))

    def _settings(self, part: Part) -> tuple[tuple[Option, ...], tuple[int, ...]]:
        rule = self.problem.competition.rules[part.index]
        return rule.options(self.problem.classes, self.problem.counts.get(part.index))

    def _count_threshold(
        self, configuration: Configuration, part: Part, options: tuple[Option, ...]
    ) -> NDArray[np.float32]:
        """(K, F, 3 C) with each threshold of a class: it is chosen where it beats the best of the others.

        Thresholds come before any rule: these would see other probabilities.
        """
        assert not configuration.rules
        view, label = self.labeller.view(configuration.weights, configuration.thresholds), part.index
        first = view.order[:, 0]
        other = np.where(first == label, view.order[:, 1], first)
        rival = np.take_along_axis(view.probabilities, other[:, None], axis=1)[:, 0]
        factors = np.array(options) / configuration.thresholds[label]
        divided = view.probabilities[:, label] / factors
        chosen = (divided > rival) | ((divided == rival) & (label < other))
        clips = np.flatnonzero(chosen.any(axis=0))
        return self._count(other) + self._sum(other, np.full_like(other, label), clips, chosen[:, clips])

    def _count_rule(self, configuration: Configuration, part: Part, options: tuple[Option, ...]) -> NDArray[np.float32]:
        """(K, F, 3 C) what each setting of a rule adds to the counts."""
        problem, names = self.problem, self.problem.competition.class_names
        place, rule = self._place(configuration, part), problem.competition.rules[part.index]
        view = self.labeller.view(configuration.weights, configuration.thresholds)
        before = self.labeller.labels(replace(configuration, rules=configuration.rules[:place]))
        changes = rule.changes(before, view.probabilities, problem.counts.get(part.index), options, names)
        if changes is None:
            base = self.base(configuration)
            every = (self.labeller.labels(self.with_option(configuration, part, option)) for option in options)
            return np.stack([self._count(labels) - base for labels in every])
        clips = np.flatnonzero(changes.possible)
        # The rules after this one see the label that it leaves.
        after = self.labeller.follow(view, changes.labels, configuration.rules[place:])
        return self._sum(self.labeller.labels(configuration), after, clips, changes.made[:, clips])

    def _sum(
        self, before: Labels, after: Labels, clips: NDArray[np.int64], mask: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """(K, F, 3 C) what is added to the counts where the ``mask`` (K, n) of the ``clips`` says ``after``.

        ``before`` and ``after`` are labels of all clips, (N,).
        """
        problem, folds = self.problem, len(self.problem.folds)
        step = tally(problem.truth[clips], after[clips], problem.classes)
        step -= tally(problem.truth[clips], before[clips], problem.classes)
        sums = np.zeros((len(mask), folds, step.shape[1]), np.float32)
        for fold in range(folds):
            inside = self._fold[clips] == fold
            sums[:, fold] = mask[:, inside].astype(np.float32) @ step[inside]
        return sums
