"""One way to fuse: weights, thresholds and rules with their settings; and the labels that it gives."""

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from actionpipe.competition.file import Competition
from actionpipe.competition.rules.base import Labels, Setting, ranked
from actionpipe.tuning.problem import Problem


@dataclass(frozen=True)
class Configuration:
    """Hashable, so that what was computed for it can be kept."""

    weights: tuple[float, ...]
    """(M,) of the members, in the problem's order."""
    thresholds: tuple[float, ...]
    """(C,) of the classes; 1 changes nothing."""
    rules: tuple[tuple[int, Setting], ...] = ()
    """Position in the competition file, and setting, in the order in which they are applied."""


def written(problem: Problem) -> Configuration:
    """The configuration that the competition file holds."""
    competition = problem.competition
    weights = {member.name: member.weight for member in competition.members}
    return Configuration(
        tuple(weights[name] for name in problem.scores),
        tuple(competition.thresholds.get(label, 1.0) for label in competition.class_names),
        tuple((position, rule.setting) for position, rule in enumerate(competition.rules)),
    )


def apply_to(configuration: Configuration, problem: Problem) -> Competition:
    """The competition with this way to fuse in place of its own; members without weight stay, with weight 0."""
    competition = problem.competition
    weight_of_member = dict(zip(problem.scores, configuration.weights, strict=True))
    members = [
        member.model_copy(update={"weight": weight_of_member.get(member.name, 0.0)}) for member in competition.members
    ]
    thresholds = {
        label: threshold
        for label, threshold in zip(competition.class_names, configuration.thresholds, strict=True)
        if threshold != 1
    }
    rules = [competition.rules[position].with_setting(setting) for position, setting in configuration.rules]
    return competition.model_copy(update={"members": members, "thresholds": thresholds, "rules": rules})


@dataclass(frozen=True)
class View:
    """The probabilities that labels are chosen by."""

    probabilities: NDArray[np.float64]
    """(N, C) after weights and thresholds."""
    order: NDArray[np.int64]
    """(N, C) classes by falling probability."""


@dataclass
class Labeller:
    """Gives the labels of configurations, keeping those asked for last."""

    problem: Problem
    _names: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self._names = list(self.problem.competition.class_names)
        self.view = lru_cache(maxsize=64)(self._view)
        self.labels = lru_cache(maxsize=512)(self._labels)

    def blend(self, weights: tuple[float, ...]) -> NDArray[np.float64]:
        """The members' weighted mean, (N, C), added up in the order of ``fusion.scores.ensemble``."""
        weight_of_member = dict(zip(self.problem.scores, weights, strict=True))
        # Those without weight are no part of the sum there, and the total is of those that are.
        names = sorted(name for name, weight in weight_of_member.items() if weight > 0)
        total = sum(weight_of_member[name] for name in names)
        mean = np.zeros((len(self.problem.truth), self.problem.classes))
        for name in names:
            mean += weight_of_member[name] / total * self.problem.scores[name]
        return mean

    def _view(self, weights: tuple[float, ...], thresholds: tuple[float, ...]) -> View:
        probabilities = self.blend(weights)
        if any(threshold != 1 for threshold in thresholds):
            probabilities = probabilities / np.array(thresholds)
            probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
        return View(probabilities, ranked(probabilities))

    def _labels(self, configuration: Configuration) -> Labels:
        """(N,) class indices after all rules."""
        view = self.view(configuration.weights, configuration.thresholds)
        return self.follow(view, view.order[:, 0], configuration.rules)

    def follow(self, view: View, labels: Labels, rules: tuple[tuple[int, Setting], ...]) -> Labels:
        """The labels after ``rules``, given those before."""
        for position, setting in rules:
            rule = self.problem.competition.rules[position].with_setting(setting)
            counts = None if rule.counted is None else self.problem.counts[position].above(rule.counted.score)
            labels = rule.apply(labels, view.probabilities, counts, self._names)
        return labels
