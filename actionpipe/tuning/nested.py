"""Tunes on all clips, and measures on every fold what tuning on the others alone would have chosen."""

from dataclasses import dataclass

import numpy as np

from actionpipe.fusion.rules import Labels
from actionpipe.tuning import CONFIDENCE
from actionpipe.tuning.candidates import Trials
from actionpipe.tuning.choose import Choice, Chooser
from actionpipe.tuning.configuration import Labeller, written
from actionpipe.tuning.problem import Problem


@dataclass(frozen=True)
class Outcome:
    """What was chosen, and what the whole procedure is worth."""

    choice: Choice
    """Fitted on all clips."""
    nested: Labels
    """(N,) each by a configuration that was chosen, from the first part to the last, without its fold."""
    written: Labels
    """(N,) by the competition file as it is."""


def tune(problem: Problem, confidence: float = CONFIDENCE, seed: int = 0) -> Outcome:
    """Choose, and judge the choosing.

    Args:
        problem: at least two parts of clips; see ``problem.parts_of``.
        confidence: 0 to 1; see ``choose.Chooser``.
        seed: of the bootstrap samples.
    """
    trials = Trials(Labeller(problem))
    nested = np.empty(len(problem.truth), np.int64)
    for fold in problem.folds:
        others = [other for other in problem.folds if other != fold]
        chosen = Chooser(trials, others, confidence, seed).choose().configuration
        inside = problem.fold == fold
        nested[inside] = trials.labeller.labels(chosen)[inside]
    choice = Chooser(trials, problem.folds, confidence, seed).choose()
    return Outcome(choice, nested, trials.labeller.labels(written(problem)))
