"""The note by which a stage sees that it has nothing to do."""

import json
from pathlib import Path

import pytest

from actionpipe.storage import unchanged
from actionpipe.storage.unchanged import Record, digests

RESULT = {"value": 0.1, "clips": 3, "notes": ["앉기", "\udcb0"], "none": None}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    root.mkdir()
    for name in ("read.csv", "made.csv"):
        (root / name).write_text(name)
    (tmp_path / "elsewhere.yaml").write_text("name: toy")
    return root


def sources(root: Path) -> list[Path]:
    return [root / "read.csv", root / "not there.csv", root.parent / "elsewhere.yaml"]


def note(root: Path, settings: object = "s") -> Record:
    record = Record(root / "note.json", root, settings)
    record.write(digests(sources(root)), [root / "made.csv"], RESULT)
    return record


def test_what_was_noted_is_said_again(root: Path) -> None:
    assert note(root).read(sources(root)) == RESULT


@pytest.mark.parametrize("name", ["data/read.csv", "data/made.csv", "elsewhere.yaml"])
def test_a_file_that_is_another_or_gone_is_a_change(root: Path, name: str) -> None:
    record, path = note(root), root.parent / name
    before = path.read_bytes()
    path.write_bytes(before[:-1] + b"x")
    assert record.read(sources(root)) is None
    path.unlink()
    assert record.read(sources(root)) is None
    path.mkdir()
    assert record.read(sources(root)) is None
    path.rmdir()
    path.write_bytes(before)
    assert record.read(sources(root)) == RESULT


def test_a_new_file_is_a_change(root: Path) -> None:
    record = note(root)
    (root / "not there.csv").write_text("")
    assert record.read(sources(root)) is None
    (root / "not there.csv").unlink()
    (root / "not there.csv").mkdir()
    assert record.read(sources(root)) is None


def test_another_source_is_a_change_and_one_less_is_none(root: Path) -> None:
    record = note(root)
    assert record.read([*sources(root), root / "another.csv"]) is None
    assert record.read(sources(root)[:1]) == RESULT


def test_what_could_not_be_read_is_looked_at_again(root: Path) -> None:
    (root / "not there.csv").mkdir()
    assert note(root).read(sources(root)) is None


def test_other_settings_are_a_change(root: Path) -> None:
    note(root, "s")
    assert Record(root / "note.json", root, "t").read(sources(root)) is None


def test_other_code_and_packages_are_a_change(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = note(root)
    for name, other in (("_code", "0"), ("_packages", ["numpy 0"])):
        with monkeypatch.context() as patch:
            patch.setattr(unchanged, name, lambda other=other: other)
            assert record.read(sources(root)) is None
    assert record.read(sources(root)) == RESULT


def test_a_folder_that_was_moved_is_no_change(root: Path) -> None:
    note(root)
    moved = root.rename(root.with_name("moved"))
    assert Record(moved / "note.json", moved, "s").read(sources(moved)) == RESULT
    assert str(root) not in (moved / "note.json").read_text()


def test_a_file_changed_while_it_was_read_counts_as_changed(root: Path) -> None:
    record, read = Record(root / "note.json", root), digests(sources(root))
    (root / "read.csv").write_text("meanwhile")
    record.write(read, [], RESULT)
    assert record.read(sources(root)) is None


@pytest.mark.parametrize(
    "key, value",
    [
        ("result", {"value": 0.2}),
        ("result", []),
        ("files", []),
        ("files", {"\0": "0"}),
        ("files", {"read.csv": 7}),
        ("files", {}),
        ("made_with", None),
    ],
)
def test_a_note_changed_by_hand_is_left_aside(root: Path, key: str, value: object) -> None:
    record = note(root)
    content = json.loads(record.path.read_text())
    record.path.write_text(json.dumps({**content, key: value}))
    assert record.read(sources(root)) is None


@pytest.mark.parametrize("content", ["", "[]", "{}", "{", "\0"])
def test_what_is_no_note_is_left_aside(root: Path, content: str) -> None:
    record = note(root)
    record.path.write_text(content)
    assert record.read(sources(root)) is None
