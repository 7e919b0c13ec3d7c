from pathlib import Path

import pytest
from data_samples import read, rows, touch, ucf101, write

from actionpipe.errors import TableError, UserError


def test_the_official_split_is_read(tmp_path: Path) -> None:
    dataset = read("ucf101", ucf101(tmp_path))
    assert dataset.classes == ["Archery", "Bowling"]
    assert rows(dataset)[0] == ("Archery/v_Archery_g08_c01.avi", "Archery", "train", "Archery_g08")
    assert rows(dataset)[-1] == ("Bowling/v_Bowling_g01_c01.avi", "Bowling", "test", "Bowling_g01")
    assert len(dataset.clips) == 10
    assert dataset.notes == []


def test_groups_are_numbered_anew_in_each_class(tmp_path: Path) -> None:
    groups = {clip.group for clip in read("ucf101", ucf101(tmp_path)).clips if clip.split == "train"}
    assert groups == {"Archery_g08", "Archery_g09", "Bowling_g08", "Bowling_g09"}


def test_the_class_is_the_folder_as_file_names_spell_it_otherwise(tmp_path: Path) -> None:
    ucf101(tmp_path)
    write(
        tmp_path,
        classInd__txt="1 HandstandPushups\n2 Bowling\n",
        trainlist01__txt="HandstandPushups/v_HandStandPushups_g08_c01.avi 1\nBowling/v_Bowling_g08_c01.avi 2\n",
        testlist01__txt="Bowling/v_Bowling_g01_c01.avi\n",
    )
    assert rows(read("ucf101", tmp_path))[0][:2] == (
        "HandstandPushups/v_HandStandPushups_g08_c01.avi",
        "HandstandPushups",
    )


def test_all_faults_are_named_at_once_with_file_and_line(tmp_path: Path) -> None:
    ucf101(tmp_path)
    with (tmp_path / "trainlist01.txt").open("a") as file:
        file.write("Archery/v_Archery_g08_c09.avi 2\narchery/v_Archery_g08_c07.avi 1\nBowling/odd.avi 2\n")
        file.write("Bowling/v_Bowling_g01_c01.avi 2\nBowling/v_Bowling_g08_c01.avi 2\n")
    with (tmp_path / "classInd.txt").open("a") as file:
        file.write("3 Diving\n")
    with pytest.raises(TableError) as raised:
        read("ucf101", tmp_path)
    told = str(raised.value)
    path = tmp_path / "trainlist01.txt"
    for line, words in [
        (9, "id 2 of 'Archery/v_Archery_g08_c09.avi' is 'Bowling'"),
        (10, "'archery' (the folder of 'archery/v_Archery_g08_c07.avi') is not a class; did you mean 'Archery'?"),
        (11, "'Bowling/odd.avi' is not named v_"),
        (13, f"'Bowling/v_Bowling_g08_c01.avi' is listed already ({path}, line 5)"),
    ]:
        assert f"{path}, line {line}: {words}" in told
    assert f"{tmp_path / 'testlist01.txt'}, line 2: 'Bowling/v_Bowling_g01_c01.avi' of test stands in train" in told
    assert "class 'Diving' has no training clip" in told
    assert len(raised.value.faults) == 6


def test_videos_are_looked_for_and_named_as_they_are_on_disk(tmp_path: Path) -> None:
    source = ucf101(tmp_path / "lists")
    names = [clip.video for clip in read("ucf101", source).clips]
    videos = touch(tmp_path / "videos", *(f"UCF-101/{name.replace('.avi', '.mp4')}" for name in names))
    found = [clip.video for clip in read("ucf101", source, videos=videos).clips]
    assert found == [f"UCF-101/{name.replace('.avi', '.mp4')}" for name in names]
    (videos / found[1]).unlink()
    touch(videos, f"copy/{names[0]}", f"UCF-101/{names[0]}")
    with pytest.raises(TableError) as raised:
        read("ucf101", source, videos=videos)
    assert [str(fault) for fault in raised.value.faults] == [
        f"{source / 'trainlist01.txt'}, line 1: '{names[0]}' may be any of UCF-101/{names[0]}, copy/{names[0]}; "
        "remove the copies",
        f"{source / 'trainlist01.txt'}, line 2: '{names[1]}' is not in {videos}; put it there, or take it off the list",
    ]


def test_a_split_that_there_is_not_is_refused(tmp_path: Path) -> None:
    ucf101(tmp_path)
    with pytest.raises(UserError, match="--split 4 must be from 1 to 3"):
        read("ucf101", tmp_path, split=4)
    with pytest.raises(TableError, match=r"(?s)no trainlist02\.txt in.*no testlist02\.txt in"):
        read("ucf101", tmp_path, split=2)
    with pytest.raises(UserError, match="is not there"):
        read("ucf101", tmp_path / "nowhere")
