from pathlib import Path

import pytest
from data_samples import HMDB, hmdb51, read, rows, touch, write

from actionpipe.data.formats.source_group import hmdb51_group, ucf101_group
from actionpipe.errors import TableError


def test_flag_two_is_the_test_and_flag_zero_is_not_used(tmp_path: Path) -> None:
    dataset = read("hmdb51", hmdb51(tmp_path))
    assert dataset.classes == ["brush_hair", "wave"]
    assert rows(dataset)[:4] == [
        ("brush_hair/Ball_#4_brush_hair_f_cm_np1_fr_med_0.avi", "brush_hair", "train", "Ball_#4_brush_hair"),
        ("brush_hair/Ball_#4_brush_hair_f_cm_np1_fr_med_1.avi", "brush_hair", "train", "Ball_#4_brush_hair"),
        ("brush_hair/Sea & sun_brush_hair_f_cm_np1_fr_med_0.avi", "brush_hair", "train", "Sea & sun_brush_hair"),
        ("brush_hair/Other_brush_hair_f_cm_np1_fr_med_0.avi", "brush_hair", "test", "Other_brush_hair"),
    ]
    assert len(dataset.clips) == 8
    assert dataset.notes == ["clips with flag 0 (2) are left out: split 1 does not use them"]


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("April_09_brush_hair_u_nm_np1_ba_goo_0.avi", "April_09_brush_hair"),
        ("wave/20060723sfjffbartsinger_wave_f_cm_np1_ba_med_12.avi", "20060723sfjffbartsinger_wave"),
        ("A_f_cm_np1_fr_med_0_wave_h_nm_np2_le_bad_3", "A_f_cm_np1_fr_med_0_wave"),
        ("A_wave_f_cm_np1_xx_med_0.avi", ""),
    ],
)
def test_the_group_is_what_stands_before_the_known_ending(name: str, group: str) -> None:
    assert hmdb51_group(name) == group
    assert ucf101_group(name) == ""


def test_a_group_in_training_and_test_is_told(tmp_path: Path) -> None:
    hmdb51(tmp_path)
    with (tmp_path / "wave_test_split1.txt").open("a") as file:
        file.write(HMDB.format(source="Ball_#4", action="wave", number=7) + " 2\nodd.avi 1\n")
    notes = read("hmdb51", tmp_path).notes
    assert "groups that stand in training and in test (1), so that the test may be too easy: Ball_#4_wave" in notes
    assert "clips that are named otherwise than HMDB51's (1) are groups of their own: odd.avi, …" in notes


def test_the_same_file_name_in_two_classes_is_two_videos(tmp_path: Path) -> None:
    source = hmdb51(tmp_path / "lists")
    for action in ("wave", "brush_hair"):
        with (source / f"{action}_test_split1.txt").open("a") as file:
            file.write("same_f_cm_np1_fr_med_0.avi 1\n")
    names = [clip.video for clip in read("hmdb51", source).clips]
    videos = touch(tmp_path / "videos", *names)
    assert [clip.video for clip in read("hmdb51", source, videos=videos).clips] == names


def test_faulty_lines_are_named(tmp_path: Path) -> None:
    write(hmdb51(tmp_path), wave_test_split1__txt="a.avi 1\nb.avi 3\nc.avi\n")
    with pytest.raises(TableError) as raised:
        read("hmdb51", tmp_path)
    path = tmp_path / "wave_test_split1.txt"
    assert raised.value.faults == [
        f"{path}, line 2: expected '<video>.avi <0, 1 or 2>', found 'b.avi 3'",
        f"{path}, line 3: expected '<video>.avi <0, 1 or 2>', found 'c.avi'",
    ]
    with pytest.raises(TableError, match=r"no \*_test_split3\.txt below"):
        read("hmdb51", tmp_path, split=3)
