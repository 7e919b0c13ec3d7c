from pathlib import Path

import pytest

from actionpipe.errors import UserError
from actionpipe.fusion.coverage import COLUMNS, Coverage, read_coverage, write_coverage

HEADER = ",".join(COLUMNS)


def test_round_trip_keeps_odd_names_and_order(tmp_path: Path) -> None:
    names = ["z.mp4", "NA", "007", 'say "hi", again.mp4', "교차로 1.mp4", "1.0"]
    written = {name: Coverage(row, 10 * row, row + 1) for row, name in enumerate(names)}
    write_coverage(tmp_path / "deep" / "c.csv", written)
    back = read_coverage(tmp_path / "deep" / "c.csv")
    assert back == written
    assert list(back) == names
    assert all(type(value) is int for at in back.values() for value in (at.seen, at.frames, at.most_boxes))


def test_no_video_looked_at_is_a_table_too(tmp_path: Path) -> None:
    write_coverage(tmp_path / "c.csv", {})
    assert (tmp_path / "c.csv").read_text() == HEADER + "\n"
    assert read_coverage(tmp_path / "c.csv") == {}


def test_columns_are_found_by_name_and_limits_are_allowed(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("most_boxes,frames,note,seen,video\n1,5,hello,0,none\n100,5,,5,all\n")
    assert read_coverage(tmp_path / "c.csv") == {"none": Coverage(0, 5, 1), "all": Coverage(5, 5, 100)}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("y,6,5,100", "line 3: 6 frames seen of a clip of 5"),
        ("y,-1,5,100", "line 3: seen '-1' is not a whole number from 0"),
        ("y,1.5,5,100", "line 3: seen '1.5' is not a whole"),
        ("y,1,inf,100", "line 3: frames 'inf' is not a whole"),
        ("y,1,nan,100", "line 3: frames 'nan' is not a whole"),
        ("y,1,5,", "line 3: most_boxes '' is not a whole"),
        ("y,1,5,0", "line 3: most_boxes is 0"),
        (",1,5,100", "line 3: no video name"),
        ("x,1,5,100", "line 3: video 'x' stands already in line 2"),
    ],
)
def test_faults_are_named_with_file_and_line(tmp_path: Path, row: str, message: str) -> None:
    (tmp_path / "c.csv").write_text(f"{HEADER}\nx,1,5,100\n{row}\n")
    with pytest.raises(UserError) as caught:
        read_coverage(tmp_path / "c.csv")
    assert f"{tmp_path / 'c.csv'} {message}" in str(caught.value)
    assert "1 fault in" in str(caught.value)


def test_a_missing_file_or_column_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.csv.*bash inference\.sh 0"):
        read_coverage(tmp_path / "none.csv")
    (tmp_path / "c.csv").write_text("video,seen,frames\n")
    with pytest.raises(UserError, match=r"line 1: no column 'most_boxes'.*bash inference\.sh 0"):
        read_coverage(tmp_path / "c.csv")
