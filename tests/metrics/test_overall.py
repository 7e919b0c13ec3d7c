import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionpipe.errors import UserError
from actionpipe.metrics.label_metrics import LABEL_METRICS
from actionpipe.metrics.overall import overall
from actionpipe.metrics.probability_metrics import top_k_accuracy

CLASSES = ["run", "jump, high", "sit", "007"]
SCORES = np.array([[0.7, 0.1, 0.1, 0.1], [0.2, 0.5, 0.3, 0.0], [0.05, 0.15, 0.3, 0.5], [0.4, 0.3, 0.2, 0.1]])


def test_values_by_hand() -> None:
    truth, predicted = ["run", "sit", "007", "007"], ["run", "jump, high", "007", "run"]
    # By rank of the true class: 1, 2, 1, 4.
    values = overall(truth, predicted, CLASSES, SCORES)
    assert values["accuracy"] == pytest.approx(2 / 4)
    assert values["micro_f1"] == pytest.approx(2 / 4)
    # run: tp 1 fp 1 -> 2/3; jump: only predicted -> 0; sit: 0; 007: tp 1 fn 1 -> 2/3.
    assert values["macro_f1"] == pytest.approx((2 / 3 + 0 + 0 + 2 / 3) / 4)
    assert values["weighted_f1"] == pytest.approx((2 / 3 + 0 + 2 * 2 / 3) / 4)
    assert values["mean_class_accuracy"] == pytest.approx((1 + 0 + 0.5) / 3)
    assert top_k_accuracy(truth, SCORES, CLASSES, 2) == pytest.approx(3 / 4)
    assert values["top3_accuracy"] == pytest.approx(3 / 4)
    assert "top5_accuracy" not in values  # of four classes, it is 1 for any scores
    assert list(overall(truth, predicted, CLASSES)) == [metric.name for metric in LABEL_METRICS]


def test_top_k_of_two_classes_and_of_all() -> None:
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    assert top_k_accuracy([0, 1, 1], scores, ["no", "yes"], 1) == pytest.approx(2 / 3)
    assert top_k_accuracy([0, 1, 1], scores, ["no", "yes"], 2) == 1.0
    assert top_k_accuracy([0, 0, 0], SCORES[:3], CLASSES, 9) == 1.0


@given(st.lists(st.integers(0, 3), min_size=1, max_size=20))
def test_order_of_rows_does_not_matter_and_perfect_scores_are_one(truth: list[int]) -> None:
    wanted = np.array(truth)
    generator = np.random.default_rng(len(truth))
    scores = generator.dirichlet(np.ones(4), len(wanted))
    order = generator.permutation(len(wanted))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = overall(wanted, scores.argmax(axis=1), CLASSES, scores)
        again = overall(wanted[order], scores.argmax(axis=1)[order], CLASSES, scores[order])
        perfect = overall(wanted, wanted, CLASSES, np.eye(4)[wanted])
    assert again == pytest.approx(found)
    assert found["top3_accuracy"] >= found["accuracy"]
    assert set(perfect.values()) == {1.0}


def test_wrong_calls_say_what_was_found() -> None:
    with pytest.raises(UserError, match=r"shape \(3, 4\) for 2 clips and 4 classes"):
        top_k_accuracy([0, 1], SCORES[:3], CLASSES, 2)
    with pytest.raises(UserError, match="from 0 to 1"):
        top_k_accuracy([0], np.array([[2.0, -1, 0, 0]]), CLASSES, 2)
    with pytest.raises(UserError, match="from 0 to 1"):
        top_k_accuracy([0], np.full((1, 4), np.nan), CLASSES, 2)
    with pytest.raises(UserError, match="top-0"):
        top_k_accuracy([0], SCORES[:1], CLASSES, 0)
    with pytest.raises(UserError, match="no clip"):
        top_k_accuracy([], np.zeros((0, 4)), CLASSES, 2)
