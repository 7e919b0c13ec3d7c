import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionpipe.errors import UserError
from actionpipe.metrics.calibration import BINS, expected_calibration_error, reliability_table

CLASSES = ["a", "b"]


def test_values_by_hand() -> None:
    # Five bins: 0.6 to 0.8 holds 0.7 and 0.8 (one of two right), 0.8 to 1 holds 0.9 twice (both right).
    scores = np.array([[0.7, 0.3], [0.2, 0.8], [0.9, 0.1], [0.1, 0.9]])
    table = reliability_table([0, 0, 0, 1], scores, CLASSES, bins=5)
    assert table["clips"].tolist() == [0, 0, 0, 2, 2]
    assert table["confidence"].tolist()[3:] == pytest.approx([0.75, 0.9])
    assert table["accuracy"].tolist()[3:] == [0.5, 1]
    assert table["gap"].tolist()[3:] == pytest.approx([-0.25, 0.1])
    assert table[["confidence", "accuracy", "gap"]][:3].isna().all(axis=None)
    assert expected_calibration_error(table) == pytest.approx((2 * 0.25 + 2 * 0.1) / 4)


def test_edges_belong_to_the_bin_below() -> None:
    table = reliability_table([0, 0], np.array([[1.0, 0.0], [0.8, 0.2]]), CLASSES, bins=5)
    assert table["clips"].tolist() == [0, 0, 0, 1, 1]
    assert (table["low"].iloc[0], table["high"].iloc[-1]) == (0, 1)
    assert reliability_table([0], np.zeros((1, 2)), CLASSES)["clips"].iloc[0] == 1


def test_no_clips_have_no_error() -> None:
    table = reliability_table([], np.zeros((0, 2)), CLASSES)
    assert len(table) == BINS
    assert np.isnan(expected_calibration_error(table))


@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=40))
def test_every_clip_is_in_one_bin_whatever_their_order(clips: list[tuple[int, float]]) -> None:
    truth = np.array([label for label, _ in clips])
    first = np.array([probability for _, probability in clips])
    scores = np.stack([first, 1 - first], axis=1)
    table = reliability_table(truth, scores, CLASSES)
    assert table["clips"].sum() == len(clips)
    filled = table[table["clips"] > 0]
    tiny = 1e-9
    assert ((filled["confidence"] > filled["low"] - tiny) & (filled["confidence"] < filled["high"] + tiny)).all()
    again = reliability_table(truth[::-1], scores[::-1], CLASSES)
    pd.testing.assert_frame_equal(again, table)
    assert 0 <= expected_calibration_error(table) <= 1
    assert expected_calibration_error(reliability_table(truth, np.eye(2)[truth], CLASSES)) == 0


def test_wrong_calls_say_what_was_found() -> None:
    with pytest.raises(UserError, match="0 bins"):
        reliability_table([0], np.array([[1.0, 0.0]]), CLASSES, bins=0)
    with pytest.raises(UserError, match="shape"):
        reliability_table([0], np.array([[1.0]]), CLASSES)
