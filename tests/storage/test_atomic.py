import errno
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from conftest import CHECKOUT
from hypothesis import given
from hypothesis import strategies as st

from actionpipe.errors import UserError
from actionpipe.storage.atomic import (
    atomic,
    digest,
    entries_of,
    read_record,
    scratch_folder,
    write_json,
    write_table,
    write_text,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_new_content_is_there_under_the_name_only(tmp_path):
    path = tmp_path / "deep" / "er" / "a.txt"
    write_text(path, "é\n")
    assert path.read_bytes() == "é\n".encode()
    assert names(path.parent) == ["a.txt"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_failing_block_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail():
        with atomic(path) as temporary:
            temporary.write_text("half")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_while_the_block_runs_the_old_file_is_there_and_the_new_one_is_beside_it(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent
    assert path.read_text() == "new"


@pytest.mark.parametrize("function", ["fsync", "replace", "mkstemp"])
def test_a_full_disk_names_the_file_and_leaves_nothing_behind(tmp_path, monkeypatch, function):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    owner = {"fsync": "os.fsync", "replace": "pathlib.Path.replace", "mkstemp": "tempfile.mkstemp"}[function]
    monkeypatch.setattr(owner, full)
    with pytest.raises(UserError, match=r"cannot write .*a\.txt: No space left on device.*unchanged"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*a.txt"):
        write_text(tmp_path / "file" / "a.txt", "new")


def test_a_killed_process_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom actionpipe.storage.atomic import atomic\n"
        "with atomic(Path(sys.argv[1])) as temporary:\n    temporary.write_text('half')\n    os.kill(os.getpid(), 9)\n"
    )
    status = subprocess.run([sys.executable, "-c", program, str(path)], cwd=CHECKOUT, check=False).returncode
    assert status == -9
    assert path.read_text() == "old"


def test_a_very_long_name_can_be_written(tmp_path):
    path = tmp_path / ("x" * 240)
    write_text(path, "a")
    assert path.read_text() == "a"


@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8", exclude_characters="\r")), st.floats(allow_nan=False))))
def test_tables_read_back_the_same(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "table.csv"
    table = pd.DataFrame(rows, columns=["name", "value"]).astype({"name": str, "value": float})
    write_table(path, table)
    back = pd.read_csv(path, dtype={"name": str}, keep_default_na=False, float_precision="round_trip")
    assert back["name"].tolist() == table["name"].tolist()
    assert back["value"].astype(float).tolist() == table["value"].tolist()


def test_json_keeps_letters_readable_and_ends_with_a_line_break(tmp_path):
    write_json(tmp_path / "a.json", {"교차로": [1]})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert "교차로" in text
    assert text.endswith("}\n")


def test_the_digest_is_sha256(tmp_path):
    write_text(tmp_path / "a", "abc")
    assert digest(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    ("content", "expected"), [('{"a": 1}', {"a": 1}), ("[]", None), ("{", None), ("", None), ("\xff", None)]
)
def test_a_record_that_is_none_reads_as_none(tmp_path, content, expected):
    (tmp_path / "a.json").write_bytes(content.encode("latin-1"))
    assert read_record(tmp_path / "a.json") == expected
    assert read_record(tmp_path / "none.json") is None


def killed_while_writing(path):
    """Kill a process in the middle of an atomic write; the name of what it has left."""
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom actionpipe.storage.atomic import atomic\n"
        "with atomic(Path(sys.argv[1])) as temporary:\n    temporary.write_text('half')\n    os.kill(os.getpid(), 9)\n"
    )
    before = set(names(path.parent))
    subprocess.run([sys.executable, "-c", program, str(path)], cwd=CHECKOUT, check=False)
    (left,) = set(names(path.parent)) - before
    return left


def test_what_a_killed_process_has_left_is_removed_when_the_file_is_written_again(tmp_path):
    path = tmp_path / "a.txt"
    left = killed_while_writing(path)
    assert left.startswith(".a.txt.") and left.endswith(".part")
    write_text(path, "new")
    assert names(tmp_path) == ["a.txt"]


def test_the_temporary_file_of_a_process_at_work_is_left_alone(tmp_path):
    path = tmp_path / "a.txt"
    with atomic(path) as temporary:
        temporary.write_text("slow")
        write_text(path, "quick")
        assert temporary.read_text() == "slow"
    assert path.read_text() == "slow" and names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    "name", [".b.txt.abcdefgh.part", "a.txt.part", ".a.txt.part", ".a.txt.mine.part", ".a.txt.bak"]
)
def test_other_files_with_such_names_are_left_alone(tmp_path, name):
    (tmp_path / name).write_text("the user's")
    write_text(tmp_path / "a.txt", "new")
    assert names(tmp_path) == sorted(["a.txt", name])


def killed_in_a_scratch_folder(parent, write):
    """Kill a process that has a scratch folder in ``parent``; the folder."""
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom actionpipe.storage.atomic import scratch_folder\n"
        "with scratch_folder(Path(sys.argv[1])) as folder:\n    print(folder)\n    sys.stdout.flush()\n"
        f"    if {write}:\n        (folder / 'half').write_text('half')\n    os.kill(os.getpid(), 9)\n"
    )
    run = [sys.executable, "-c", program, str(parent)]
    return Path(subprocess.run(run, cwd=CHECKOUT, check=False, capture_output=True, text=True).stdout.strip())


@pytest.mark.parametrize("write", [True, False])
def test_a_scratch_folder_of_a_killed_process_is_removed_by_the_next(tmp_path, write):
    left = killed_in_a_scratch_folder(tmp_path, write)
    assert left.is_dir() and left.parent == tmp_path and left.name.startswith(".actionpipe-")
    with scratch_folder(tmp_path) as folder:
        assert folder.is_dir() and not left.exists()
    assert names(tmp_path) == []


def test_in_the_system_s_folder_one_in_use_or_just_made_or_another_s_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    mine = tmp_path / "actionpipe-mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("the user's")
    new = tmp_path / "actionpipe-abcdefgh"
    new.mkdir()
    with scratch_folder() as used:
        (used / "half").write_text("")
        with scratch_folder():
            assert used.is_dir() and new.is_dir()
        os.utime(new, (0, 0))
        with scratch_folder():
            assert used.is_dir() and not new.exists()
    assert names(tmp_path) == ["actionpipe-mine"]


def test_of_a_record_only_entries_of_the_kind_count():
    record = {"a": 1, "b": 2.5, "c": "x", "d": None, "e": True, "f": [1]}
    assert entries_of(record, (int, float)) == {"a": 1, "b": 2.5}
    assert entries_of(record, str) == {"c": "x"}
    for part in (None, [], "a", 3):
        assert entries_of(part, str) == {}
