import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actionpipe.errors import UserError
from actionpipe.metrics.registry import METRICS, measure, metric_of
from actionpipe.metrics.tally import tally

COUNTED = sorted(name for name, metric in METRICS.items() if metric.of_counts is not None)


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(COUNTED), st.integers(2, 6), st.integers(1, 40), st.integers(0, 10_000))
def test_the_metric_of_counts_is_scikit_learns(name: str, classes: int, clips: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    # Fewer labels than classes: some occur in neither, some in one of the two.
    truth, predicted = random.integers(0, random.integers(1, classes + 1), (2, clips))
    counts = tally(truth, predicted, classes).sum(axis=0)
    names = [f"class {number}" for number in range(classes)]
    assert metric_of(name, counts) == pytest.approx(measure(name, truth, predicted, names), abs=1e-6)


def test_many_counts_at_once() -> None:
    truth = np.array([0, 1, 1])
    both = np.stack([tally(truth, np.array(labels), 2).sum(axis=0) for labels in ([0, 1, 1], [1, 1, 1])])
    np.testing.assert_allclose(metric_of("accuracy", both), [1, 2 / 3])
    np.testing.assert_allclose(metric_of("macro_f1", both), [1, 0.4])


def test_no_clip_is_worth_nothing() -> None:
    assert metric_of("macro_f1", np.zeros(6)) == 0


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(UserError, match="unknown metric 'luck'"):
        metric_of("luck", np.ones(6))
    with pytest.raises(UserError, match="'log_loss' cannot be computed from counts"):
        metric_of("log_loss", np.ones(6))
