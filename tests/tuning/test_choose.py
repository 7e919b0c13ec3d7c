import numpy as np
from planted import USEFUL, planted

from actionpipe.tuning import CONFIDENCE
from actionpipe.tuning.candidates import Trials
from actionpipe.tuning.choose import Chooser
from actionpipe.tuning.configuration import Labeller
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
    before = tune(problem).nested
    for fold in problem.folds[:2]:
        truth = problem.truth.copy()
        inside = problem.fold == fold
        truth[inside] = np.random.default_rng(0).permutation(truth[inside])
        shuffled = Problem(
            problem.competition, problem.scores, truth, problem.fold, problem.group, problem.videos, problem.counts
        )
        np.testing.assert_array_equal(tune(shuffled).nested[inside], before[inside])


def test_every_part_is_decided_once_and_a_kept_one_gains() -> None:
    problem = planted(1)
    outcome = tune(problem)
    parts = [(step.part.kind, step.part.index) for step in outcome.choice.steps]
    assert len(parts) == len(set(parts)) == 1 + 1 + problem.classes + len(problem.competition.rules)
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
    assert (outcome.nested == problem.truth).mean() > (outcome.written == problem.truth).mean() + 0.05


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
