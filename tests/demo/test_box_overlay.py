"""Boxes of a detector on frames."""

from pathlib import Path

import numpy as np
import pytest
from conftest import write_csv

from actionpipe.demo.box_overlay import Boxes, read_boxes
from actionpipe.demo.lettering import find_font
from actionpipe.errors import UserError

FONT, _ = find_font(["a"])
HEADER = ["video", "frame", "label", "score", "x1", "y1", "x2", "y2"]


def table(path: Path, *rows: list[object]) -> Path:
    write_csv(path, [HEADER, *rows])
    return path


def test_the_boxes_of_the_video_above_the_score(tmp_path: Path) -> None:
    path = table(
        tmp_path / "d.csv",
        ["a.mp4", 1, "ball", 0.9, 1, 2, 3, 4],
        ["a.mp4", 1, "ball", 0.5, 5, 6, 7, 8],
        ["b.mp4", 1, "ball", 0.9, 1, 2, 3, 4],
    )
    found = read_boxes(path, tmp_path / "x" / "a.mp4", 0.5)
    assert found[["frame", "score"]].to_numpy().tolist() == [[1, 0.9]]
    assert read_boxes(path, tmp_path / "c.mp4", 0.5).empty


@pytest.mark.parametrize(("name", "video"), [("clips/a.mp4", "clips/a.mp4"), ("a", "clips/a.mp4")])
def test_a_video_is_found_by_the_end_of_its_path_or_its_stem(tmp_path: Path, name: str, video: str) -> None:
    path = table(tmp_path / "d.csv", [name, 1, "ball", 0.9, 1, 2, 3, 4], ["other", 1, "ball", 0.9, 1, 2, 3, 4])
    assert len(read_boxes(path, tmp_path / video, 0.1)) == 1


def test_a_video_that_may_be_any_of_several_is_refused(tmp_path: Path) -> None:
    path = table(tmp_path / "d.csv", *([name, 1, "ball", 0.9, 1, 2, 3, 4] for name in ("a.avi", "a.mov")))
    with pytest.raises(UserError, match=r"several videos that may be .*a\.mp4: a\.avi, a\.mov"):
        read_boxes(path, tmp_path / "a.mp4", 0.5)


def test_a_broken_table_is_refused_with_its_lines(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no table at"):
        read_boxes(tmp_path / "none.csv", tmp_path / "a.mp4", 0.5)
    path = table(tmp_path / "d.csv", ["a.mp4", 1.5, "ball", 2, 1, 2, 3, 4])
    with pytest.raises(UserError, match=r"line 2: frame '1\.5'[\s\S]*line 2: score '2'"):
        read_boxes(path, tmp_path / "a.mp4", 0.5)


def test_boxes_stand_where_they_were_found_on_their_frame_only(tmp_path: Path) -> None:
    path = table(
        tmp_path / "d.csv", ["a.mp4", 2, "мяч", 0.9, 100, 80, 160, 140], ["a.mp4", 2, "x", 0.9, -9, -9, 999, 9]
    )
    boxes = Boxes(read_boxes(path, Path("a.mp4"), 0.5), (320, 200), FONT)
    frame = np.zeros((200, 320, 3), np.uint8)
    boxes.draw(frame, 1)
    assert not frame.any()
    boxes.draw(frame, 2)
    assert not frame[90:130, 110:150].any()  # what is inside stays to be seen
    assert frame[100, 97:104].any() and frame[100, 157:164].any()
    assert frame[137:144, 130].any() and frame[77:84, 150].any()
    assert frame[66:78, 102:130].any()  # its label, above


def test_boxes_of_frames_that_were_stored_smaller_are_scaled(tmp_path: Path) -> None:
    path = table(tmp_path / "d.csv", ["a.mp4", 1, "x", 0.9, 50, 40, 80, 70])
    frames = [np.zeros((200, 320, 3), np.uint8) for _ in range(2)]
    Boxes(read_boxes(path, Path("a.mp4"), 0.5), (320, 200), FONT, (160, 100)).draw(frames[0], 1)
    path = table(tmp_path / "d.csv", ["a.mp4", 1, "x", 0.9, 100, 80, 160, 140])
    Boxes(read_boxes(path, Path("a.mp4"), 0.5), (320, 200), FONT).draw(frames[1], 1)
    np.testing.assert_array_equal(*frames)
