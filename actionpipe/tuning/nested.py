"""Tunes on all clips, and measures on every fold what tuning on the others alone would have chosen."""

from dataclasses import dataclass, replace

from actionpipe.metrics.bootstrap import Bootstrap
from actionpipe.metrics.metric import Prediction
from actionpipe.tuning import CONFIDENCE
from actionpipe.tuning.candidates import Part, Trials
from actionpipe.tuning.choose import Choice, Chooser, Step
from actionpipe.tuning.configuration import Configuration, Labeller, written
from actionpipe.tuning.pick import EQUAL
from actionpipe.tuning.problem import Problem


@dataclass(frozen=True)
class Outcome:
    """What was chosen, and what the whole procedure is worth."""

    choice: Choice
    """Fitted on all clips; or the competition file's own, where ``by_file``."""
    tuned: Prediction
    """Of N clips, each by a configuration that was chosen, from the first part to the last, without its fold."""
    written: Prediction
    """By the competition file as it is."""
    by_file: bool
    """Whether the file stays as it is, as ``written`` is better than ``tuned``."""

    @property
    def nested(self) -> Prediction:
        """By what was decided for: no setting was fitted on the clip that it labels."""
        return self.written if self.by_file else self.tuned


def tune(problem: Problem, confidence: float = CONFIDENCE, seed: int = 0) -> Outcome:
    """Choose, judge the choosing, and leave the competition file as it is where that is judged better.

    Args:
        problem: at least two parts of clips; see ``problem.parts_of``.
        confidence: 0 to 1; see ``choose.Chooser``.
        seed: of the bootstrap samples.
    """
    trials = Trials(Labeller(problem))
    chosen = {}
    for fold in problem.folds:
        others = [other for other in problem.folds if other != fold]
        chosen[fold] = Chooser(trials, others, confidence, seed).choose().configuration
    tuned = trials.by_fold(chosen)
    choice, file = Chooser(trials, problem.folds, confidence, seed).choose(), written(problem)
    by_file = trials.prediction(file)
    if choice.configuration == file:
        return Outcome(choice, tuned, by_file, by_file=False)
    step = _against_the_file(trials, file, tuned, by_file, seed)
    steps = [*choice.steps, step]
    if step.kept:
        steps = [*(_as_in(file, one) for one in choice.steps), step]
        choice = replace(choice, configuration=file)
    return Outcome(replace(choice, steps=steps), tuned, by_file, by_file=step.kept)


def _against_the_file(trials: Trials, file: Configuration, tuned: Prediction, by_file: Prediction, seed: int) -> Step:
    """The file in the place of all that was chosen. Nothing of it was fitted on these clips: any gain will do."""
    problem = trials.problem
    names = problem.competition.class_names
    gain = Bootstrap(problem.group, seed).gain(trials.metric.name, problem.truth, tuned, by_file, names)
    value = trials.value(problem.truth, by_file)
    kept = gain.value > EQUAL
    reason = f"{'better' if kept else 'no better'} than what the other folds chose for each"
    return Step(Part("written"), file, kept, value, gain, reason)


def _as_in(file: Configuration, step: Step) -> Step:
    """A step where the competition file stays as it is: kept is what stands in it."""
    part = step.part
    kept = part.kind in {"oversampling", "rule"} or (part.kind == "threshold" and file.thresholds[part.index] != 1)
    return replace(step, kept=kept, reason=f"as the competition file has it, which stays; by itself: {step.reason}")
