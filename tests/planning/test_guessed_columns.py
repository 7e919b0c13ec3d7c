from pathlib import Path

import pytest
from plan_tables import entry, write_csv

from actionpipe.errors import TableError, UserError
from actionpipe.planning.guessed_columns import read_tables
from actionpipe.storage.manifest import Manifest
from actionpipe.storage.workspace import Workspace

ROWS = 12
COLUMNS = {
    "number": [str(row) for row in range(ROWS)],
    "clip": [f"take {row}.mp4" for row in range(ROWS)],
    "stem": [f"folder/take {row}" for row in range(ROWS)],
    "action": ["walk", "run", "hop"] * 4,
    "daylight": ["yes", "no"] * 6,
    "seconds": [f"{row % 7}.5" for row in range(ROWS)],
}


def read(root: Path, train: list[str], submission: list[str] | None, manifest: Manifest | None = None):
    rows = list(zip(*(COLUMNS[name] for name in train), strict=True))
    write_csv(root / "train.csv", [train, *rows])
    if submission is not None:
        write_csv(root / "sample_submission.csv", [submission, ["t"] * len(submission)])
    return read_tables(Workspace(root), manifest)


@pytest.mark.parametrize(
    ("train", "submission", "video", "label"),
    [
        (["clip", "action"], ["clip", "action"], "clip", "action"),
        (["daylight", "action", "clip"], ["clip", "daylight"], "clip", "daylight"),
        (["number", "clip", "action"], ["number", "clip", "action"], "clip", "action"),
        (["number", "seconds", "action", "daylight"], ["number", "action"], "number", "action"),
        (["action", "stem"], ["stem", "action"], "stem", "action"),
        (["seconds", "daylight", "clip"], None, "clip", "daylight"),
        (["daylight", "clip", "action", "seconds"], None, "clip", "action"),
    ],
)
def test_columns_are_told_by_names_and_contents(
    tmp_path: Path, train: list[str], submission: list[str] | None, video: str, label: str
) -> None:
    found = read(tmp_path, train, submission)
    assert (found.video, found.label) == (video, label)
    assert f"'{video}'" in found.reason
    assert sorted(found.others) == sorted({*train} - {video, label})


def test_the_manifest_tells_more_than_names(tmp_path: Path) -> None:
    manifest = Manifest([entry(f"{name}.avi") for name in COLUMNS["stem"]])
    found = read(tmp_path, ["clip", "stem", "action"], ["clip", "stem", "action"], manifest)
    assert found.video == "clip"  # both do: 'take 3.mp4' is 'folder/take 3.avi', converted
    found = read(tmp_path, ["number", "stem", "action"], ["number", "stem", "action"], manifest)
    assert found.video == "stem"
    assert "names videos of the manifest" in found.reason


def test_tables_that_share_too_few_columns_are_shown(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"columns 'clip', 'action', .*sample_submission\.csv has 'clip', 'label'"):
        read(tmp_path, ["clip", "action"], ["clip", "label"])


def test_a_table_without_videos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no column of 'action', 'daylight' looks like one of videos"):
        read(tmp_path, ["action", "daylight"], None)


def test_empty_cells_are_told_with_their_lines(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", [["clip", "class"], ["a.mp4", "x"], ["b.mp4", ""], ["c.mp4", "y"]])
    with pytest.raises(TableError, match=r"train\.csv, line 3: column 'class' is empty"):
        read_tables(Workspace(tmp_path), None)
    (tmp_path / "train.csv").unlink()
    with pytest.raises(TableError, match=r"train\.csv: no such file; put your labels there"):
        read_tables(Workspace(tmp_path), None)
