from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionpipe.competition.rules.detect import Detect
from actionpipe.competition.rules.distrust import Distrust
from actionpipe.errors import UserError
from actionpipe.fusion.coverage import Coverage
from actionpipe.fusion.evidence import COLUMNS, count_evidence, read_detections

BOXES = Detect(kind="detect", label="kick", when=["walk"], detected="kick", score=0.5, more_than=1)
FRAMES = BOXES.model_copy(update={"count": "frames"})
HEADER = ",".join(COLUMNS)


def boxes(*rows: tuple[str, int, str, float]) -> pd.DataFrame:
    return pd.DataFrame([(*row, 0.0, 0.0, 5.0, 5.0) for row in rows], columns=COLUMNS)


FOUND = boxes(
    ("x", 1, "kick", 0.9),
    ("x", 1, "kick", 0.6),
    ("x", 2, "kick", 0.51),
    ("x", 3, "kick", 0.5),  # not strictly above
    ("x", 3, "fall", 0.9),  # another class
    ("y", 1, "kick", 0.4),
    ("stranger", 1, "kick", 0.9),
)


def test_boxes_and_distinct_frames_strictly_above_the_score() -> None:
    rules = [Distrust(kind="distrust", label="walk", below=0.5), BOXES, FRAMES]
    evidence = count_evidence([FOUND], rules, ["z", "x", "y"])
    assert list(evidence.columns) == [1, 2]  # positions among all rules
    assert evidence.loc["x"].tolist() == [3, 2]
    assert evidence.loc["y"].tolist() == [0, 0]
    assert evidence.loc["z"].tolist() == [0, 0]
    assert list(evidence.index) == ["z", "x", "y"]


def test_several_folds_are_averaged_and_a_fold_without_boxes_counts_as_zero() -> None:
    evidence = count_evidence([FOUND, boxes()], [BOXES], ["x"])
    assert evidence.loc["x", 0] == 1.5


def test_no_detect_rule_gives_no_column() -> None:
    assert count_evidence([FOUND], [], ["x"]).shape == (1, 0)


@pytest.mark.parametrize(
    ("covered", "more_than", "box_count", "frame_count"),
    [
        (Coverage(3, 3, 2), 1, 3, 2),  # whole
        (Coverage(1, 2, 2), 1, 2, None),  # two boxes are enough; one frame may become two
        (Coverage(1, 3, 2), 3, None, 1),  # two boxes may become six, one frame at most three
        (Coverage(1, 2, 1), 3, 2, 1),  # neither can be above any more
        (Coverage(0, 1, 4), 3, None, 0),  # what a stopped run left beyond `seen` does not count
        (None, 1, None, None),  # no row: nobody knows
    ],
)
def test_missing_frames_leave_counts_unknown_only_where_they_could_decide(
    covered: Coverage | None, more_than: int, box_count: float | None, frame_count: float | None
) -> None:
    rules = [rule.model_copy(update={"more_than": more_than}) for rule in (BOXES, FRAMES)]
    coverage = {"y": Coverage(3, 3, 2)} | ({"x": covered} if covered else {})
    evidence = count_evidence([FOUND], rules, ["x", "y"], [coverage])
    assert [None if pd.isna(count) else count for count in evidence.loc["x"]] == [box_count, frame_count]
    assert evidence.loc["y"].tolist() == [0, 0]


def test_the_unseen_frames_of_all_folds_are_averaged() -> None:
    rule = BOXES.model_copy(update={"more_than": 2})
    # 3 boxes, and one more frame of up to 1 or 2: 3 / 2 to 4 / 2, or to 5 / 2.
    for most_boxes, expected in [(1, 1.5), (2, None)]:
        coverages = [None, {"x": Coverage(1, 2, most_boxes)}]
        count = count_evidence([FOUND, boxes()], [rule], ["x"], coverages).loc["x", 0]
        assert (None if pd.isna(count) else count) == expected


@given(st.permutations(range(len(FOUND))))
def test_row_order_does_not_matter(order: list[int]) -> None:
    expected = count_evidence([FOUND], [BOXES, FRAMES], ["x", "y"])
    assert count_evidence([FOUND.iloc[order]], [BOXES, FRAMES], ["x", "y"]).equals(expected)


def test_tables_are_read_with_odd_names_and_typed_cells(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text(f'{HEADER}\n"0,1.mp4",7,fall,0.30000000000000004,1,2.5,3,4\n007,8,kick,1,0,0,1,1\n')
    read = read_detections(path, ["kick", "fall"])
    assert list(read.columns) == COLUMNS
    assert read["video"].tolist() == ["0,1.mp4", "007"]
    assert read["frame"].tolist() == [7, 8]
    assert read["score"].tolist() == [0.30000000000000004, 1.0]
    assert read["y1"].tolist() == [2.5, 0.0]


def test_a_table_without_boxes_is_fine(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text(HEADER + "\n")
    assert count_evidence([read_detections(tmp_path / "d.csv", ["kick"])], [BOXES, FRAMES], ["x"]).loc[
        "x"
    ].tolist() == [0, 0]


def test_faults_are_named_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text(f"{HEADER}\nx,1,kick,0.5,0,0,1,1\nx,1.5,bike,1.5,0,0,1,\nx,1,kick,nan,0,0,1,1\n")
    with pytest.raises(UserError) as caught:
        read_detections(path, ["kick", "fall"])
    message = str(caught.value)
    assert "line 2" not in message
    for fault in (
        "line 3: label 'bike'",
        "line 3: frame '1.5'",
        "line 3: score '1.5'",
        "line 3: a corner",
        "line 4: score",
    ):
        assert fault in message
    with pytest.raises(UserError, match=r"none\.csv.*inference\.sh"):
        read_detections(tmp_path / "none.csv", ["kick"])
