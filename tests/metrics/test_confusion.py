import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionpipe.errors import UserError
from actionpipe.metrics.confusion import confusion_matrix, confusion_table

CLASSES = ["run", "jump", "sit"]


def test_rows_are_the_truth() -> None:
    truth, predicted = ["run", "run", "run", "jump"], ["run", "jump", "jump", "jump"]
    assert confusion_matrix(truth, predicted, CLASSES).tolist() == [[1, 2, 0], [0, 1, 0], [0, 0, 0]]
    cells = confusion_table(truth, predicted, CLASSES).set_index(["truth", "predicted"])
    assert cells.loc[("run", "jump"), "clips"] == 2
    assert cells.loc[("run", "jump"), "share"] == pytest.approx(2 / 3)
    assert cells.loc["sit", "share"].isna().all()  # no clip, no share


def test_no_clips_give_an_empty_matrix() -> None:
    assert not confusion_matrix([], [], CLASSES).any()
    assert confusion_table([], [], CLASSES)["share"].isna().all()


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30))
def test_sums_and_order_of_rows(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = (np.array(column) for column in zip(*pairs, strict=True))
    counts = confusion_matrix(truth, predicted, CLASSES)
    assert counts.sum(axis=1).tolist() == np.bincount(truth, minlength=3).tolist()
    assert counts.sum(axis=0).tolist() == np.bincount(predicted, minlength=3).tolist()
    assert (confusion_matrix(truth[::-1], predicted[::-1], CLASSES) == counts).all()
    assert (confusion_matrix(predicted, truth, CLASSES) == counts.T).all()
    shares = confusion_table(truth, predicted, CLASSES).groupby("truth")["share"].sum()
    assert shares[np.array(CLASSES)[np.unique(truth)]].tolist() == pytest.approx([1] * len(np.unique(truth)))


def test_wrong_calls_say_what_was_found() -> None:
    with pytest.raises(UserError, match="2 true labels but 1"):
        confusion_matrix([0, 1], [0], CLASSES)
    with pytest.raises(UserError, match="9"):
        confusion_matrix([9], [0], CLASSES)
