from pathlib import Path

import pytest

from actionpipe.data.formats.labelled import join, read_labels
from actionpipe.errors import UserError

CLASSES = ["walk", "kick", "rest"]


def labels_of(path: Path, text: str) -> dict[str, str]:
    path.write_text(text, encoding="utf-8")
    return read_labels(path, CLASSES, "video_filename", "class")


def test_a_table_and_both_kinds_of_lists(tmp_path: Path) -> None:
    expected = {"a b.mp4": "kick", "c.mp4": "walk"}
    assert labels_of(tmp_path / "t.csv", "class,video_filename\nkick,a b.mp4\nwalk,c.mp4\n") == expected
    assert labels_of(tmp_path / "l.txt", "a b.mp4 1\nc.mp4 0\n\n") == expected
    assert labels_of(tmp_path / "f.txt", "x/a b_frames 60 1\nx/c_frames 12 0\r\n") == {
        "x/a b_frames": "kick",
        "x/c_frames": "walk",
    }


def test_names_are_joined_whole_or_by_their_stem(tmp_path: Path) -> None:
    labels = {"x/a b_frames": "kick", "c.mp4": "walk", "sub/d.avi": "rest"}
    assert join(labels, ["c.mp4", "a b.mp4", "e.mp4", "d.mp4"], tmp_path) == {
        "a b.mp4": "kick",
        "c.mp4": "walk",
        "d.mp4": "rest",
    }
    # The whole name comes first.
    assert join({"c.mp4": "walk"}, ["c.mp4", "x/c.mp4"], tmp_path) == {"c.mp4": "walk"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "t.csv",
            "video_filename,class\na.mp4,run\nb.mp4,walk\nb.mp4,kick\n",
            r"(?s)line 2: 'run' is not.*line 4: 'b.mp4'",
        ),
        ("t.csv", "video,class\na.mp4,walk\n", "video_filename"),
        ("l.txt", "a.mp4 3\nb.mp4\n", r"(?s)line 1: expected 'path label' with a label from 0 to 2.*line 2"),
        ("l.txt", "\n", "names no video"),
    ],
)
def test_faults_are_named_with_their_lines(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        labels_of(tmp_path / name, text)


def test_clips_without_scores_or_with_several_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"(?s)'c_frames' may be x.*1 of 2 clips have no scores: 'gone.mp4';"):
        join({"gone.mp4": "walk", "c_frames": "kick"}, ["x/c.mp4", "y/c.mp4"], tmp_path / "l.txt")
    other_folds = {f"{number:02d}.mp4": "walk" for number in range(30)}
    with pytest.raises(UserError, match=r"30 of 31 clips have no scores: '00.mp4', .*'09.mp4' and 20 more;.*val_list"):
        join({"c.mp4": "kick", **other_folds}, ["c.mp4"], tmp_path / "train.csv")
    with pytest.raises(UserError, match="no labels at"):
        read_labels(tmp_path / "none.txt", CLASSES, "v", "c")
