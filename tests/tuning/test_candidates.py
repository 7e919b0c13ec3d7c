from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import CLASSES, COMPETITION, draw, planted

from actionpipe.competition.file import Competition
from actionpipe.competition.rules.sequence import apply_rules
from actionpipe.fusion.evidence import count_evidence
from actionpipe.fusion.ladder import blend
from actionpipe.metrics.tally import tally
from actionpipe.tuning.candidates import Part, Trials
from actionpipe.tuning.configuration import Configuration, Labeller, apply_to, written
from actionpipe.tuning.problem import make_problem

RULES = [
    {"kind": "distrust", "label": "walk", "below": 0.6},
    {"kind": "prefer", "over": "rest", "label": "ride", "ranks": 3},
    *[rule.model_dump() for rule in COMPETITION.rules],
    {"kind": "detect", "label": "fall", "when": ["rest", "walk"], "detected": "shadow", "score": 0.62, "more_than": 1,
     "count": "frames"},
]  # fmt: skip
ALL_KINDS = Competition.model_validate({**COMPETITION.model_dump(), "rules": RULES})


def problem_of(seed: int, clips: int = 60):
    scores, splits, detections = draw(seed, clips)
    detections["frame"] = np.random.default_rng(seed).integers(1, 4, len(detections))
    return make_problem(ALL_KINDS, scores, splits, detections), scores, splits, detections


settings_of_rules = st.tuples(
    st.tuples(st.just(0), st.tuples(st.sampled_from([0.3, 0.6, 0.9]))),
    st.tuples(st.just(1), st.tuples(st.sampled_from([2.0, 3.0, 4.0]))),
    st.tuples(st.just(3), st.tuples(st.sampled_from([0.35, 0.5, 0.8]), st.sampled_from([0.0, 2.0, 5.0]))),
    st.tuples(st.just(5), st.tuples(st.sampled_from([0.5, 0.62]), st.sampled_from([0.0, 1.0]))),
)
configurations = st.builds(
    Configuration,
    weights=st.sampled_from([(1.0, 1.0), (0.7, 0.3), (1.0, 0.0), (0.2, 0.8)]),
    thresholds=st.tuples(*[st.sampled_from([0.5, 1.0, 2.0])] * len(CLASSES)),
    rules=settings_of_rules.flatmap(lambda rules: st.permutations(rules).map(tuple)),
)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1000), configurations)
def test_labels_are_those_that_postprocess_gives_for_the_tuned_file(seed: int, configuration: Configuration) -> None:
    problem, scores, splits, detections = problem_of(seed)
    tuned = apply_to(configuration, problem)
    evidence = count_evidence([detections], tuned.rules, list(splits.index))
    wanted = apply_rules(blend(scores, tuned), evidence, tuned.rules, CLASSES).loc[problem.videos]
    found = np.array(CLASSES)[Labeller(problem).labels(configuration)]
    assert found.tolist() == wanted.tolist()


parts = st.one_of(
    st.just(Part("weights")),
    st.builds(Part, st.just("threshold"), st.integers(0, len(CLASSES) - 1)),
    st.builds(Part, st.just("rule"), st.sampled_from([2, 4]), st.booleans()),
)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), configurations, parts)
def test_every_option_counts_what_its_labels_give(seed: int, configuration: Configuration, part: Part) -> None:
    check_options(seed, configuration, part)


@pytest.mark.parametrize("position", range(6))
@pytest.mark.parametrize("at_end", [True, False])
def test_every_kind_of_rule_is_counted(position: int, at_end: bool) -> None:
    others = tuple((number, setting) for number, setting in written(problem_of(1)[0]).rules if number != position)
    check_options(1, Configuration((1.0, 1.0), (1.0,) * len(CLASSES), others), Part("rule", position, at_end))


def check_options(seed: int, configuration: Configuration, part: Part) -> None:
    problem = problem_of(seed)[0]
    if part.kind == "threshold":  # comes before any rule
        configuration = replace(configuration, rules=())
    trials = Trials(Labeller(problem))
    candidates = trials.candidates(configuration, part)
    assert len(candidates.options) == len(candidates.counts) == np.prod(candidates.shape)
    for option, counts in zip(candidates.options, candidates.counts, strict=True):
        labels = trials.labeller.labels(trials.with_option(configuration, part, option))
        rows = tally(problem.truth, labels, problem.classes)
        wanted = [rows[problem.fold == fold].sum(axis=0) for fold in problem.folds]
        np.testing.assert_array_equal(counts, wanted)


def test_the_written_setting_is_among_the_options() -> None:
    problem = problem_of(0)[0]
    trials = Trials(Labeller(problem))
    bare = Configuration((1.0, 1.0), (1.0,) * len(CLASSES))
    for position, setting in written(problem).rules:
        assert setting in trials.candidates(bare, Part("rule", position)).options


def test_with_many_members_each_is_tried_against_the_others() -> None:
    names = ["a", "b", "c", "d"]
    members = [{"name": name, "recipe": "r"} for name in names]
    competition = Competition.model_validate({**COMPETITION.model_dump(), "members": members})
    scores, splits, detections = draw(0, 40)
    problem = make_problem(competition, dict.fromkeys(names, scores["one"]), splits, detections)
    configuration = Configuration((1.0,) * 4, (1.0,) * len(CLASSES))
    options = Trials(Labeller(problem)).candidates(configuration, Part("weights")).options
    assert all(sum(option) == pytest.approx(1) for option in options)
    assert (1.0, 0.0, 0.0, 0.0) in options and len(options) == len(set(options)) == 44


def test_one_fold_is_cut_between_groups() -> None:
    scores, splits, detections = draw(3, 100)
    splits["fold"] = 0
    problem = make_problem(COMPETITION, scores, splits, detections)
    assert len(problem.folds) == 5
    folds_of_group = pd.Series(problem.fold).groupby(problem.group).nunique()
    assert (folds_of_group == 1).all()
    assert planted(3, 100).folds == (0, 1, 2, 3, 4)
