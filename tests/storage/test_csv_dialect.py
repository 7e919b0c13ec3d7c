"""Tables as Excel writes them are read, or it is said what they are."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionpipe.competition.file import Table
from actionpipe.data.user_tables import read_rows
from actionpipe.errors import UserError
from actionpipe.fusion.submission import read_submission
from actionpipe.storage import reading
from actionpipe.storage.csv_dialect import read_table
from actionpipe.storage.faults import Faults
from actionpipe.storage.tables import read_text_table

COLUMNS = {"video": "table.video", "class": "--label-column"}
ROWS = [["a, b.mp4", "걷기"], ["c;d.mp4", "007"], ["e.mp4", "NA"], ["f.mp4", "True"], ["g.mp4", "1.0"], ["null", "nan"]]


def table(mark: str) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=mark).writerows([list(COLUMNS), *ROWS])
    return text.getvalue()


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_cells_are_the_same_however_a_table_is_written(tmp_path: Path, mark: str, encoding: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(table(mark).encode(encoding))
    faults = Faults()
    rows = read_rows(path, COLUMNS, faults, hint="")
    assert not faults
    assert [list(row.cells.values()) for row in rows] == ROWS
    assert [row.line for row in rows] == [2, 3, 4, 5, 6, 7]
    assert read_text_table(path, list(COLUMNS), "").to_numpy().tolist() == ROWS
    template = read_submission(path, Table(video="video", label="class"))
    assert template.rows == ROWS
    template.write(tmp_path / "final.csv", {video: "x" for video, _ in ROWS})
    assert (tmp_path / "final.csv").read_text().splitlines()[0] == f"video{mark}class"
    # What was written is read as the template is.
    assert [row[0] for row in read_submission(tmp_path / "final.csv", Table(video="video", label="class")).rows] == [
        video for video, _ in ROWS
    ]


def faults_of(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    faults = Faults()
    read_rows(path, COLUMNS, faults, hint="")
    return "\n".join(faults.lines)


def test_another_encoding_is_named_with_what_it_would_read(tmp_path: Path) -> None:
    said = faults_of(tmp_path / "t.csv", "video,class\na.mp4,café\n".encode("cp1252"))
    assert "byte 21 is not UTF-8 (in Windows-1252, Excel's plain CSV, it reads 'café'); save" in said
    assert "UTF-16 without its mark" in faults_of(tmp_path / "t.csv", "video,class\na.mp4,b\n".encode("utf-16-le"))
    with pytest.raises(UserError, match="UTF-16 without its mark"):
        read_text_table(tmp_path / "t.csv", ["video"], "")
    with pytest.raises(UserError, match="UTF-16 without its mark"):
        read_submission(tmp_path / "t.csv", Table())


def test_a_missing_column_names_those_there_are_and_the_flag_or_key(tmp_path: Path) -> None:
    said = faults_of(tmp_path / "t.csv", b"video;label\na.mp4;b\n")
    assert "no column 'class'; there are 'video', 'label'; name the right one with --label-column" in said
    said = faults_of(tmp_path / "t.csv", b"clip,class\na.mp4,b\n")
    assert (
        "no column 'video'; there are 'clip', 'class'; its name comes from table.video of the competition file" in said
    )


def test_a_table_in_other_letters_is_named(tmp_path: Path) -> None:
    (tmp_path / "TRAIN.CSV").write_text("video,class\n")
    faults = Faults()
    read_rows(tmp_path / "train.csv", COLUMNS, faults, hint="put it there")
    assert "no such file; there is TRAIN.CSV: rename it" in faults.lines[0]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=9), min_size=1), st.sampled_from(",;\t|"))
def test_commas_stay_commas_whatever_the_columns_are_called(others: list[str], odd: str) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(["video", odd, *others])
    with pytest.MonkeyPatch.context() as patch:
        content = text.getvalue().replace("\0", "0")
        patch.setattr(reading, "read_bytes", lambda *_, **__: content.encode())
        assert read_table(Path("t.csv"), ["video", odd]) == (content, ",")
