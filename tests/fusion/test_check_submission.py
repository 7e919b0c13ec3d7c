import csv
import io
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actionpipe.competition.file import Table
from actionpipe.errors import TableError, UserError
from actionpipe.fusion.check_submission import check_submission, nearest

CLASSES = ["putup_umbrella", "fall_down", "rest, sit"]
HEADER = ["id", "video_filename", "class", "Usage"]
VIDEOS = ["0007.mp4", "교차로, 2.mp4", "NA", 'a "b".c.mp4', "plain.mp4"]
TEMPLATE = [[f"00{row}", video, "", "Public" if row % 2 else ""] for row, video in enumerate(VIDEOS)]
RIGHT = [[row[0], row[1], CLASSES[number % 2], row[3]] for number, row in enumerate(TEMPLATE)]


def text(rows: list[list[str]], header: list[str] | None = None) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerows([header or HEADER, *rows])
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sample_submission.csv").write_text(text(TEMPLATE), encoding="utf-8")
    return tmp_path


def check(folder: Path, content: str | bytes | list[list[str]]):
    content = text(content) if isinstance(content, list) else content
    path = folder / "mine.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return check_submission(path, folder / "sample_submission.csv", Table(), CLASSES)


def faults(folder: Path, content: str | bytes | list[list[str]]) -> list[str]:
    with pytest.raises(TableError) as caught:
        check(folder, content)
    return [fault.removeprefix(str(folder / "mine.csv")).lstrip(": ") for fault in caught.value.faults]


def changed(row: int, column: int, cell: str) -> list[list[str]]:
    """The right submission with one cell replaced."""
    return [[cell if (a, b) == (row, column) else old for b, old in enumerate(cells)] for a, cells in enumerate(RIGHT)]


def test_a_right_submission_is_counted_by_class(folder: Path) -> None:
    found = check(folder, RIGHT)
    assert found.count_of_class == {"putup_umbrella": 3, "fall_down": 2, "rest, sit": 0}
    assert (found.rows, found.warnings, found.content) == (5, [], text(RIGHT).encode())


def test_line_ends_and_empty_lines_do_not_matter(folder: Path) -> None:
    assert check(folder, text(RIGHT).replace("\n", "\r\n")).rows == 5
    assert check(folder, text(RIGHT) + "\n\n").rows == 5
    assert check(folder, text(RIGHT).rstrip("\n")).rows == 5


def test_a_byte_order_mark_is_a_warning(folder: Path) -> None:
    found = check(folder, b"\xef\xbb\xbf" + text(RIGHT).encode())
    assert "byte-order mark" in found.warnings[0]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (["id", "class", "video_filename", "Usage"], "in another order than sample_submission.csv's"),
        (["id", "video_filename", "class", "usage "], "differ in case or blanks only"),
        (["id", "video_filename", "class"], "sample_submission.csv has 'id', 'video_filename', 'class', 'Usage'"),
        (["id", "video", "class", "Usage"], "the columns are 'id', 'video', 'class', 'Usage'"),
    ],
)
def test_another_header_is_told_with_the_templates(folder: Path, header: list[str], words: str) -> None:
    (first, *_) = faults(folder, text([row[: len(header)] for row in RIGHT], header))
    assert first.startswith("line 1: ")
    assert words in first


def test_columns_in_another_order_are_still_read_by_name(folder: Path) -> None:
    header = ["id", "class", "video_filename", "Usage"]
    rows = [[row[0], row[2], row[1], row[3]] for row in RIGHT]
    assert len(faults(folder, text(rows, header))) == 1


