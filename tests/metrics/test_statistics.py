import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from actionpipe.metrics.statistics import CLASS_COLUMNS, class_statistics, misclassified, ranks_of_truth

CLASSES = ["walk", "kick", "rest", "a, b", "none", "ride", "fall"]
VIDEOS = ["1.mp4", "2.mp4", "3.mp4", "4.mp4"]
TRUTH = ["walk", "walk", "kick", "fall"]
SCORES = np.array(
    [
        [0.7, 0.1, 0.2, 0, 0, 0, 0],
        [0.3, 0.6, 0.1, 0, 0, 0, 0],
        [0.1, 0.8, 0.1, 0, 0, 0, 0],
        [0.4, 0.2, 0.1, 0.1, 0.1, 0.1, 0.0],
    ]
)


def test_by_hand() -> None:
    table = class_statistics(TRUTH, SCORES, CLASSES)
    assert list(table.columns) == CLASS_COLUMNS
    walk, kick, rest, fall = (table.iloc[row] for row in (0, 1, 2, 6))
    assert (walk["clips"], walk["correct"], walk["errors"], walk["percent"], walk["top5_percent"]) == (2, 1, 1, 50, 100)
    assert (kick["clips"], kick["correct"], kick["percent"]) == (1, 1, 100)
    # 4.mp4 is a fall, which is the last of seven.
    assert (fall["percent"], fall["top5_percent"]) == (0, 0)
    assert rest["clips"] == 0 and np.isnan(rest["percent"]) and "no clip" in rest["note"]
    wrong = misclassified(VIDEOS, TRUTH, SCORES, CLASSES)
    assert wrong["video"].tolist() == ["2.mp4", "4.mp4"]  # the surest first
    assert wrong.iloc[1].tolist() == ["4.mp4", "fall", "walk", 0.4, 0.0, 7]


@given(st.integers(0, 10_000), st.permutations(range(20)))
def test_sums_and_the_order_of_rows(seed: int, order: list[int]) -> None:
    random = np.random.default_rng(seed)
    scores = random.dirichlet(np.ones(7), 20)
    truth = [CLASSES[index] for index in random.integers(0, 7, 20)]
    table = class_statistics(truth, scores, CLASSES)
    wrong = misclassified([f"{row}" for row in range(20)], truth, scores, CLASSES)
    assert table["clips"].sum() == 20 and table["errors"].sum() == len(wrong)
    assert (wrong["rank_of_truth"] > 1).all() and (wrong["score_of_predicted"] >= wrong["score_of_truth"]).all()
    other = class_statistics([truth[row] for row in order], scores[order], CLASSES)
    pd.testing.assert_frame_equal(table, other)
    ranks = ranks_of_truth(np.array([CLASSES.index(label) for label in truth]), scores)
    assert ((ranks == 1) == (scores.argmax(axis=1) == [CLASSES.index(label) for label in truth])).all()
