"""Matching of boxes, counts of the rules, and what each precision promises, on made-up numbers."""

import numpy as np
import pandas as pd
import pytest

from actionpipe.competition.rules.detect import Detect
from actionpipe.competition.rules.prefer import Prefer
from actionpipe.fusion.evidence import COLUMNS
from actionpipe.inference.parity.agreement import (
    PROMISES,
    BoxAgreement,
    Difference,
    Matches,
    RuleAgreement,
    Speed,
    compare_counts,
    compare_scores,
    match_boxes,
)

SPEED = Speed(1.0, 2.0)


def boxes(*rows):
    """Rows (frame, label, score, x1, y1, x2, y2) of one video."""
    return pd.DataFrame([["v.mp4", *row] for row in rows], columns=COLUMNS)


def scores(*rows):
    return pd.DataFrame(rows, index=[f"{row}.mp4" for row in range(len(rows))], columns=["a", "b", "c"])


A = (1, "ball", 0.9, 10, 10, 30, 30)
B = (1, "ball", 0.6, 100, 50, 140, 90)


def test_boxes_in_another_order_match_without_difference():
    assert match_boxes(boxes(A, B), boxes(B, A)) == Matches(2, 2, 0, 0, 0.0, 0.0)


def test_the_largest_differences_are_of_matched_boxes():
    found = match_boxes(boxes((1, "ball", 0.85, 10, 12, 30, 30), (1, "ball", 0.6, 100, 50, 140, 89.5)), boxes(A, B))
    assert (found.unmatched, found.reference_unmatched) == (0, 0)
    assert found.corners == pytest.approx(2)
    assert found.scores == pytest.approx(0.05)


@pytest.mark.parametrize(
    "other",
    [
        (2, "ball", 0.9, 10, 10, 30, 30),
        (1, "bat", 0.9, 10, 10, 30, 30),
        (1, "ball", 0.9, 60, 10, 80, 30),
    ],
    ids=["another frame", "another label", "elsewhere"],
)
def test_boxes_that_cannot_be_the_same_stay_unmatched(other):
    assert match_boxes(boxes(other), boxes(A)) == Matches(1, 1, 1, 1, 0.0, 0.0)


def test_each_box_is_matched_once_and_the_surest_chooses_first():
    near = (1, "ball", 0.5, 11, 10, 31, 30)
    found = match_boxes(boxes(A), boxes(near, A))
    assert found == Matches(1, 2, 0, 1, 0.0, 0.0)


def test_the_nearest_of_several_is_taken():
    found = match_boxes(boxes((1, "ball", 0.2, 12, 10, 32, 30), (1, "ball", 0.3, 10, 11, 30, 30)), boxes(A))
    assert (found.corners, found.unmatched) == (1.0, 1)
    assert found.scores == pytest.approx(0.6)


def test_boxes_without_area_match_by_their_corners():
    flat = match_boxes(boxes((1, "ball", 0.9, 5, 5, 5, 9)), boxes((1, "ball", 0.9, 5, 5, 5, 9.5)))
    assert flat == Matches(1, 1, 0, 0, 0.5, 0.0)


def test_a_side_without_boxes():
    assert match_boxes(boxes(), boxes(A, B)) == Matches(0, 2, 0, 2, 0.0, 0.0)
    assert match_boxes(boxes(), boxes()) == Matches(0, 0, 0, 0, 0.0, 0.0)


def test_each_detect_rule_is_counted_on_both_sides():
    rules = [
        Prefer(kind="prefer", label="a", over="b"),
        Detect(kind="detect", label="a", when=["b"], detected="ball", score=0.5, more_than=1),
        Detect(kind="detect", label="a", when=["b"], detected="ball", score=0.5, more_than=0, count="frames"),
    ]
    fainter = (1, "ball", 0.5, 100, 50, 140, 90)
    first, second = compare_counts(boxes(A, fainter), boxes(A, B), rules, ["v.mp4", "w.mp4"])
    assert (first.rule, first.counted, first.reference_counted, first.clips) == (2, 1, 2, 2)
    assert first.otherwise == ["v.mp4"]
    assert "more than 1 boxes of ball above 0.5" in first.text
    assert (second.rule, second.counted, second.reference_counted, second.otherwise) == (3, 1, 1, [])


def test_probabilities_are_compared_by_name():
    ours = scores([0.5, 0.3, 0.2], [0.1, 0.5, 0.4])
    theirs = scores([0.5, 0.3, 0.2], [0.1, 0.4, 0.5]).iloc[::-1][["c", "a", "b"]]
    found = compare_scores("m", ours, theirs, SPEED)
    assert found.largest == pytest.approx(0.1)
    assert found.mean == pytest.approx(0.2 / 6)
    assert found.differing == [Difference("1.mp4", "b", 0.5, "c", 0.5)]


@pytest.mark.parametrize(("error", "holds"), [(9e-5, True), (2e-4, False), (np.nan, False)])
def test_fp32_promises_probabilities_to_a_ten_thousandth(error, holds):
    found = compare_scores("m", scores([0.5 + error, 0.5 - error, 0]), scores([0.5, 0.5, 0]), SPEED)
    assert found.holds(PROMISES["fp32"]) == holds
    assert found.holds(PROMISES["bf16"]) == (not np.isnan(error))


@pytest.mark.parametrize(("clips", "wrong", "holds"), [(200, 2, True), (200, 3, False), (20, 1, False)])
def test_half_precision_promises_nearly_all_labels(clips, wrong, holds):
    theirs = scores(*[[0.6, 0.4, 0.0]] * clips)
    ours = theirs.copy()
    ours.iloc[:wrong] = [0.4, 0.6, 0.0]
    found = compare_scores("m", ours, theirs, SPEED)
    assert found.holds(PROMISES["bf16"]) == found.holds(PROMISES["fp16"]) == holds
    assert not found.holds(PROMISES["fp32"])


@pytest.mark.parametrize(
    ("matches", "holds"),
    [
        (Matches(5, 5, 0, 0, 1e-3, 1e-3), True),
        (Matches(5, 5, 0, 0, 2e-3, 0.0), False),
        (Matches(5, 5, 0, 0, 0.0, 2e-3), False),
        (Matches(6, 5, 1, 0, 0.0, 0.0), False),
        (Matches(5, 6, 0, 1, 0.0, 0.0), False),
    ],
)
def test_fp32_promises_the_boxes(matches, holds):
    found = BoxAgreement("boxes", 4, 1, matches, [], SPEED)
    assert found.holds(PROMISES["fp32"]) == holds
    assert found.holds(PROMISES["bf16"])


def test_a_rule_that_decides_otherwise_breaks_every_promise():
    rule = RuleAgreement(1, "detect", 3, 4, 4, ["v.mp4"])
    found = BoxAgreement("boxes", 4, 1, Matches(5, 5, 0, 0, 0.0, 0.0), [rule], SPEED)
    assert not any(found.holds(promise) for promise in PROMISES.values())
