"""Windows of several lengths over the seconds of an untrimmed video."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from actionpipe.windows.multiscale import average_windows

ROWS = arrays(np.float64, st.tuples(st.integers(1, 60), st.integers(1, 4)), elements=st.floats(0, 1))


def by_hand(scores, scales=(1, 2, 4, 8, 16)):
    """The protocol, class by class and window by window."""
    found = []
    for w in scales:
        if w > 1 and w > len(scores):
            continue
        starts = list(range(0, max(1, len(scores) - w + 1), math.ceil(0.8 * w)))
        count = min(15, max(1, len(starts) // 4))
        row = []
        for c in range(scores.shape[1]):
            best = sorted((max(scores[s : s + w, c]) for s in starts), reverse=True)
            row.append(sum(best[:count]) / count)
        found.append(row)
    return np.mean(found, axis=0)


@given(ROWS)
def test_it_is_the_protocol_by_hand(scores):
    np.testing.assert_allclose(average_windows(scores), by_hand(scores), atol=1e-12)


@given(ROWS)
def test_a_score_is_none_below_the_mean_of_best_seconds_nor_above_the_best(scores):
    found = average_windows(scores)
    assert (found <= scores.max(axis=0) + 1e-12).all()
    assert (found >= scores.min(axis=0) - 1e-12).all()


def test_a_few_seconds_of_action_outweigh_minutes_of_nothing():
    scores = np.full((120, 2), 0.1)
    scores[:, 1] = 0.4
    scores[50:60, 0] = 0.95
    assert scores.mean(axis=0).argmax() == 1
    assert average_windows(scores).argmax() == 0


def test_a_single_second_is_its_own_score():
    np.testing.assert_allclose(average_windows(np.array([[0.2, 0.8]])), [0.2, 0.8])


def test_nothing_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        average_windows(np.zeros((0, 3)))
    with pytest.raises(ValueError, match="at least 1"):
        average_windows(np.ones((2, 3)), (0, 1))
