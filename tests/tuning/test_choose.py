from dataclasses import replace

import numpy as np
import pytest
from planted import HARMFUL, USEFUL, planted

from actionpipe.metrics.registry import measure
from actionpipe.tuning import CONFIDENCE
from actionpipe.tuning.candidates import Trials
from actionpipe.tuning.choose import Chooser
from actionpipe.tuning.configuration import Labeller, written
from actionpipe.tuning.nested import tune
from actionpipe.tuning.problem import Problem


def rules_kept(problem: Problem) -> list[int]:
    choice = Chooser(Trials(Labeller(problem)), problem.folds, CONFIDENCE, 0).choose()
    kept = [step.part.index for step in choice.steps if step.part.kind == "rule" and step.kept]
    assert sorted(kept) == sorted(position for position, _ in choice.configuration.rules)
    return kept


def test_of_a_useful_a_useless_and_a_harmful_rule_only_the_useful_stays_in_95_of_100_seeds() -> None:
    right = sum(rules_kept(planted(seed)) == [USEFUL] for seed in range(100))
    assert right >= 95


def test_what_is_chosen_for_a_fold_does_not_depend_on_its_labels() -> None:
    problem = planted(5, 150)
    before = tune(problem).nested.labels
    for fold in problem.folds[:2]:
        truth = problem.truth.copy()
        inside = problem.fold == fold
        truth[inside] = np.random.default_rng(0).permutation(truth[inside])
        shuffled = Problem(
            problem.competition, problem.scores, truth, problem.fold, problem.group, problem.videos, problem.counts
        )
        np.testing.assert_array_equal(tune(shuffled).nested.labels[inside], before[inside])


def test_every_part_is_decided_once_and_a_kept_one_gains() -> None:
    problem = planted(1)
    outcome = tune(problem)
    parts = [(step.part.kind, step.part.index) for step in outcome.choice.steps]
    # Oversampling and weights; each class and each rule; the file as it is.
    assert len(parts) == len(set(parts)) == 2 + problem.classes + len(problem.competition.rules) + 1
    assert not outcome.choice.steps[-1].kept
    for step in outcome.choice.steps:
        assert not step.kept or (step.gain.value > 0 and step.reason.startswith("a gain in"))
    kept = [step for step in outcome.choice.steps if step.kept]
    # The metric of each kept part is that of the one before and its gain.
    metric = outcome.choice.start
    for step in kept:
        metric += step.gain.value
        assert abs(metric - step.metric) < 1e-6


def test_the_whole_procedure_does_better_than_the_rules_as_written() -> None:
    problem = planted(2)
    outcome = tune(problem)
    assert (outcome.nested.labels == problem.truth).mean() > (outcome.written.labels == problem.truth).mean() + 0.05


def without_harm(seed: int) -> Problem:
    """A file whose every part helps or does nothing, on so few clips that hardly anything can be proven."""
    problem = planted(seed, 40)
    rules = [rule for position, rule in enumerate(problem.competition.rules) if position != HARMFUL]
    return replace(problem, competition=problem.competition.model_copy(update={"rules": rules}))


def test_the_file_stays_as_it_is_where_all_that_was_chosen_does_worse() -> None:
    stayed = []
    for seed in range(8):
        problem = without_harm(seed)
        outcome, file, names = tune(problem), written(problem), problem.competition.class_names
        labels = Labeller(problem).labels(file)
        by_file, tuned = (
            measure(problem.competition.metric, problem.truth, found, names) for found in (labels, outcome.tuned.labels)
        )
        step = outcome.choice.steps[-1]
        assert step.part.kind == "written"
        assert step.metric == pytest.approx(by_file)
        assert step.gain.value == pytest.approx(by_file - tuned)
        stayed.append(by_file > tuned)
        assert outcome.by_file == step.kept == stayed[-1]
        assert (outcome.choice.configuration == file) == stayed[-1]
        np.testing.assert_array_equal(outcome.nested.labels, labels if stayed[-1] else outcome.tuned.labels)
        rules = [one.part.index for one in outcome.choice.steps if one.part.kind == "rule" and one.kept]
        assert sorted(rules) == sorted(position for position, _ in outcome.choice.configuration.rules)
    assert True in stayed
    assert False in stayed


def test_a_rule_that_one_after_it_makes_needless_goes() -> None:
    # The same rule twice: whichever comes first, the other changes nothing more.
    problem = planted(4)
    rules = [problem.competition.rules[USEFUL]] * 2
    twice = Problem(
        problem.competition.model_copy(update={"rules": rules}),
        problem.scores,
        problem.truth,
        problem.fold,
        problem.group,
        problem.videos,
        dict.fromkeys(range(2), problem.counts[USEFUL]),
    )
    assert len(rules_kept(twice)) == 1