def test_other_separators_are_recognised(folder: Path) -> None:
    (fault,) = faults(folder, "id;video_filename;class;Usage\n1;2;3;4\n")
    assert "parted by commas, not by ';'" in fault


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (RIGHT[:-1], ["4 rows below the header, sample_submission.csv has 5", "no row for 'plain.mp4'"]),
        (
            [*RIGHT, ["9", "more.mp4", "fall_down", ""]],
            ["6 rows below the header", "line 7: 'more.mp4' is not in sample_submission.csv; delete the row"],
        ),
        ([*RIGHT, RIGHT[2]], ["6 rows", "line 7: 'NA' stands already in line 4; delete one"]),
        (
            changed(0, 1, " ./0007.MP4"),
            ["line 2: ' ./0007.MP4' is not in sample_submission.csv; write it as", "no row for '0007.mp4'"],
        ),
        (changed(1, 1, ""), ["line 3: no video name", "no row for '교차로, 2.mp4'"]),
        (changed(1, 2, " "), ["line 3: no label in column 'class'; write one of 'putup_umbrella'"]),
        (changed(1, 2, "Fall Down "), ["line 3: 'Fall Down ' is not a class; did you mean 'fall_down'?"]),
        (changed(4, 2, "zzz"), ["line 6: 'zzz' is not a class; the classes are 'putup_umbrella'"]),
        (changed(2, 0, "2"), ["line 4: column 'id' is '2', sample_submission.csv has '002' there"]),
        (changed(1, 3, ""), ["line 3: column 'Usage' is '', sample_submission.csv has 'Public' there"]),
        ([*RIGHT[:2], RIGHT[2][:3], *RIGHT[3:]], ["line 4: 3 cells, the header has 4", "no row for 'NA'"]),
        (
            [RIGHT[0], RIGHT[2], RIGHT[1], *RIGHT[3:]],
            ["line 3: 'NA' stands where sample_submission.csv has '교차로, 2.mp4' (2 rows are out of its order)"],
        ),
    ],
)
def test_each_fault_is_named_with_its_line(folder: Path, rows: list[list[str]], expected: list[str]) -> None:
    found = faults(folder, rows)
    assert len(found) == len(expected)
    for fault, start in zip(found, expected, strict=True):
        assert fault.startswith(start)


def test_lines_are_those_of_the_file_though_cells_span_several(folder: Path) -> None:
    rows = [[*RIGHT[0][:3], "two\nlines"], *changed(1, 2, "zzz")[1:]]
    assert [fault.split(":")[0] for fault in faults(folder, rows)] == ["line 4", "line 2"]


def test_an_order_is_judged_among_the_rows_that_both_have(folder: Path) -> None:
    assert not any("order" in fault for fault in faults(folder, RIGHT[1:]))
    assert any("order" in fault for fault in faults(folder, RIGHT[:0:-1]))


def test_at_most_twenty_faults_are_listed(folder: Path) -> None:
    found = faults(folder, [["", f"x{row}", "zzz", ""] for row in range(100)])
    assert len(found) == 21
    assert found[-1] == "and 186 more"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04rest", "is a zip file .*--zip packs it"),
        (b"\x1f\x8brest", "is a gzip file"),
        ("id,class".encode("utf-16"), "is UTF-16; save it as 'CSV UTF-8'"),
        (b"\x89PNG\r\n\0\0", "is no text"),
        (b" \n", "is empty; .*postprocess"),
        (text(RIGHT).encode().replace("교".encode(), b"\xb1\xb3"), r"line 3: byte \d+ is not UTF-8"),
        (b'id,video_filename\n1,"a"b\n', "line 2: no CSV"),
    ],
)
def test_other_kinds_of_files_are_refused(folder: Path, content: bytes, words: str) -> None:
    with pytest.raises(UserError, match=words):
        check(folder, content)


def test_a_folder_and_a_missing_file_are_refused(folder: Path) -> None:
    for path, words in ((folder, "is a folder"), (folder / "no.csv", r"no submission at .*no\.csv")):
        with pytest.raises(UserError, match=words):
            check_submission(path, folder / "sample_submission.csv", Table(), CLASSES)


@pytest.mark.parametrize(
    ("label", "meant"),
    [("FALL DOWN", "fall_down"), ("rest,sit", "rest, sit"), (" putup-umbrella", "putup_umbrella"), ("x", None)],
)
def test_near_misses(label: str, meant: str | None) -> None:
    assert nearest(label, CLASSES) == meant


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 4), st.integers(0, 3), st.sampled_from(["", "x", "NA", "fall_down", " "]), st.randoms())
def test_whatever_differs_in_one_cell_is_found(
    tmp_path_factory: pytest.TempPathFactory, row: int, column: int, cell: str, order: random.Random
) -> None:
    folder = tmp_path_factory.mktemp("drawn")
    (folder / "sample_submission.csv").write_text(text(TEMPLATE), encoding="utf-8")
    rows = changed(row, column, cell)
    still_right = rows[row][column] == RIGHT[row][column] or (column == 2 and cell in CLASSES)
    if still_right:
        assert check(folder, rows).rows == 5
    else:
        assert faults(folder, rows)
    shuffled = order.sample(RIGHT, len(RIGHT))
    if shuffled != RIGHT:
        assert len(faults(folder, shuffled)) == 1
