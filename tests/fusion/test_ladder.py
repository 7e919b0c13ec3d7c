import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actionpipe.competition.file import Competition
from actionpipe.competition.rules.sequence import apply_rules
from actionpipe.errors import UserError
from actionpipe.fusion.ladder import STEP_COLUMNS, VALUE_COLUMNS, ladder
from actionpipe.fusion.scores import ensemble
from actionpipe.metrics.registry import measure

CLASSES = ["walk", "kick", "rest"]
COMPETITION = Competition.model_validate(
    {
        "name": "toy",
        "classes": CLASSES,
        "metric": "accuracy",
        "members": [
            {"name": "one", "recipe": "r", "weight": 3},
            {"name": "off", "recipe": "r", "weight": 0},
            {"name": "two", "recipe": "r"},
        ],
        "detector": {"recipe": "d", "classes": ["kick"]},
        "rules": [
            {"kind": "distrust", "label": "rest", "below": 0.6},
            {"kind": "detect", "label": "kick", "when": ["walk"], "detected": "kick", "score": 0.5, "more_than": 2},
        ],
    }
)
VIDEOS = ["a", "b", "c", "d"]
ONE = pd.DataFrame([[0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.3, 0.2, 0.5], [0.1, 0.1, 0.8]], VIDEOS, CLASSES)
TWO = pd.DataFrame([[0.1, 0.1, 0.8], [0.8, 0.1, 0.1], [0.4, 0.1, 0.5], [0.1, 0.2, 0.7]], VIDEOS, CLASSES)
EVIDENCE = pd.DataFrame({1: [3.0, 9.0, 0.0, 9.0]}, index=VIDEOS)
TRUTH = pd.Series({"a": "walk", "b": "kick", "c": "walk", "d": "rest"})


def test_every_rung_by_hand() -> None:
    rungs = ladder({"one": ONE, "two": TWO}, EVIDENCE, TRUTH, COMPETITION)
    assert list(rungs.columns) == STEP_COLUMNS + VALUE_COLUMNS
    assert [step.split(":")[0] for step in rungs["step"]] == ["one alone", "two alone", "ensemble", "rule 1", "rule 2"]
    # one: walk walk rest rest (2 of 4); two: rest walk rest rest (1); ensemble as one; the first rule mends c, the
    # second mends b and spoils a.
    assert rungs["metric"].tolist() == [0.5, 0.25, 0.5, 0.75, 0.75]
    assert rungs["difference"].tolist()[2:] == [0.0, 0.25, 0.0]
    assert rungs["changed"].tolist()[2:] == [0, 1, 2]
    assert rungs["better"].tolist()[2:] == [0, 1, 1]
    assert rungs["worse"].tolist()[2:] == [0, 0, 1]
    assert rungs.loc[:0, ["difference", "changed", "better", "worse"]].isna().all(axis=None)
    assert (rungs["compared_to"][1], rungs["difference"][1]) == ("one alone", -0.25)
    assert rungs["videos"].tolist() == [4] * 5
    assert rungs["compared_to"].tolist()[2:4] == ["best member alone", "ensemble"]


@settings(deadline=None, max_examples=30)
@given(st.permutations(range(4)), st.permutations(range(4)), st.booleans())
def test_rows_and_members_in_any_order_give_the_same_ladder(one: list[int], two: list[int], swap: bool) -> None:
    scores = {"one": ONE.iloc[one], "two": TWO.iloc[two]}
    if swap:
        scores = dict(reversed(scores.items()))
    shuffled = ladder(scores, EVIDENCE.iloc[two], TRUTH.iloc[one], COMPETITION)
    pd.testing.assert_frame_equal(shuffled, ladder({"one": ONE, "two": TWO}, EVIDENCE, TRUTH, COMPETITION))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_the_last_rung_is_the_metric_of_the_final_labels(seed: int) -> None:
    random = np.random.default_rng(seed)
    videos = [f"v{row}" for row in range(12)]
    scores = {name: pd.DataFrame(random.dirichlet(np.ones(3), 12), videos, CLASSES) for name in ("one", "two")}
    evidence = pd.DataFrame({1: random.integers(0, 6, 12).astype(float)}, index=videos)
    truth = pd.Series(random.choice(CLASSES, 12), index=videos)
    rungs = ladder(scores, evidence, truth, COMPETITION)
    labels = apply_rules(ensemble(scores, {"one": 3, "two": 1}), evidence, COMPETITION.rules, CLASSES)
    assert rungs["metric"].iloc[-1] == measure("accuracy", truth[videos], labels[videos], CLASSES)
    # In accuracy, what a rule gains is what it mends less what it spoils.
    gains = (rungs["better"] - rungs["worse"]).iloc[2:].astype(float) / 12
    np.testing.assert_allclose(rungs["difference"].iloc[2:], gains, atol=1e-12)
    assert (rungs["better"].iloc[2:] + rungs["worse"].iloc[2:] <= rungs["changed"].iloc[2:]).all()


def test_clips_without_truth_and_truth_without_scores_are_left_out() -> None:
    truth = pd.concat([TRUTH.drop("d"), pd.Series({"elsewhere": "rest"})])
    rungs = ladder({"one": ONE, "two": TWO}, EVIDENCE, truth, COMPETITION)
    assert rungs["videos"].tolist() == [3] * 5


def test_members_that_disagree_are_refused() -> None:
    with pytest.raises(UserError, match="two has no scores for 'd'"):
        ladder({"one": ONE, "two": TWO.drop("d")}, EVIDENCE, TRUTH, COMPETITION)
