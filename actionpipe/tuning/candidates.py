"""All settings of one part of the fusion at once: what each would do to the counts per class of every fold."""

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from actionpipe.competition.rules.base import Labels
from actionpipe.metrics.tally import metric_of, tally
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

    def metric(self, counts: NDArray[np.float32]) -> NDArray[np.float64]:
        """The competition's metric of (..., 3 C) counts."""
        return metric_of(self.problem.competition.metric, counts)

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
