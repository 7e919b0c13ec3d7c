"""Videos with several labels, one of which is enough."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionpipe.errors import UserError
from actionpipe.metrics.any_label import any_label_hits
from actionpipe.stages.eval import evaluate

CLASSES = list("abcdefg")


def test_one_of_the_labels_is_enough():
    scores = np.array([[7, 6, 5, 4, 3, 2, 1], [7, 6, 5, 4, 3, 2, 1], [7, 6, 5, 4, 3, 2, 1]], float)
    found = any_label_hits([{"g", "a"}, {"e"}, {"f", "g"}], scores, CLASSES)
    assert found["rank"].tolist() == [1, 5, 6]
    assert found["top1"].tolist() == [True, False, False]
    assert found["top5"].tolist() == [True, True, False]
    assert found["predicted"].tolist() == ["a", "a", "a"]


@given(st.integers(0, 2**32 - 1))
def test_another_label_never_makes_it_worse(seed):
    random = np.random.default_rng(seed)
    scores = random.random((5, 7))
    labels = [set(random.choice(CLASSES, random.integers(1, 4), replace=False)) for _ in range(5)]
    more = [names | {str(random.choice(CLASSES))} for names in labels]
    before, after = (any_label_hits(given, scores, CLASSES)["rank"] for given in (labels, more))
    assert (after <= before).all()
    # With one label each it is plain accuracy.
    single = [{min(names)} for names in labels]
    plain = [CLASSES[index] in names for index, names in zip(scores.argmax(axis=1), single, strict=True)]
    assert any_label_hits(single, scores, CLASSES)["top1"].tolist() == plain


def test_the_command_reads_a_line_for_each_label(tmp_path, capsys):
    scores = pd.DataFrame({"video_filename": ["x.mp4", "y.mp4"], "run": [0.9, 0.4], "swim": [0.1, 0.6]})
    scores.to_csv(tmp_path / "scores.csv", index=False)
    (tmp_path / "scores.json").write_text('{"protocol": "1 clip x 1 crop"}')
    labels = pd.DataFrame({"video_filename": ["x.mp4", "x.mp4", "y.mp4"], "class": ["swim", "run", "run"]})
    labels.to_csv(tmp_path / "labels.csv", index=False)
    evaluate([tmp_path / "scores.csv"], tmp_path / "labels.csv", any_label=True)
    said = capsys.readouterr().out
    assert "any label is the top-1    0.5000" in said
    assert "protocol: 1 clip x 1 crop" in said
    table = pd.read_csv(tmp_path / "scores_eval" / "any_label.csv").set_index("video")
    assert table["top1"].to_dict() == {"x.mp4": True, "y.mp4": False}
    assert table.loc["x.mp4", "labels"] == "swim; run"
    with pytest.raises(UserError, match=r"'x\.mp4' stands on line 2 already"):
        evaluate([tmp_path / "scores.csv"], tmp_path / "labels.csv")
