import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionpipe.errors import UserError
from actionpipe.metrics.by_class import COLUMNS, class_table
from actionpipe.metrics.registry import measure

CLASSES = ["run", "jump", "sit", "<b>"]


def test_values_by_hand() -> None:
    truth = ["run", "run", "run", "sit", "jump"]
    predicted = ["run", "run", "sit", "sit", "<b>"]
    scores = np.array(
        [[0.9, 0.1, 0, 0], [0.6, 0.1, 0.3, 0], [0.2, 0.1, 0.7, 0], [0.3, 0.1, 0.6, 0], [0.1, 0.2, 0.1, 0.6]]
    )
    table = class_table(truth, predicted, CLASSES, scores).set_index("class")
    assert list(table.reset_index().columns) == COLUMNS
    assert table["support"].tolist() == [3, 1, 1, 0]
    assert table["predicted"].tolist() == [2, 0, 2, 1]
    assert table.loc["run", ["precision", "recall", "f1"]].tolist() == pytest.approx([1, 2 / 3, 0.8])
    assert table.loc["sit", ["precision", "recall", "f1"]].tolist() == pytest.approx([0.5, 1, 2 / 3])
    # run: true clips stand at ranks 1, 2 and 4 of 0.9 0.6 0.3 0.2 0.1.
    assert table.loc["run", "average_precision"] == pytest.approx((1 + 1 + 3 / 4) / 3)
    assert table.loc["sit", "average_precision"] == pytest.approx(1 / 2)
    assert table.loc["jump", "average_precision"] == 1


def test_a_class_without_clips_has_no_recall_and_it_is_said() -> None:
    table = class_table(["run", "run"], ["run", "<b>"], CLASSES, np.full((2, 4), 0.25)).set_index("class")
    assert np.isnan(table.loc["<b>", ["recall", "average_precision"]].astype(float)).all()
    assert table.loc["<b>", "precision"] == 0
    assert table.loc["<b>", "f1"] == 0
    assert np.isnan(table.loc["sit", ["precision", "recall", "f1", "average_precision"]].astype(float)).all()
    assert table["note"].tolist()[0] == ""
    assert "no recall" in table.loc["<b>", "note"]
    assert "no F1" in table.loc["sit", "note"]
    missed = class_table(["run", "jump"], ["run", "run"], CLASSES).set_index("class")
    assert missed.loc["jump", "note"] == "never predicted: no precision"
    assert missed.loc["jump", "recall"] == 0


def test_no_clips_at_all_is_a_table_of_nothing() -> None:
    table = class_table([], [], CLASSES, np.zeros((0, 4)))
    assert table["class"].tolist() == CLASSES
    assert table[["precision", "recall", "f1", "average_precision"]].isna().all(axis=None)
    assert (table["support"] == 0).all()


pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30)


@given(pairs)
def test_agrees_with_the_metrics_and_not_with_the_order_of_rows(drawn: list[tuple[int, int]]) -> None:
    truth, predicted = (np.array(column) for column in zip(*drawn, strict=True))
    generator = np.random.default_rng(len(drawn))
    scores, order = generator.dirichlet(np.ones(4), len(drawn)), generator.permutation(len(drawn))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = class_table(truth, predicted, CLASSES, scores)
    pd.testing.assert_frame_equal(class_table(truth[order], predicted[order], CLASSES, scores[order]), table)
    assert table["f1"].mean() == pytest.approx(measure("macro_f1", truth, predicted, CLASSES))
    assert table["recall"].mean() == pytest.approx(measure("mean_class_accuracy", truth, predicted, CLASSES))
    perfect = class_table(truth, truth, CLASSES, np.eye(4)[truth])
    there = perfect[perfect["support"] > 0]
    assert (there[["precision", "recall", "f1", "average_precision"]] == 1).all(axis=None)


def test_wrong_calls_say_what_was_found() -> None:
    with pytest.raises(UserError, match="1 true labels but 2"):
        class_table(["run"], ["run", "sit"], CLASSES)
    with pytest.raises(UserError, match="swim"):
        class_table(["swim"], ["run"], CLASSES)
