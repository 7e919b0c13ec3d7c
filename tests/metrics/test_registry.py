import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from actionpipe.competition.file import Competition
from actionpipe.errors import UserError
from actionpipe.metrics.label_metrics import LABEL_METRICS
from actionpipe.metrics.registry import METRICS, measure

CLASSES = ["run", "jump, high", "sit", "007"]


def test_metric_names_are_those_of_the_competition() -> None:
    allowed = Competition.model_json_schema()["properties"]["metric"]["enum"]
    assert list(METRICS) == allowed


def test_values_computed_by_hand() -> None:
    truth = np.array(["run", "run", "run", "sit"])
    predicted = np.array(["run", "run", "sit", "007"])
    # run: tp 2, fp 0, fn 1 -> 0.8; sit: tp 0 -> 0; 007: only predicted -> 0; "jump, high" occurs nowhere.
    assert measure("macro_f1", truth, predicted, CLASSES) == pytest.approx(0.8 / 3)
    assert measure("weighted_f1", truth, predicted, CLASSES) == pytest.approx(0.6)
    assert measure("micro_f1", truth, predicted, CLASSES) == pytest.approx(0.5)
    assert measure("accuracy", truth, predicted, CLASSES) == pytest.approx(0.5)
    assert measure("mean_class_accuracy", truth, predicted, CLASSES) == pytest.approx((2 / 3 + 0) / 2)


OF_LABELS = sorted(metric.name for metric in LABEL_METRICS)
labels = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40)


@given(labels, st.sampled_from(OF_LABELS))
def test_names_and_indices_agree_without_warnings(pairs: list[tuple[int, int]], name: str) -> None:
    truth, predicted = (np.array(column) for column in zip(*pairs, strict=True))
    names = np.array(CLASSES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        by_index = measure(name, truth, predicted, CLASSES)
        by_name = measure(name, names[truth], names[predicted], CLASSES)
        mixed = measure(name, names[truth].astype(object), predicted, CLASSES)
    assert 0 <= by_index <= 1
    assert by_index == by_name == mixed


@given(labels)
def test_agrees_with_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = (np.array(column) for column in zip(*pairs, strict=True))
    assert measure("macro_f1", truth, predicted, CLASSES) == pytest.approx(
        f1_score(truth, predicted, average="macro", zero_division=0)
    )
    assert measure("accuracy", truth, predicted, CLASSES) == pytest.approx(accuracy_score(truth, predicted))
    assert measure("micro_f1", truth, predicted, CLASSES) == pytest.approx(accuracy_score(truth, predicted))


@pytest.mark.parametrize("name", OF_LABELS)
def test_perfect_predictions_score_one(name: str) -> None:
    assert measure(name, [0, 1, 2], [0, 1, 2], CLASSES) == 1.0


def test_wrong_calls_say_what_was_found() -> None:
    with pytest.raises(UserError, match=r"unknown metric 'f2'.*macro_f1"):
        measure("f2", [0], [0], CLASSES)
    with pytest.raises(UserError, match="swim"):
        measure("accuracy", ["swim"], ["run"], CLASSES)
    with pytest.raises(UserError, match="9"):
        measure("accuracy", [0], [9], CLASSES)
    with pytest.raises(UserError, match="2 true labels but 1"):
        measure("accuracy", [0, 1], [0], CLASSES)
    with pytest.raises(UserError, match="no clip"):
        measure("accuracy", [], [], CLASSES)
    with pytest.raises(UserError, match="log_loss is measured on probabilities"):
        measure("log_loss", [0], [0], CLASSES)
    with pytest.raises(UserError, match="from 0 to 1"):
        measure("log_loss", [0], [0], CLASSES, np.full((1, 4), np.nan))
