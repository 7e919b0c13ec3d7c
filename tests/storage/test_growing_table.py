"""Rows on their way to a table, and what is left of them after a killed run."""

import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from actionpipe.errors import UserError
from actionpipe.storage.growing_table import Parts

INPUTS = {"checkpoint": "abc", "classes": ["left", "right"], "sizes": (1, 2)}
NAMES = [
    "a b.mp4",
    'he said "so".mp4',
    "it's.mp4",
    "ordner/größe – 動画.mp4",
    "back\\slash.mp4",
    "#1,2;3.mp4",
    "\t.mp4",
]


@pytest.fixture
def parts(tmp_path):
    parts = Parts(tmp_path / "clips_fold0_test.csv")
    parts.begin(INPUTS)
    return parts


def test_what_all_processes_have_added_is_there(parts):
    rows = [[{"video": f"{process} {number}", "scores": [0.1, 1 / 3]} for number in range(3)] for process in range(12)]
    for process, of_process in enumerate(rows):
        for row in of_process:
            Parts(parts.folder.parent / "clips_fold0_test.csv").add(process, row)
    found = list(parts.rows())
    assert sorted(map(str, found)) == sorted(str(row) for of_process in rows for row in of_process)
    for process, of_process in enumerate(rows):
        assert [row for row in found if row["video"].startswith(f"{process} ")] == of_process, "in the order added"


def test_numbers_come_back_as_they_were(parts):
    row = {"video": "v", "scores": [0.1, 1e-300, 1 / 3, 2.0**-1074, 123456789.123456789], "first": 1, "boxes": []}
    parts.add(0, row)
    assert list(parts.rows()) == [row]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_comes_back_as_it_was(parts, name):
    parts.add(0, {"video": name})
    parts.add(0, {"video": "next"})
    assert [row["video"] for row in parts.rows()] == [name, "next"]


@given(st.text(st.characters(exclude_categories=["Cs"])))
@example("two\u2028lines")
@example("two\x85lines")
@settings(max_examples=60, deadline=None)
def test_any_text_comes_back_as_it_was(text):
    """Names and reasons of unreadable videos may hold what some programs take for the end of a line."""
    with tempfile.TemporaryDirectory() as folder:
        parts = Parts(Path(folder) / "table.csv")
        parts.begin({})
        parts.add(0, {"video": text})
        assert list(parts.rows()) == [{"video": text}]


@given(rest=st.integers(0, 80), name=st.sampled_from(NAMES))
@settings(max_examples=100, deadline=None)
def test_a_line_cut_short_at_any_byte_loses_its_own_row_only(rest, name):
    with tempfile.TemporaryDirectory() as folder:
        parts = Parts(Path(folder) / "table.csv")
        parts.begin(INPUTS)
        path = parts.folder / "0.jsonl"
        parts.add(0, {"video": "before"})
        whole = path.read_bytes()
        parts.add(0, {"video": name, "scores": [0.25, 0.75]})
        line = path.read_bytes()[len(whole) :]
        cut = min(rest, len(line) - 2)  # the last two bytes are } and the end of the line: without } it is not whole
        path.write_bytes(whole + line[:cut])
        assert list(parts.rows()) == [{"video": "before"}]
        again = Parts(Path(folder) / "table.csv")
        again.begin(INPUTS)
        again.add(0, {"video": name, "scores": [1.0]})
        again.add(0, {"video": "after"})
        assert list(again.rows()) == [{"video": "before"}, {"video": name, "scores": [1.0]}, {"video": "after"}]


def test_a_row_without_its_line_s_end_is_whole_already(parts):
    parts.add(0, {"video": "one"})
    path = parts.folder / "0.jsonl"
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    parts.add(0, {"video": "two"})
    assert [row["video"] for row in parts.rows()] == ["one", "two"]


def test_rows_made_from_the_same_are_kept(parts):
    parts.add(0, {"video": "kept"})
    parts.add(1, {"video": "kept too"})
    parts.begin(dict(INPUTS))
    assert [row["video"] for row in parts.rows()] == ["kept", "kept too"]


@pytest.mark.parametrize("other", [{**INPUTS, "checkpoint": "xyz"}, {"checkpoint": "abc"}, {}])
def test_rows_made_from_something_else_are_dropped(parts, other):
    parts.add(0, {"video": "old"})
    parts.add(3, {"video": "old"})
    parts.begin(other)
    assert list(parts.rows()) == []
    parts.add(0, {"video": "new"})
    parts.begin(other)
    assert list(parts.rows()) == [{"video": "new"}]


def test_rows_whose_origin_cannot_be_read_are_dropped(parts):
    parts.add(0, {"video": "old"})
    (parts.folder / "inputs.json").write_text('{"checkpoint": "ab')
    parts.begin(INPUTS)
    assert list(parts.rows()) == []


def test_tables_in_one_folder_have_rows_of_their_own(tmp_path):
    one, other = Parts(tmp_path / "a_fold0_test.csv"), Parts(tmp_path / "a_fold0_val.csv")
    for parts in (one, other):
        parts.begin(INPUTS)
    one.add(0, {"video": "one"})
    assert list(other.rows()) == []
    other.remove()
    assert list(one.rows()) == [{"video": "one"}]


def test_rows_that_were_removed_are_gone(parts):
    parts.add(0, {"video": "done"})
    parts.remove()
    assert list(parts.rows()) == []
    assert not parts.folder.exists()
    parts.remove()


def test_a_full_disk_is_told_with_the_file_and_keeps_what_was_there(parts):
    if not Path("/dev/full").exists():
        pytest.skip("no device that is always full")
    parts.add(0, {"video": "before"})
    (parts.folder / "1.jsonl").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"cannot write .*1\.jsonl: No space left on device.*is kept; make room"):
        parts.add(1, {"video": "lost"})
    (parts.folder / "1.jsonl").unlink()
    assert list(parts.rows()) == [{"video": "before"}]


def test_a_folder_that_has_gone_is_told(parts):
    parts.remove()
    with pytest.raises(UserError, match=r"cannot write .*0\.jsonl"):
        parts.add(0, {"video": "lost"})


def test_lanes_do_not_write_into_each_other_s_lines(parts):
    def lane(number):
        for turn in range(50):
            parts.add(0, {"video": f"{number} {turn}", "long": "x" * 5000})

    threads = [threading.Thread(target=lane, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {row["video"] for row in parts.rows()} == {f"{number} {turn}" for number in range(4) for turn in range(50)}


@pytest.mark.parametrize(
    "line",
    ["5", "[]", "{}", '{"video": 1}', '{"video": "v", "scores": {}}', '{"video": "v", "scores": [NaN]}',
     '{"video": "v", "boxes": [1]}', '{"video": "v", "first": "x"}', "[" * 100_000, "9" * 5000, "\0\0\0"],
)  # fmt: skip
def test_rows_that_were_torn_are_done_again(parts, line):
    parts.add(0, {"video": "before", "scores": [0.5]})
    with (parts.folder / "0.jsonl").open("a") as file:
        file.write(line + "\n")
    parts.add(0, {"video": "after", "boxes": [[1, 2, 0.5]]})
    assert [row["video"] for row in parts.rows()] == ["before", "after"]
