"""Decides which parts of the fusion stay, each on clips that its setting was not fitted on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from actionpipe.metrics.bootstrap import Bootstrap, Gain, Samples
from actionpipe.metrics.metric import Prediction
from actionpipe.tuning.candidates import Option, Part, Trials
from actionpipe.tuning.configuration import Configuration, written
from actionpipe.tuning.pick import EQUAL, pick


@dataclass(frozen=True)
class Step:
    """What was decided about one part."""

    part: Part
    tried: Configuration
    """Everything kept before it and the part, fitted on all clips."""
    kept: bool
    metric: float
    """On the clips with the part, each by the setting that was fitted on the others."""
    gain: Gain
    """Over everything kept before it."""
    reason: str


@dataclass(frozen=True)
class Choice:
    """The outcome: a configuration fitted on all the clips, and why."""

    configuration: Configuration
    steps: list[Step]
    first: Configuration
    """What it began with: the plain members as they are written."""
    start: float
    """The metric of that."""


@dataclass(frozen=True)
class _Fits:
    """The same decisions with settings fitted on different clips."""

    final: Configuration
    """Fitted on all clips."""
    without: dict[int, Configuration]
    """Fold -> fitted on the other folds."""


class Chooser:
    """Goes through the parts, forward: in each round the one with the highest gain joins what was kept."""

    def __init__(self, trials: Trials, folds: Sequence[int], confidence: float, seed: int) -> None:
        """Look at the clips of ``folds`` alone.

        Args:
            trials: counts candidates.
            folds: at least two parts of the problem's clips.
            confidence: a part that was fitted, or that overrules, stays when its gain is above 0 in more than this
                share of the bootstrap samples.
            seed: of the samples.
        """
        self.trials, self.problem = trials, trials.problem
        self.folds, self.confidence = tuple(folds), confidence
        self.clips = np.flatnonzero(np.isin(self.problem.fold, self.folds))
        self.fold = self.problem.fold[self.clips]
        self.truth = self.problem.truth[self.clips]
        self.bootstrap = Bootstrap(self.problem.group[self.clips], seed)
        self.names = self.problem.competition.class_names

    def choose(self) -> Choice:
        """Ensemble first, then thresholds, then rules, as they are applied."""
        start, as_written = self._start(), written(self.problem)
        fits = self._same(start)
        first = self._metric(self._prediction(fits))
        steps: list[Step] = []
        if start.weights != as_written.weights:
            trial = self._same(replace(start, weights=as_written.weights))
            # An average of models has nothing fitted: any gain will do.
            fits = self._decide(steps, Part("oversampling"), fits, trial, needed=0.0)
        fits = self._decide(steps, Part("weights"), fits, self._fit(fits, Part("weights")))
        fits = self._rounds(steps, fits, [Part("threshold", index) for index in range(self.problem.classes)])
        rules = range(len(self.problem.competition.rules))
        fits = self._rounds(steps, fits, [Part("rule", position) for position in rules])
        fits, steps = self._prune(steps, fits)
        return Choice(fits.final, steps, start, first)

    def _start(self) -> Configuration:
        """The plain members with their written weights, nothing else; all members when none is plain."""
        configuration = written(self.problem)
        plain = {member.name for member in self.problem.competition.members if member.clips == "plain"}
        weights = tuple(
            weight if name in plain else 0.0
            for name, weight in zip(self.problem.scores, configuration.weights, strict=True)
        )
        ones = (1.0,) * self.problem.classes
        return Configuration(weights if any(weights) else configuration.weights, ones)

    def _rounds(self, steps: list[Step], fits: _Fits, parts: list[Part]) -> _Fits:
        """Add the part with the highest gain that stays, again and again; then note those left over."""
        trials: dict[Part, tuple[_Fits, Gain]] = {}
        while parts:
            before = self._prediction(fits)
            samples = self.bootstrap.samples(self.trials.metric.name, self.truth, before, self.names)
            trials = {part: self._best_of(fits, part, before, samples) for part in parts}
            staying = {part: trial for part, trial in trials.items() if self._stays(trial[1])}
            if not staying:
                break
            part = max(staying, key=lambda one: staying[one][1].value)
            fits = self._decide(steps, part, fits, *trials[part])
            parts.remove(part)
        for part in parts:
            self._decide(steps, part, fits, *trials[part])
        return fits

    def _best_of(self, fits: _Fits, part: Part, before: Prediction, samples: Samples) -> tuple[_Fits, Gain]:
        """The best way to add a part: as written or tuned, a rule at its place in the file or after all others.

        ``before`` is the prediction of ``fits``, and ``samples`` what the bootstrap has drawn of it.
        """
        places = [part]
        if part.kind == "rule" and any(position > part.index for position, _ in fits.final.rules):
            places.append(replace(part, at_end=True))
        trials = []
        for place in places:
            if part.kind == "rule":
                setting = self.problem.competition.rules[part.index].setting
                trials.append(self._map(fits, place, setting))
            trials.append(self._fit(fits, place))
        gains = [self._gain(before, self._prediction(trial), samples) for trial in trials]
        # Of equals the first: as written, and where it is written.
        best = max(range(len(trials)), key=lambda one: (round(gains[one].value, 9), -one))
        return trials[best], gains[best]

    def _decide(
        self,
        steps: list[Step],
        part: Part,
        fits: _Fits,
        trial: _Fits,
        gain: Gain | None = None,
        needed: float | None = None,
    ) -> _Fits:
        """Note what the trial is worth; return it when it stays, else what was there."""
        prediction = self._prediction(trial)
        gain = gain or self._gain(self._prediction(fits), prediction)
        kept = self._stays(gain, needed) and trial.final != fits.final
        reason = self._reason(part, gain, kept=kept)
        if trial.final == fits.final and (gain.changed or gain.value):
            reason = "fitted on all clips it changes nothing"
        steps.append(Step(part, trial.final, kept, self._metric(prediction), gain, reason))
        return trial if kept else fits

    def _prune(self, steps: list[Step], fits: _Fits) -> tuple[_Fits, list[Step]]:
        """Drop rules that those after them have made needless."""
        for number, step in enumerate(steps):
            if step.part.kind != "rule" or not step.kept:
                continue
            without = self._each(fits, partial(_without, step.part.index))
            with_it, without_it = (self._metric(self._prediction(one)) for one in (fits, without))
            worth = self.trials.metric.sign * (with_it - without_it)
            if worth <= EQUAL:
                fits = without
                steps[number] = replace(step, kept=False, reason="the rules after it do as well alone")
        return fits, steps

    def _same(self, configuration: Configuration) -> _Fits:
        return _Fits(configuration, dict.fromkeys(self.folds, configuration))

    def _each(self, fits: _Fits, change: Callable[[Configuration], Configuration]) -> _Fits:
        return _Fits(change(fits.final), {fold: change(one) for fold, one in fits.without.items()})

    def _map(self, fits: _Fits, part: Part, option: Option) -> _Fits:
        return self._each(fits, lambda one: self.trials.with_option(one, part, option))

    def _fit(self, fits: _Fits, part: Part) -> _Fits:
        """The part with the setting that is best on the clips that each configuration was fitted on."""
        without = {
            fold: self._fitted(one, part, [other for other in self.folds if other != fold])
            for fold, one in fits.without.items()
        }
        return _Fits(self._fitted(fits.final, part, self.folds), without)

    def _fitted(self, configuration: Configuration, part: Part, folds: Sequence[int]) -> Configuration:
        options, scores, without = self.trials.scores(configuration, part, folds)
        best = pick(scores, without)
        return configuration if best is None else self.trials.with_option(configuration, part, options[best])

    def _prediction(self, fits: _Fits) -> Prediction:
        """Of this chooser's clips, each by the configuration that was not fitted on its fold."""
        return self.trials.by_fold(fits.without).of(self.clips)

    def _metric(self, prediction: Prediction) -> float:
        return self.trials.value(self.truth, prediction)

    def _gain(self, before: Prediction, after: Prediction, samples: Samples | None = None) -> Gain:
        return self.bootstrap.gain(self.trials.metric.name, self.truth, before, after, self.names, samples)

    def _reason(self, part: Part, gain: Gain, *, kept: bool) -> str:
        if part.kind == "rule" and not self.trials.metric.needs_labels:
            return f"a rule changes labels, and {self.trials.metric.name} looks at probabilities alone"
        if not gain.changed and not gain.value:
            return "changes no clip"
        share = f"{100 * gain.share:.1f}% of the samples"
        if kept:
            return f"a gain in {share}"
        if gain.value > EQUAL:
            return f"the gain may be chance: only in {share}"
        return "no gain on clips it was not fitted on"

    def _stays(self, gain: Gain, needed: float | None = None) -> bool:
        return gain.value > EQUAL and gain.share > (self.confidence if needed is None else needed)


def _without(position: int, configuration: Configuration) -> Configuration:
    return replace(configuration, rules=tuple(rule for rule in configuration.rules if rule[0] != position))
