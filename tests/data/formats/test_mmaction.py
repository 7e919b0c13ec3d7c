from pathlib import Path

import pytest
from data_samples import read, rows, touch, write

from actionpipe.errors import TableError


def test_videos_and_frames_are_read_from_the_right(tmp_path: Path) -> None:
    write(
        tmp_path,
        toy_train_list__txt="walk/a b.mp4 0\nrun/c.avi 1\nwalk/d e 17 0\n./run/f 9 1\n",
        toy_val_list__txt="run/g.mp4 1\n",
        label_map__txt="walk\nrun\n",
    )
    dataset = read("mmaction", tmp_path)
    assert dataset.classes == ["walk", "run"]
    assert [row[:3] for row in rows(dataset)] == [
        ("walk/a b.mp4", "walk", "train"),
        ("run/c.avi", "run", "train"),
        ("walk/d e", "walk", "train"),
        ("run/f", "run", "train"),
        ("run/g.mp4", "run", "test"),
    ]


def test_extracts_own_ending_is_taken_off_where_all_folders_have_it(tmp_path: Path) -> None:
    write(tmp_path, train__txt="a_frames 7 0\nb_frames 7 1\n", test__txt="c_frames 7 0\n", label_map__txt="x\ny\n")
    assert [clip.video for clip in read("mmaction", tmp_path).clips] == ["a", "b", "c"]
    write(tmp_path, test__txt="c 7 0\n")
    assert [clip.video for clip in read("mmaction", tmp_path).clips] == ["a_frames", "b_frames", "c"]


def test_groups_come_from_well_known_names_or_a_pattern(tmp_path: Path) -> None:
    names = [f"{name}/v_{name}_g{group:02d}_c01.avi" for name in ("A", "B") for group in (1, 2, 3)]
    lines = [f"{name} {'AB'.index(name[0])}\n" for name in names]
    write(tmp_path, train__txt="".join(lines[:-1]), test__txt=lines[-1], label_map__txt="A\nB\n")
    assert [clip.group for clip in read("mmaction", tmp_path).clips][:2] == ["A_g01", "A_g02"]
    assert [clip.group for clip in read("mmaction", tmp_path, group=r"_g0(\d)").clips] == ["1", "2", "3", "1", "2", "3"]


def test_lists_of_one_split_are_chosen_and_others_must_be_named(tmp_path: Path) -> None:
    for split in (1, 2):
        write(tmp_path, **{f"toy_train_split_{split}_videos__txt": f"a{split}.mp4 0\nb{split}.mp4 1\n"})
        write(tmp_path, **{f"toy_val_split_{split}_videos__txt": f"v{split}.mp4 0\n"})
    write(tmp_path, label_map__txt="x\ny\n")
    assert [clip.video for clip in read("mmaction", tmp_path, split=2).clips] == ["a2.mp4", "b2.mp4", "v2.mp4"]
    write(tmp_path, toy_train_split_2_rawframes__txt="a2 5 0\n")
    with pytest.raises(TableError, match=r"several lists of 'train': toy_train_split_2_rawframes\.txt, toy_.*--list"):
        read("mmaction", tmp_path, split=2)
    lists = {"train": tmp_path / "toy_train_split_2_videos.txt", "test": tmp_path / "toy_val_split_1_videos.txt"}
    assert [clip.video for clip in read("mmaction", tmp_path, lists=lists).clips] == ["a2.mp4", "b2.mp4", "v1.mp4"]


def test_a_test_list_that_is_the_validation_list_is_refused(tmp_path: Path) -> None:
    write(tmp_path, train__txt="a.mp4 0\nb.mp4 1\n", val__txt="c.mp4 0\n", label_map__txt="x\ny\n")
    lists = {"train": tmp_path / "train.txt", "val": tmp_path / "val.txt", "test": tmp_path / "val.txt"}
    with pytest.raises(TableError, match=r"'c\.mp4' of test stands in val already"):
        read("mmaction", tmp_path, lists=lists)


def test_a_label_map_of_other_lists_is_noticed(tmp_path: Path) -> None:
    write(
        tmp_path,
        train__txt="Ball_Toss/a.mp4 0\nwalk/b.mp4 1\nwalk/c.mp4 7\nx.mp4\n../d.mp4 0\n",
        label_map__txt="walk\nball toss\nsit\nwalk\n",
    )
    with pytest.raises(TableError) as raised:
        read("mmaction", tmp_path)
    told, path = str(raised.value), tmp_path / "train.txt"
    assert f"{path}, line 1: 'Ball_Toss/a.mp4' lies in the folder of 'ball toss' but its id means 'walk'" in told
    assert f"{path}, line 2: 'walk/b.mp4' lies in the folder of 'walk' but its id means 'ball toss'" in told
    assert f"{path}, line 3: '7' is not a label id; {tmp_path / 'label_map.txt'} knows 0 to 3" in told
    assert f"{path}, line 4: expected '<path> <label id>'" in told
    assert f"{path}, line 5: '../d.mp4' leaves the folder of the videos" in told
    assert "line 4: class 'walk' stands on" in told
    assert "class 'sit' has no training clip" in told


def test_without_a_label_map_the_command_to_type_is_told(tmp_path: Path) -> None:
    write(tmp_path, train__txt="a.mp4 0\n")
    with pytest.raises(TableError, match=r"0 label_map\*\.txt in .*--classes FILE"):
        read("mmaction", tmp_path)


def test_names_on_disk_replace_folders_of_frames(tmp_path: Path) -> None:
    write(tmp_path, train__txt="x/a 7 0\ny/b 7 1\n", test__txt="x/c 7 0\n", label_map__txt="x\ny\n")
    videos = touch(tmp_path / "videos", "x/a.mp4", "y/b.avi", "x/c.mp4")
    assert [clip.video for clip in read("mmaction", tmp_path, videos=videos).clips] == ["x/a.mp4", "y/b.avi", "x/c.mp4"]


@pytest.mark.parametrize("label", ["²", "9" * 5000, "99999999999999999999"])
def test_labels_that_are_no_numbers_of_a_list(tmp_path: Path, label: str) -> None:
    write(tmp_path, train__txt=f"a.mp4 {label}\nb.mp4 0\n", label_map__txt="x\ny\n")
    with pytest.raises(TableError, match=r"train\.txt, line 1"):
        read("mmaction", tmp_path)


def test_ids_far_apart_are_not_counted_out(tmp_path: Path) -> None:
    write(tmp_path, classInd__txt="1 a\n999999999999 b\n", trainlist01__txt="", testlist01__txt="")
    with pytest.raises(TableError, match="no class has id 2;"):
        read("ucf101", tmp_path)
